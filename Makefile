# Gatewatch: everything a newcomer types. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo test lint bench

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: ## install what is missing (Debian packages, .venv); quick when nothing changed
	@sh scripts/setup use

setup-test:
	@sh scripts/setup test

demo: setup ## find alerts in the embedded clip and show them in the browser
	@.venv/bin/gatewatch demo $(DEMO)

test: setup-test ## run the tests
	@echo 'The alert desk on PostgreSQL:'
	@GATEWATCH_TEST_DATABASE=postgresql .venv/bin/pytest -n auto tests/api --ignore-glob "*/test_p[ai]*" --ignore tests/api/test_contract.py $(PYTEST)
	@echo 'Everything, the alert desk on SQLite:'
	@.venv/bin/pytest -n auto $(PYTEST)

lint: setup-test ## check style and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

bench: setup-test ## measure accuracy, events and speed (minutes)
	@.venv/bin/gatewatch bench all $(BENCH)
