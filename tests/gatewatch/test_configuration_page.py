"""docs/configuration.md says what the code does."""

from __future__ import annotations

import re

from gatewatch.docs import PAGE, page
from gatewatch.site import load_site
from rules.registry import RULES


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
