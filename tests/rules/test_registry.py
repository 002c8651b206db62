from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rules
from rules.registry import RULES, load_rules, rule_class
from rules.types import RuleError
from tests.rules.scenes import Actor, frames, make_engine, play, stay

NEW_RULE = """
from typing import ClassVar, Literal

from rules.base import Finding, Rule, RuleConfig, View
from rules.types import Measured


class AppearanceConfig(RuleConfig):
    kind: Literal["appearance"] = "appearance"
    after_s: float = 0.0


class Appearance(Rule[AppearanceConfig]):
    kind = "appearance"
    title: ClassVar = {"en": "Appearance", "zh-CN": "出现"}
    Config = AppearanceConfig

    def __init__(self, config, setting):
        super().__init__(config, setting)
        self._known = set()

    def update(self, view: View) -> list[Finding]:
        new = [seen for seen in view.objects if seen.object_id not in self._known and self.wants(seen.label)]
        self._known.update(seen.object_id for seen in new)
        return [Finding(seen.object_id, seen.points[0][0], {"after_s": Measured(0, 0)}) for seen in new]

    def forget(self, object_id: int) -> None:
        self._known.discard(object_id)

    def state_size(self) -> int:
        return len(self._known)
"""


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Puts a file beside the rules."""
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(tmp_path)])
    before = set(sys.modules)

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, "utf-8")

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("rules."):
            del sys.modules[name]
            delattr(rules, name.removeprefix("rules."))


def test_the_rules_of_this_release() -> None:
    assert list(RULES) == sorted(RULES)
    assert {"line_crossing", "intrusion", "loitering", "tailgating"} <= set(RULES)


def test_a_new_rule_is_one_new_file(drop: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    drop("appearance", NEW_RULE)
    found = load_rules()
    assert set(found) == {*RULES, "appearance"}
    monkeypatch.setitem(RULES, "appearance", found["appearance"])
    config = found["appearance"].Config.model_validate({"name": "new", "kind": "appearance", "labels": ["person"]})
    (event,) = play(make_engine(config), frames([Actor(stay((0.5, 0.5), 1.0))], 5.0))
    assert (event.event_id, event.kind, event.zone, event.line) == ("cam.new.000001", "appearance", None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module_here", "rules/broken.py does not import: ModuleNotFoundError: No module named"),
        ("def (", "rules/broken.py does not import: SyntaxError"),
        ("1 / 0", "rules/broken.py does not import: ZeroDivisionError: division by zero"),
        (NEW_RULE.replace("appearance", "intrusion"), "rules/intrusion.py defines kind 'intrusion', which"),
        (NEW_RULE.replace("    Config = AppearanceConfig\n", ""), "rule 'appearance' needs a Config that derives"),
        (NEW_RULE.replace('Literal["appearance"]', "str"), "needs the field kind: Literal['appearance']"),
        (NEW_RULE.replace("def forget", "def forgets"), "rules/broken.py: rule 'appearance' lacks forget"),
        (NEW_RULE.replace('"zh-CN": "出现"', ""), "rules/broken.py: rule 'appearance' needs a title in en and zh-CN"),
    ],
)
def test_a_broken_rule_stops_the_start_with_its_file(drop: Callable[[str, str], None], text: str, message: str) -> None:
    drop("broken", text)
    with pytest.raises(RuleError) as raised:
        load_rules()
    assert message in str(raised.value)


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RuleError, match=r"^'jaywalking' is not a kind of rule; expected one of intrusion, "):
        rule_class("jaywalking")


def test_the_example_of_the_guide_works(drop: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/adding-a-rule.md shows a whole rule; put where it says, it runs."""
    guide = Path(__file__).resolve().parents[2] / "docs" / "adding-a-rule.md"
    drop("crowding", guide.read_text("utf-8").split("```python\n")[1].split("```")[0])
    found = load_rules()
    monkeypatch.setitem(RULES, "crowding", found["crowding"])
    config = found["crowding"].Config.model_validate(
        {"name": "full", "kind": "crowding", "zone": "yard", "labels": ["person"], "most": 2}
    )
    crowd = [Actor(stay((0.45 + 0.04 * k, 0.6), 4.0), enters_s=float(k)) for k in range(3)]
    (event,) = play(make_engine(config), frames(crowd, 5.0))
    assert event.raised_s == pytest.approx(2.6, abs=0.2)
    assert len(event.track_ids) == 3
