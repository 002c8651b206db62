"""A client that is generated from nothing but the document works a shift against a real server."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.api.scenes import serving
from tests.api.whole import Whole, alert_id, whole_site

PACKAGE = "generated_gatewatch"
FILES = {"snapshot", "clip", "original", "frame", "live", "export"}
"""What these addresses give is no JSON: generated code leaves it to the caller."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole_site(tmp_path_factory.mktemp("site"), alerts=7) as site:
        yield site


@pytest.fixture(scope="module")
def package(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(whole.app.openapi()))
    tools = Path(sys.executable).parent
    done = subprocess.run(
        [tools / "openapi-python-client", "generate", "--path", "openapi.json", "--meta", "none",
         "--output-path", PACKAGE],
        cwd=folder, env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    left_out = [line for line in done.stdout.splitlines() if line.startswith("WARNING parsing")]
    assert not [line for line in left_out if line.split()[3].rpartition("/")[2] not in FILES], done.stdout
    sys.path.insert(0, str(folder))
    try:
        yield folder / PACKAGE
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


def part(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def client(whole: Whole, package: Path) -> Iterator[Any]:  # noqa: ARG001 - it is imported by name
    with serving(whole.app) as address, part("client").AuthenticatedClient(address.rstrip("/"), whole.token) as opened:
        yield opened


def test_every_operation_becomes_a_function(whole: Whole, package: Path) -> None:
    operations = [one for path in whole.app.openapi()["paths"].values() for one in path.values()]
    missing = [one["operationId"] for one in operations if not list(package.glob(f"api/*/{one['operationId']}.py"))]
    assert missing == []


def test_a_shift_of_a_program(client: Any) -> None:
    models = part("models")
    listing, getting = part("api.alerts.list_alerts"), part("api.alerts.get_alert")
    acknowledging, resolving = part("api.alerts.acknowledge_alert"), part("api.alerts.resolve_alert")

    seen, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = listing.sync(client=client, severity=[models.ListAlertsSeverityItem.HIGH], limit=3, **more)
        seen += [item.alert_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [alert_id(number) for number in range(7, 0, -1)]
    assert listing.sync(client=client, severity=[models.ListAlertsSeverityItem.LOW]).items == []

    one = getting.sync(alert_id(7), client=client)
    taken = acknowledging.sync(alert_id(7), client=client, body=models.AcknowledgeIn(version=one.version))
    assert (taken.state.value, taken.version) == ("acknowledged", one.version + 1)

    stale = resolving.sync_detailed(
        alert_id(7), client=client, body=models.VerdictIn(reason="staff_member", version=one.version)
    )
    assert (stale.status_code, type(stale.parsed)) == (409, models.ErrorOut)
    assert stale.parsed.error.code == "stale_version"
    assert stale.parsed.error.details.additional_properties == {"expected": one.version, "found": taken.version}

    verdict = models.VerdictIn(reason="staff_member", version=taken.version, note="the gardener")
    closed = resolving.sync_detailed(alert_id(7), client=client, body=verdict, idempotency_key="shift-1")
    again = resolving.sync_detailed(alert_id(7), client=client, body=verdict, idempotency_key="shift-1")
    assert (closed.parsed.state.value, closed.parsed.reason, closed.parsed.note) == (
        "resolved", "staff_member", "the gardener",
    )  # fmt: skip
    assert (again.status_code, again.parsed.version) == (200, closed.parsed.version)

    twice = acknowledging.sync(alert_id(7), client=client, body=models.AcknowledgeIn())
    assert (twice.error.code, twice.error.details["state"]) == ("illegal_transition", "resolved")


def test_who_shows_no_token_gets_a_typed_refusal(client: Any, whole: Whole) -> None:
    kinds, listing, address = part("client"), part("api.alerts.list_alerts"), client._base_url
    with kinds.Client(address) as stranger:
        answer = listing.sync_detailed(client=stranger)
    assert (answer.status_code, answer.parsed.error.code) == (401, "not_authenticated")
    with kinds.AuthenticatedClient(address, whole.token[:-4] + "AAAA") as wrong:
        assert listing.sync(client=wrong).error.code == "invalid_token"
