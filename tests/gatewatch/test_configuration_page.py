"""docs/configuration.md says what the code does."""

from __future__ import annotations

import re

from gatewatch.docs import PAGE, page
from gatewatch.site import load_site
from rules.registry import RULES

ROOT = PAGE.resolve().parents[1]


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m gatewatch.docs"


def test_every_key_of_every_rule_is_on_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind, rule in RULES.items():
        assert f"## Rule `{kind}`" in text
        for name in rule.Config.model_fields:
            assert f"| `{name}` |" in text


def test_its_example_is_a_valid_site(tmp_path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    path = tmp_path / "site.yaml"
    path.write_text(example[1], encoding="utf-8")
    assert load_site(path).cameras["north-gate"].analyse_fps == 5


def test_every_variable_that_the_code_reads_is_on_it() -> None:
    code = [
        path for folder in ("models", "pipeline", "rules", "api", "gatewatch") for path in (ROOT / folder).rglob("*.py")
    ]
    named = {name for path in code for name in re.findall(r"GATEWATCH_[A-Z_]+", path.read_text(encoding="utf-8"))}
    assert {"GATEWATCH_PROVIDERS", "GATEWATCH_WEIGHTS"} <= named
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in sorted(named) if not re.search(rf"\| `{name}`[ a-z]* \|", text)] == []
