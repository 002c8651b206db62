"""The tracker's promises, told as small scenes of boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import pytest
import supervision as sv
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.motion import Motion
from pipeline.track import Tracker, TrackUpdate
from pipeline.track_library import NAMES, LibraryTracker
from pipeline.types import Box, Track

WIDTH, HEIGHT = 768, 576
Seen = tuple[str, float, Box]


def detections(seen: Iterable[Seen]) -> sv.Detections:
    rows = sorted(seen, key=lambda one: -one[1])
    return sv.Detections(
        xyxy=np.array([box for _, _, box in rows], dtype=np.float32).reshape(-1, 4),
        confidence=np.array([score for _, score, _ in rows], dtype=np.float32),
        class_id=np.zeros(len(rows), dtype=int),
        data={"class_name": np.array([label for label, _, _ in rows], dtype=str)},
    )


def motion(*moved: Box, time_s: float = 0.0, settled: bool = True) -> Motion:
    """Everything inside the boxes moved, nothing else did."""
    plane = np.zeros((HEIGHT // 2, WIDTH // 2), dtype=np.uint8)
    for left, top, right, bottom in moved:
        plane[max(0, int(top / 2)) : max(0, int(bottom / 2)), max(0, int(left / 2)) : max(0, int(right / 2))] = 1
    return Motion(time_s, bool(moved), tuple(moved), settled, False, recent=plane, scale=(0.5, 0.5))


def person(x: float, y: float = 300.0, height: float = 80.0, score: float = 0.7, label: str = "person") -> Seen:
    """Someone whose feet are at (x, y)."""
    width = 0.4 * height
    return (label, score, (x - width / 2, y - height, x + width / 2, y))


Story = Callable[[float], list[Seen]]


def play(story: Story, until_s: float, fps: float, *, moving: bool = True) -> list[tuple[float, TrackUpdate]]:
    """The story at `fps`; where `moving`, every detection moved."""
    tracker = Tracker(WIDTH, HEIGHT)
    updates = []
    for number in range(round(until_s * fps) + 1):
        time_s = number / fps
        seen = story(time_s)
        boxes = [box for _, _, box in seen] if moving else []
        updates.append((time_s, tracker.update(detections(seen), time_s, motion(*boxes, time_s=time_s))))
    return updates


def tracks_of(updates: list[tuple[float, TrackUpdate]]) -> dict[int, list[tuple[float, Track]]]:
    found: dict[int, list[tuple[float, Track]]] = {}
    for time_s, update in updates:
        for track in update.tracks:
            found.setdefault(track.track_id, []).append((time_s, track))
    return found


@pytest.mark.parametrize("fps", [3.3, 5.0, 10.0, 25.0])
def test_two_people_who_pass_each_other_keep_their_ids(fps: float) -> None:
    def story(t: float) -> list[Seen]:
        return [person(150 + 60 * t, 300), person(600 - 60 * t, 312, 84)]

    found = tracks_of(play(story, 7.0, fps))
    assert len(found) == 2
    for samples in found.values():
        x = [(track.box[0] + track.box[2]) / 2 for _, track in samples]
        steps = np.diff(x)
        assert (steps > 0).all() or (steps < 0).all(), "one track turned round: the ids were swapped"


@pytest.mark.parametrize("fps", [3.3, 5.0, 10.0, 25.0])
def test_nobody_is_lost_between_two_looks_that_do_not_overlap(fps: float) -> None:
    found = tracks_of(play(lambda t: [person(40 + 110 * t)], 6.0, fps))
    assert len(found) == 1
    (samples,) = found.values()
    earlier = samples[0][1].earlier
    assert earlier, "the looks before confirmation are handed on"
    assert earlier[0].media_time_s == 0.0
    assert all(a.media_time_s < b.media_time_s for a, b in pairwise(earlier))


def test_an_object_hidden_for_a_second_goes_on_under_its_id_and_the_gap_is_bridged() -> None:
    updates = play(lambda t: [] if 2.0 < t < 3.0 else [person(100 + 60 * t)], 5.0, 10)
    found = tracks_of(updates)
    assert len(found) == 1
    back = next(track for time_s, track in found[1] if time_s >= 3.0)
    times = [sample.media_time_s for sample in back.earlier]
    assert times == pytest.approx([2.1 + 0.1 * k for k in range(9)])
    middle = back.earlier[4].box
    assert (middle[0] + middle[2]) / 2 == pytest.approx(100 + 60 * 2.5, abs=8)


def test_a_lost_object_ends_and_its_id_never_returns() -> None:
    updates = play(lambda t: [] if 2.0 < t < 7.0 else [person(300 + 5 * t)], 10.0, 10)
    assert [update.ended for _, update in updates if update.ended] == [(1,)]
    assert sorted(tracks_of(updates)) == [1, 2]


def test_whoever_walks_out_of_the_picture_ends_at_once() -> None:
    updates = play(lambda t: [person(700 + 60 * t)] if 700 + 60 * t < 775 else [], 4.0, 10)
    gone_s = next(time_s for time_s, update in updates if update.ended)
    assert gone_s < 2.0, "the way out is no hiding place to wait at"


def test_feet_below_the_picture_stay_below_the_picture() -> None:
    updates = play(lambda t: [person(300, 500 + 20 * t)], 5.0, 10)
    assert updates[-1][1].tracks[0].box[3] > HEIGHT


def test_a_lamp_post_that_the_model_half_takes_for_a_person_is_furniture() -> None:
    rng = np.random.default_rng(1)
    post = person(500, 200, 70)
    updates = play(lambda _: [(post[0], float(rng.uniform(0.3, 0.59)), post[2])], 60.0, 5, moving=False)
    assert not tracks_of(updates)


def test_a_person_who_only_stands_is_believed_after_five_sure_looks_over_two_seconds() -> None:
    updates = play(lambda _: [person(500, score=0.8)], 5.0, 5, moving=False)
    first_s = min(time_s for time_s, update in updates if update.tracks)
    assert 2.0 <= first_s <= 2.2
    assert updates[10][1].tracks or updates[11][1].tracks


def test_a_walker_is_not_caught_by_the_lamp_post_he_passes() -> None:
    tracker, post = Tracker(WIDTH, HEIGHT), person(400, 300, 76, 0.45)
    last: tuple[Track, ...] = ()
    for number in range(150):
        time_s = number / 10
        walker = person(100 + 60 * (time_s - 4), 302, 80, 0.7)
        seen = [post] if time_s < 4 or time_s > 10 else [post, walker]
        moved = [walker[2]] if 4 <= time_s <= 10 else []
        last = tracker.update(detections(seen), time_s, motion(*moved, time_s=time_s)).tracks
        assert len(last) <= 1
    assert not last, "when the walker has left, nobody is there"


def test_what_wavers_between_car_bus_and_truck_is_one_track_and_votes() -> None:
    names = ["car", "bus", "car", "truck", "car", "car"]
    updates = play(lambda t: [person(100 + 50 * t, label=names[round(t * 10) % 6])], 5, 10)
    found = tracks_of(updates)
    assert len(found) == 1
    assert found[1][-1][1].label == "car"


def test_a_car_never_goes_on_as_a_person() -> None:
    updates = play(lambda t: [person(300 + 20 * t, label="car" if t < 2 else "person")], 5, 10)
    labels = {track_id: {track.label for _, track in samples} for track_id, samples in tracks_of(updates).items()}
    assert labels == {1: {"car"}, 2: {"person"}}


def test_a_weak_box_that_is_what_moves_is_enough_where_nobody_else_is() -> None:
    def cars(t: float) -> list[Seen]:
        return [("car", 0.25, (100 + 90 * t, 200, 250 + 90 * t, 300))]

    assert len(tracks_of(play(cars, 4.0, 5))) == 1
    assert not tracks_of(play(cars, 4.0, 5, moving=False))


def test_a_second_box_on_the_same_person_is_no_second_person() -> None:
    def story(t: float) -> list[Seen]:
        x = 100 + 50 * t
        return [person(x), ("person", 0.45, (x - 14, 262, x + 20, 302))]

    assert len(tracks_of(play(story, 6.0, 10))) == 1


def test_held_objects_stay_where_they_are_until_the_next_look() -> None:
    tracker = Tracker(WIDTH, HEIGHT)
    for number in range(10):
        box = person(300 + 2 * number)[2]
        tracker.update(detections([person(300 + 2 * number)]), number / 10, motion(box))
    before = tracker.update(detections([person(320)]), 1.0, motion()).tracks[0]
    for number in range(11, 600):
        update = tracker.hold(number / 10)
        assert [(t.track_id, t.state) for t in update.tracks] == [(before.track_id, "held")]
    assert update.tracks[0].box == pytest.approx(before.box, abs=1.0)
    again = tracker.update(detections([person(320)]), 60.0, motion())
    assert [(t.track_id, t.state) for t in again.tracks] == [(before.track_id, "seen")]


def test_what_a_second_of_looks_missed_before_the_detector_was_spared_is_not_held() -> None:
    tracker = Tracker(WIDTH, HEIGHT)
    for number in range(10):
        tracker.update(detections([person(300 + 5 * number)]), number / 10)
    for number in range(10, 18):
        tracker.update(detections([]), number / 10)
    assert tracker.hold(1.9).tracks == ()
    assert tracker.hold(4.0).ended == (1,)


def test_one_missed_look_does_not_lose_who_stands_but_a_second_verification_that_misses_does() -> None:
    tracker = Tracker(WIDTH, HEIGHT)
    for number in range(10):
        tracker.update(detections([person(300)]), number / 10)
    tracker.update(detections([]), 1.0)
    (held,) = tracker.hold(1.1).tracks
    assert (held.state, [sample.media_time_s for sample in held.earlier]) == ("held", [1.0])
    assert [track.track_id for track in tracker.hold(9.0).tracks] == [1]
    assert tracker.update(detections([]), 9.1).tracks == ()
    assert tracker.hold(9.2).tracks == ()
    assert tracker.hold(12.0).ended == (1,)


def test_a_lamp_post_seen_once_and_held_for_long_has_not_walked_to_the_next_lamp_post() -> None:
    tracker, posts = Tracker(WIDTH, HEIGHT), (person(200, score=0.55), person(330, score=0.55))
    for number in range(600):
        time_s = number / 10
        seen = [posts[number // 100 % 2]] if number % 100 < 2 else None
        update = (
            tracker.hold(time_s) if seen is None else tracker.update(detections(seen), time_s, motion(time_s=time_s))
        )
        assert not update.tracks


def test_finish_ends_what_is_open() -> None:
    tracker = Tracker(WIDTH, HEIGHT)
    for number in range(5):
        tracker.update(detections([person(300 + 5 * number)]), number / 10)
    assert tracker.finish() == (1,)
    assert tracker.finish() == ()


def test_a_day_of_passers_by_and_flickering_bushes_leaves_nothing_behind() -> None:
    tracker, rng = Tracker(WIDTH, HEIGHT), np.random.default_rng(7)
    sizes = []
    for number in range(6000):
        time_s = number / 2
        x = (number % 20) * 40.0
        bush = person(float(rng.uniform(0, WIDTH)), float(rng.uniform(80, HEIGHT)), score=0.35)
        tracker.update(detections([person(x), bush]), time_s, motion(person(x)[2]))
        sizes.append(tracker.state_size())
    assert max(sizes[3000:]) <= max(sizes[:3000]) + 5
    assert max(sizes) < 200


@pytest.mark.parametrize("name", NAMES)
def test_the_library_trackers_keep_the_same_contract(name: str) -> None:
    tracker = LibraryTracker(name=name)
    seen: set[int] = set()
    for number in range(60):
        update = tracker.update(
            detections([person(100 + 6 * number), person(100 + 6 * number, label="car")]), number / 10
        )
        seen |= {track.track_id for track in update.tracks}
    assert {track.label for track in update.tracks} == {"person", "car"}
    held = tracker.hold(6.0)
    assert {track.track_id for track in held.tracks} <= seen
    ended = tracker.update(detections([]), 9.0).ended
    assert set(ended) == {track.track_id for track in held.tracks}


boxes = st.tuples(
    st.floats(-50, 750), st.floats(-50, 550), st.floats(4, 200), st.floats(8, 200), st.floats(0.05, 1.0),
    st.sampled_from(["person", "car", "bus", "dog"]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(boxes, max_size=6), min_size=2, max_size=25), st.lists(st.booleans(), min_size=25, max_size=25)
)
def test_any_detections_give_ordered_unique_ids_that_do_not_return(
    frames: list[list[tuple[float, float, float, float, float, str]]], looked: list[bool]
) -> None:
    tracker, again = Tracker(WIDTH, HEIGHT), Tracker(WIDTH, HEIGHT)
    ended: set[int] = set()
    last_s: dict[int, float] = {}
    for number, rows in enumerate(frames):
        time_s = number / 5
        seen = [(label, score, (x, y, x + w, y + h)) for x, y, w, h, score, label in rows]
        update, same = (
            one.update(detections(seen), time_s) if looked[number] else one.hold(time_s) for one in (tracker, again)
        )
        assert update == same
        ids = [track.track_id for track in update.tracks]
        assert ids == sorted(set(ids))
        ended |= set(update.ended)
        assert not ended & set(ids)
        for track in update.tracks:
            assert np.isfinite(track.box).all()
            times = [sample.media_time_s for sample in track.earlier]
            assert times == sorted(set(times))
            assert all(last_s.get(track.track_id, -1.0) < moment < time_s for moment in times)
            last_s[track.track_id] = time_s
