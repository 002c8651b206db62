from __future__ import annotations

import pytest

from pipeline.types import Sample, Track, TrackedFrame
from rules.stitch import Stitcher
from tests.rules.scenes import HEIGHT, WIDTH, box_at

STEP_S = 0.2


def shown(time_s: float, *tracks: Track, ended: tuple[int, ...] = ()) -> TrackedFrame:
    return TrackedFrame("cam", 0, time_s, None, WIDTH, HEIGHT, tracks, ended)


def track(track_id: int, x: float, y: float, label: str = "person", *, height: float = 100, **more) -> Track:
    return Track(track_id, label, 0.9, box_at((x, y), height * 0.4, height), **more)


def walked(stitcher: Stitcher, begin: float, speed: float, seconds: float = 2.0, y: float = 0.6) -> float:
    """Track 1 goes right at this speed (picture widths a second); returns when and leaves where it was last seen."""
    time_s = 0.0
    for k in range(round(seconds / STEP_S) + 1):
        time_s = k * STEP_S
        stitcher.update(shown(time_s, track(1, begin + speed * time_s, y)))
    return time_s


def object_of(stitcher: Stitcher, frame: TrackedFrame, track_id: int) -> int:
    present, _ = stitcher.update(frame)
    return next(one.tracked.object_id for one in present if one.track.track_id == track_id)


@pytest.mark.parametrize(
    ("story", "gap_s", "new", "same"),
    [
        ("where it was", 0.2, track(2, 0.50, 0.6), True),
        ("where it would have gone", 1.0, track(2, 0.60, 0.6), True),
        ("it stood still meanwhile", 1.0, track(2, 0.50, 0.6), True),
        ("half a box beside its way", 1.0, track(2, 0.55, 0.68), True),
        ("two boxes beside its way", 1.0, track(2, 0.60, 0.95), False),
        ("far ahead", 0.4, track(2, 0.80, 0.6), False),
        ("where it came from", 0.4, track(2, 0.30, 0.6), False),
        ("a car", 0.2, track(2, 0.50, 0.6, "car"), False),
        ("three times as tall", 0.2, track(2, 0.52, 0.767, height=300), False),
        ("after 2.8 s", 2.8, track(2, 0.75, 0.6), True),
        ("after 3.4 s", 3.4, track(2, 0.80, 0.6), False),
    ],
)
def test_who_continues_a_lost_object(story: str, gap_s: float, new: Track, same: bool) -> None:
    stitcher = Stitcher()
    last_s = walked(stitcher, 0.3, 0.1)
    first = next(iter(stitcher.objects))
    stitcher.update(shown(last_s + 0.1))
    assert (object_of(stitcher, shown(last_s + gap_s, new), 2) == first) is same, story
    assert stitcher.stitched == same


def test_an_object_that_is_seen_now_is_continued_by_nobody() -> None:
    stitcher = Stitcher()
    last_s = walked(stitcher, 0.3, 0.1)
    both = shown(last_s + STEP_S, track(1, 0.52, 0.6), track(2, 0.53, 0.6))
    assert object_of(stitcher, both, 2) != object_of(stitcher, shown(last_s + 2 * STEP_S, track(1, 0.54, 0.6)), 1)


def test_of_two_new_tracks_the_nearer_one_continues() -> None:
    stitcher = Stitcher()
    last_s = walked(stitcher, 0.3, 0.1)
    first = next(iter(stitcher.objects))
    present, _ = stitcher.update(shown(last_s + 0.4, track(2, 0.59, 0.62), track(3, 0.54, 0.6)))
    assert {one.track.track_id: one.tracked.object_id == first for one in present} == {2: False, 3: True}


def test_a_broken_track_may_be_known_late_and_its_looks_count() -> None:
    stitcher = Stitcher()
    last_s = walked(stitcher, 0.3, 0.1)
    stitcher.update(shown(last_s + 0.6, ended=(1,)))
    looks = tuple(Sample(last_s + t, box_at((0.5 + 0.1 * t, 0.6))) for t in (0.4, 0.6))
    present, _ = stitcher.update(shown(last_s + 0.8, track(2, 0.58, 0.6, earlier=looks)))
    assert [round(s.media_time_s - last_s, 2) for s in present[0].samples] == [0.4, 0.6, 0.8]
    assert present[0].tracked.track_ids == [1, 2]


def test_who_left_the_picture_is_not_continued_by_the_next_one_through_the_same_gate() -> None:
    stitcher = Stitcher()
    last_s = walked(stitcher, 0.78, 0.1)
    stitcher.update(shown(last_s + STEP_S, ended=(1,)))
    assert object_of(stitcher, shown(last_s + 1.5, track(2, 0.99, 0.6)), 2) != 1


def test_the_old_track_comes_back_beside_its_continuation_as_another_object() -> None:
    stitcher = Stitcher()
    last_s = walked(stitcher, 0.3, 0.1)
    assert object_of(stitcher, shown(last_s + 0.4, track(2, 0.54, 0.6)), 2) == 1
    assert object_of(stitcher, shown(last_s + 0.6, track(1, 0.3, 0.6), track(2, 0.56, 0.6)), 1) == 2
    assert object_of(stitcher, shown(last_s + 0.8, track(1, 0.3, 0.6), track(2, 0.58, 0.6)), 2) == 1


def test_the_end_of_a_track_that_is_continued_is_not_the_objects_end() -> None:
    stitcher = Stitcher()
    last_s = walked(stitcher, 0.3, 0.1)
    _, ended = stitcher.update(shown(last_s + 0.4, track(2, 0.54, 0.6), ended=(1,)))
    assert ended == []
    _, ended = stitcher.update(shown(last_s + 0.6, ended=(2,)))
    assert ended == [1]


def test_samples_out_of_order_are_dropped_and_counted() -> None:
    stitcher = Stitcher()
    stitcher.update(shown(1.0, track(1, 0.3, 0.6)))
    stale = (Sample(0.9, box_at((0.3, 0.6))), Sample(1.1, box_at((0.31, 0.6))))
    present, _ = stitcher.update(shown(1.2, track(1, 0.32, 0.6, earlier=stale)))
    assert [s.media_time_s for s in present[0].samples] == [1.1, 1.2]
    assert stitcher.samples_dropped == 1


def test_a_track_that_never_ends_is_let_go() -> None:
    stitcher = Stitcher()
    stitcher.update(shown(0.0, track(1, 0.3, 0.6)))
    ended = []
    for second in range(1, 80):
        ended += stitcher.update(shown(float(second)))[1]
        stitcher.expired(float(second))
    assert ended == [1]
    assert not stitcher.objects
