"""What holds for every registered rule, those that are written later too.

A rule's scenario table is `SCENARIOS` in tests/rules/test_<kind>.py, with the parameters that they share in `CONFIG`.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.types import TrackedFrame
from rules.base import RuleConfig
from rules.registry import RULES
from rules.types import RuleEvent
from tests.rules.scenes import HEIGHT, WIDTH, Scenario, check, frames, make_config, make_engine, play, run

ROOT = Path(__file__).resolve().parents[2]
KINDS = pytest.mark.parametrize("kind", list(RULES))


def table(kind: str) -> ModuleType:
    return importlib.import_module(f"tests.rules.test_{kind}")


def scenarios(kind: str) -> list[Scenario]:
    found: list[Scenario] = table(kind).SCENARIOS
    return found


def lines(events: list[RuleEvent]) -> str:
    return "\n".join(json.dumps(event.to_json()) for event in events)


def by_start(events: list[RuleEvent]) -> list[RuleEvent]:
    return sorted(events, key=lambda event: (event.start_s, event.track_ids))


@KINDS
def test_has_scenarios_that_fire_and_that_do_not(kind: str) -> None:
    firing = [bool(scenario.expected) for scenario in scenarios(kind)]
    assert firing.count(True) >= 5
    assert firing.count(False) >= 5
    names = [scenario.name for scenario in scenarios(kind)]
    assert len(set(names)) == len(names)


@KINDS
def test_is_deterministic(kind: str) -> None:
    for scenario in scenarios(kind):
        first, second = (run(kind, table(kind).CONFIG, scenario, 10.0) for _ in range(2))
        assert lines(first) == lines(second), scenario.name


@KINDS
def test_gives_the_same_events_at_5_and_25_frames_a_second(kind: str) -> None:
    for scenario in scenarios(kind):
        slow, fast = (run(kind, table(kind).CONFIG, scenario, fps) for fps in (5.0, 25.0))
        told = [[(e.direction, e.label, e.track_ids[0]) for e in by_start(events)] for events in (slow, fast)]
        assert told[0] == told[1], scenario.name
        for one, other in zip(by_start(slow), by_start(fast), strict=True):
            assert abs(one.start_s - other.start_s) <= 0.2 + 1e-6, scenario.name
            assert abs(one.raised_s - other.raised_s) <= 0.2 + 1e-6, scenario.name
        check(fast, scenario.expected, 25.0)


@KINDS
def test_empty_input_gives_nothing(kind: str) -> None:
    engine = make_engine(make_config(kind, **table(kind).CONFIG))
    assert engine.finish() == []
    engine = make_engine(make_config(kind, **table(kind).CONFIG))
    for index in range(50):
        assert engine.update(TrackedFrame("cam", index, index / 5, None, WIDTH, HEIGHT)) == []
    assert engine.finish() == []
    assert engine.state_size() == 0


@KINDS
def test_forget_frees_state(kind: str) -> None:
    """After its objects have gone, and the after-effects of what they did, a rule keeps nothing."""
    kept = 0
    for scenario in scenarios(kind):
        config = make_config(kind, **{**table(kind).CONFIG, **scenario.config})
        engine = make_engine(config)
        shown = frames(scenario.actors, 5.0, wall_start=scenario.wall_start)
        for message in scenario.inputs:
            engine.receive(message)
        for frame in shown:
            engine.update(frame)
            kept = max(kept, engine.state_size())
        last = shown[-1]
        for step in range(1, 120):
            engine.update(
                TrackedFrame("cam", 0, last.media_time_s + step, last.wall_time, WIDTH, HEIGHT, (), last.ended)
            )
        assert engine.state_size() == 0, scenario.name
    assert kept > 0


@KINDS
def test_events_explain_themselves(kind: str) -> None:
    seen = 0
    for scenario in scenarios(kind):
        for event in run(kind, table(kind).CONFIG, scenario, 10.0):
            seen += 1
            assert event.start_s <= event.raised_s
            assert event.measured, scenario.name
            assert event.path, scenario.name
            assert event.path[-1][0] <= event.raised_s
            assert event.versions["rule"] == f"{kind}/{RULES[kind].version}"
            assert event.zone is None or event.line is None
            assert (event.direction is None) == (event.line is None)
            for measured in event.measured.values():
                assert measured.value >= measured.threshold - 1e-6 or "headway_s" in event.measured, scenario.name
    assert seen


@KINDS
def test_configuration_comes_back_from_json(kind: str) -> None:
    for scenario in scenarios(kind):
        config = make_config(kind, **{**table(kind).CONFIG, **scenario.config})
        again = RULES[kind].Config.model_validate(json.loads(config.model_dump_json()))
        assert again == config
        assert RULES[kind].Config.model_validate(config.model_dump(mode="json", exclude_defaults=True)
                                                 | {"kind": kind}) == config  # fmt: skip


@KINDS
def test_configuration_is_strict_and_common(kind: str) -> None:
    config = RULES[kind].Config
    assert issubclass(config, RuleConfig)
    assert (config.model_config["extra"], config.model_config["frozen"]) == ("forbid", True)
    made = make_config(kind, **table(kind).CONFIG)
    assert (made.labels, made.severity, made.schedule, made.anchor, made.cooldown_s) == (
        ("any",), "medium", "always", "bottom_centre", 30.0,
    )  # fmt: skip
    properties = config.model_json_schema()["properties"]
    assert properties.pop("kind")["const"] == kind
    assert [name for name, schema in properties.items() if not schema.get("description")] == []


@KINDS
def test_has_a_page(kind: str) -> None:
    """docs/rules/<kind>.md names the rule in both languages, every parameter of its own, and every measured value."""
    page = (ROOT / "docs" / "rules" / f"{kind}.md").read_text("utf-8")
    assert RULES[kind].title["zh-CN"] in page.splitlines()[0]
    for name in set(RULES[kind].Config.model_fields) - {"name", "kind"}:
        assert f"`{name}`" in page, name
    measured = {
        name
        for scenario in scenarios(kind)
        for event in run(kind, table(kind).CONFIG, scenario, 10.0)
        for name in event.measured
    }
    for name in measured:
        assert f"`{name}`" in page, name


@KINDS
def test_the_pages_example_is_a_configuration(kind: str) -> None:
    from ruamel.yaml import YAML

    page = (ROOT / "docs" / "rules" / f"{kind}.md").read_text("utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    for values in YAML(typ="safe").load(example)["rules"]:
        assert RULES[kind].Config.model_validate(values).kind == kind


@KINDS
def test_plays_to_the_end_when_cut_short(kind: str) -> None:
    """Whenever the stream stops, `finish` closes the books without an error and gives events in order."""
    for scenario in scenarios(kind):
        shown = frames(scenario.actors, 5.0, wall_start=scenario.wall_start)
        for share in (0.25, 0.5, 0.75):
            engine = make_engine(make_config(kind, **{**table(kind).CONFIG, **scenario.config}))
            events = play(engine, shown[: int(len(shown) * share)], scenario.inputs)
            assert [e.raised_s for e in events] == sorted(e.raised_s for e in events)
