from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.types import Track, TrackedFrame
from rules.engine import Engine
from rules.types import Input, RuleError
from tests.rules.scenes import (
    HEIGHT,
    LINES,
    WIDTH,
    ZONES,
    Actor,
    Story,
    box_at,
    frames,
    make_config,
    make_engine,
    play,
    stay,
    walk,
)

ROOT = Path(__file__).resolve().parents[2]


def every_rule() -> Engine:
    return make_engine(
        make_config("line_crossing", name="cross", line="gate"),
        make_config("line_crossing", name="corner", line="corner", labels=["person"]),
        make_config("intrusion", name="enter", zone="yard"),
        make_config("intrusion", name="apron", zone="apron", anchor="centre"),
        make_config("loitering", name="wait", zone="yard", dwell_s=5),
        make_config("tailgating", name="tail", line="gate", headway_s=3),
        make_config("tailgating", name="card", line="gate", authorisation="event", valid_s=5),
    )


def test_events_of_one_frame_come_by_id_and_ids_count_per_rule() -> None:
    actors = [Actor(stay((0.5, 0.6), 6.0)), Actor(stay((0.45, 0.5), 6.0))]
    events = play(every_rule(), frames(actors, 5.0))
    assert [event.event_id for event in events] == [
        "cam.enter.000001", "cam.enter.000002", "cam.wait.000001", "cam.wait.000002",
    ]  # fmt: skip
    assert [(e.raised_s, e.event_id) for e in events] == sorted((e.raised_s, e.event_id) for e in events)


def test_an_authorisation_given_long_before_its_time_waits_for_its_time() -> None:
    story = [Actor(walk((0.3, 0.6), (0.7, 0.6), 4.0)), Actor(walk((0.3, 0.6), (0.7, 0.6), 4.0), enters_s=4.0)]
    engine = make_engine(make_config("tailgating", line="gate", authorisation="event", valid_s=5))
    engine.receive(Input("cam", "gate", "authorisation", 5.5))
    events = play(engine, frames(story, 10.0))
    assert [round(event.start_s, 1) for event in events] == [2.0]
    assert (engine.counters.inputs, engine.counters.inputs_unused) == (1, 0)


def test_a_rule_that_will_be_disarmed_later_is_armed_until_then() -> None:
    engine = make_engine(make_config("intrusion", zone="yard"))
    engine.receive(Input("cam", "yard", "disarm", 2.0))
    actors = [Actor(stay((0.45, 0.6), 6.0)), Actor(stay((0.55, 0.6), 3.0), enters_s=3.0)]
    assert [event.raised_s for event in play(engine, frames(actors, 5.0))] == [pytest.approx(0.6)]
    assert engine.counters.ineffective_s["rule"]["disarmed"] == pytest.approx(4.4, abs=0.21)


def test_a_path_begins_a_little_before_the_event() -> None:
    story = walk((0.1, 0.2), (0.3, 0.6), 20.0) + walk((0.3, 0.6), (0.7, 0.6), 4.0)
    (event,) = play(make_engine(make_config("line_crossing", line="gate")), frames([Actor(story)], 10.0))
    assert (event.path[0][0], event.path[-1][0]) == (pytest.approx(17.0, abs=0.2), event.raised_s)


def test_inputs_of_no_use_are_counted() -> None:
    engine = make_engine(make_config("line_crossing", line="gate"))
    for message in (Input("cam", "gate", "authorisation", 0.0), Input("cam", "none", "beam", 0.0),
                    Input("other", "gate", "disarm", 0.0), Input("cam", "gate", "authorisation", 999.0)):  # fmt: skip
        engine.receive(message)
    play(engine, frames([Actor(stay((0.3, 0.6), 1.0))], 5.0))
    assert (engine.counters.inputs, engine.counters.inputs_unused) == (4, 4)


def test_frames_in_the_wrong_order_are_refused() -> None:
    engine = every_rule()
    engine.update(TrackedFrame("cam", 0, 2.0, None, WIDTH, HEIGHT))
    with pytest.raises(RuleError, match=r"a frame at 1\.500 s follows one at 2\.000 s; expected frames in order"):
        engine.update(TrackedFrame("cam", 1, 1.5, None, WIDTH, HEIGHT))


def test_a_stream_without_frames_has_no_events() -> None:
    assert every_rule().finish() == []


def test_the_picture_may_change_its_size() -> None:
    """Points are shares of the picture, so a camera that switches its stream goes on."""
    small = [
        replace(f, width_px=WIDTH // 2, height_px=HEIGHT // 2,
                tracks=tuple(replace(t, box=tuple(c / 2 for c in t.box)) for t in f.tracks)) if f.index > 10 else f
        for f in frames([Actor(walk((0.3, 0.6), (0.7, 0.6), 4.0))], 5.0)
    ]  # fmt: skip
    (event,) = play(make_engine(make_config("line_crossing", line="gate")), small)
    assert event.start_s == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(
    ("configs", "message"),
    [
        ([make_config("intrusion", name="a", zone="lawn")],
         "rule 'a' of camera 'cam' names the zone 'lawn'; the camera has 'yard', 'apron'"),
        ([make_config("line_crossing", name="a", line="fence")],
         "rule 'a' of camera 'cam' names the line 'fence'; the camera has 'gate', 'corner'"),
        ([make_config("intrusion", name="a", zone="yard"), make_config("loitering", name="a", zone="yard", dwell_s=3)],
         "camera 'cam' has two rules named 'a'; names must differ"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_one_sentence(configs, message: str) -> None:
    with pytest.raises(RuleError) as raised:
        make_engine(*configs)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("intrusion", {"labels": ["persn"]}, "'persn' is not a label; expected 'any', a label (person, bicycle,"),
        ("intrusion", {"labels": ["persn"]}, "did you mean 'person'?"),
        ("intrusion", {"labels": ["vehicles"]}, "did you mean 'vehicle'?"),
        ("intrusion", {"labels": "person"}, "expected a list of labels, such as [person], found 'person'"),
        ("intrusion", {"labels": []}, "at least 1 item"),
        ("intrusion", {"enter_s": "1"}, "valid number"),
        ("intrusion", {"enter_s": True}, "valid number"),
        ("intrusion", {"enter_s": -1}, "greater than or equal to 0"),
        ("intrusion", {"enter_s": float("inf")}, "finite"),
        ("intrusion", {"dwell_s": 3}, "Extra inputs"),
        ("loitering", {}, "dwell_s\n  Field required"),
        ("loitering", {"dwell_s": 0}, "greater than 0"),
        ("intrusion", {"name": "no spaces"}, "a name has letters, digits, '-' and '_' only, found ' '"),
        ("intrusion", {"name": ""}, "a name has 1 to 64 characters, found 0"),
        ("intrusion", {"anchor": "feet"}, "'bottom_centre'"),
    ],
)
def test_a_wrong_parameter_is_refused(kind: str, values: dict, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        make_config(kind, **{"zone": "yard", **values})
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["草坪-入侵", "ворота_2", "फाटक", "a" * 64])
def test_names_may_be_of_any_script(name: str) -> None:
    assert make_config("intrusion", name=name, zone="yard").name == name


def test_label_groups_stand_for_their_labels() -> None:
    actors = [Actor(stay((0.45 + 0.02 * k, 0.5 + 0.05 * k), 2.0), label)
              for k, label in enumerate(["car", "bus", "person", "bicycle", "dog"])]  # fmt: skip
    engine = make_engine(make_config("intrusion", zone="yard", labels=["vehicle", "dog"]))
    assert [event.label for event in play(engine, frames(actors, 5.0))] == ["car", "bus", "dog"]


# People turn at moments that are samples at 5 frames/s too: then both rates see the same path.
spots = st.sampled_from([(0.1, 0.2), (0.35, 0.6), (0.45, 0.55), (0.55, 0.75), (0.65, 0.6), (0.9, 0.9), (0.5, 1.1)])


@st.composite
def stories(draw: st.DrawFn) -> Story:
    story = stay(draw(spots), 1.0)
    for _ in range(draw(st.integers(1, 4))):
        last = story.pieces[-1].end
        assert last is not None
        spot = draw(spots)
        story += walk(last, spot, draw(st.sampled_from([1.8, 3.0]))) + stay(spot, draw(st.sampled_from([1.6, 6.4])))
    return story


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(stories(), st.sampled_from([0.0, 0.6, 4.4])), min_size=1, max_size=3))
def test_the_same_events_at_any_frame_rate(cast: list[tuple[Story, float]]) -> None:
    actors = [Actor(story, enters_s=enters_s) for story, enters_s in cast]
    told = {}
    for fps in (5.0, 25.0):
        events = play(every_rule(), frames(actors, fps))
        told[fps] = sorted((e.rule, e.direction or "", e.track_ids[0], e.start_s, e.raised_s) for e in events)
    assert [one[:3] for one in told[5.0]] == [one[:3] for one in told[25.0]]
    for slow, fast in zip(told[5.0], told[25.0], strict=True):
        assert slow[3:] == pytest.approx(fast[3:], abs=0.2 + 1e-6)


def test_the_same_frames_give_the_same_bytes() -> None:
    actors = [Actor(walk((0.1, 0.6), (0.9, 0.55 + 0.05 * k), 5.0), enters_s=0.6 * k) for k in range(5)]
    shown = frames(actors, 10.0)
    texts = [json.dumps([e.to_json() for e in play(every_rule(), shown)]) for _ in range(2)]
    assert texts[0] == texts[1]
    assert len(json.loads(texts[0])) > 10


def test_a_hundred_thousand_objects_leave_nothing() -> None:
    """A hundred objects in each of a thousand frames, all of them new and gone in the next frame."""
    engine = make_engine(
        make_config("line_crossing", name="cross", line="gate"),
        make_config("loitering", name="wait", zone="yard", dwell_s=5),
        make_config("tailgating", name="card", line="gate", authorisation="event", valid_s=5),
    )
    largest, step_s = 0, 8.64
    ended: tuple[int, ...] = ()
    boxes = [box_at((0.3 + 0.005 * k, 0.4 + 0.006 * k)) for k in range(100)]
    count = 1000
    for index in range(count):
        tracks = tuple(Track(100 * index + k, "person", 0.9, boxes[k]) for k in range(100))
        engine.receive(Input("cam", "gate", "authorisation", index * step_s))
        engine.update(TrackedFrame("cam", index, index * step_s, None, WIDTH, HEIGHT, tracks, ended))
        ended = tuple(track.track_id for track in tracks)
        largest = max(largest, engine.state_size())
    for second in range(60):
        engine.update(TrackedFrame("cam", 0, count * step_s + second, None, WIDTH, HEIGHT, (), ended))
        ended = ()
    assert largest < 1000
    assert engine.state_size() == 0


def test_an_object_that_never_leaves_keeps_a_bounded_state() -> None:
    engine = every_rule()
    sizes = []
    for frame in frames([Actor(walk((0.3, 0.6), (0.7, 0.6), 2.0) + stay((0.55, 0.6), 900.0))], 5.0):
        engine.update(frame)
        (tracked,) = engine._stitcher.objects.values() or [None]
        sizes.append((engine.state_size(), len(tracked.path) if tracked else 0))
    assert max(size for size, _ in sizes[-600:]) <= max(size for size, _ in sizes[:100])
    assert max(length for _, length in sizes) <= 100


def test_rules_need_no_decoder_and_no_detector() -> None:
    script = (
        "import sys, rules.registry, rules.engine\n"
        "print(sorted({'av', 'cv2', 'onnxruntime', 'supervision', 'trackers', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rules_are_cheap_beside_a_detector() -> None:
    """Ten people, four rules: well under half a millisecond a frame."""
    actors = [Actor(walk((0.1, 0.3 + 0.06 * k), (0.9, 0.35 + 0.06 * k), 12.0 + k)) for k in range(10)]
    shown = frames(actors, 10.0)[:100]

    def seconds() -> float:
        engine = make_engine(
            make_config("line_crossing", name="cross", line="gate"),
            make_config("intrusion", name="enter", zone="yard"),
            make_config("loitering", name="wait", zone="yard", dwell_s=5),
            make_config("tailgating", name="tail", line="gate"),
        )
        begin = time.process_time()
        for frame in shown:
            engine.update(frame)
        return time.process_time() - begin

    assert min(seconds() for _ in range(5)) / len(shown) < 0.0005


def test_zones_and_lines_are_checked_when_the_engine_is_built() -> None:
    for zones, lines, message in (
        ({"z": [(0, 0), (1, 1)]}, LINES, "zone 'z' needs at least 3 different points"),
        (ZONES, {"l": [(0, 0)]}, "line 'l' needs at least 2 different points"),
    ):
        with pytest.raises(RuleError, match=message):
            Engine("cam", [], zones=zones, lines=lines, schedules={}, timezone=ZoneInfo("UTC"), versions={})
