"""Tracks against true tracks: who is scored and who is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.events import LINES, load_scene, random_scene, true_frames
from benchmarks.events import SCENE as SCENE_FILE
from benchmarks.mot import score_tracks
from benchmarks.truth import TruthError, TruthFrame, iou_matrix, load_truth
from pipeline.types import Box


def frame(*people: tuple[int, float, bool]) -> TruthFrame:
    boxes = np.array([(x, 0.0, x + 10, 30.0) for _, x, _ in people]).reshape(-1, 4)
    return TruthFrame(
        ids=np.array([number for number, _, _ in people], dtype=np.int64),
        boxes=boxes,
        evaluate=np.array([asked for _, _, asked in people], dtype=bool),
    )


def box(x: float) -> Box:
    return (x, 0.0, x + 10, 30.0)


def test_a_perfect_tracker_scores_one() -> None:
    truth = [frame((1, 10.0 + k, True), (2, 200.0 - k, True)) for k in range(20)]
    found = {k: [(7, box(10.0 + k)), (9, box(200.0 - k))] for k in range(20)}
    scores = score_tracks(truth, found)
    assert (scores["MOTA"], scores["IDF1"], scores["HOTA"]) == (1.0, 1.0, pytest.approx(1.0))


def test_a_prediction_on_someone_nobody_asks_for_is_neither_right_nor_wrong() -> None:
    truth = [frame((1, 10.0, True), (2, 200.0, False))] * 5
    found = {k: [(1, box(10.0)), (2, box(200.0))] for k in range(5)}
    assert score_tracks(truth, found)["MOTA"] == 1.0


def test_a_prediction_on_nobody_is_wrong() -> None:
    truth = [frame((1, 10.0, True), (2, 200.0, False))] * 5
    scores = score_tracks(truth, {k: [(1, box(10.0)), (2, box(400.0))] for k in range(5)})
    assert (scores["false_positives"], scores["MOTA"]) == (5, 0.0)


def test_swapped_ids_are_counted() -> None:
    truth = [frame((1, 10.0, True), (2, 100.0, True))] * 10
    found = {k: [(1 if k < 5 else 2, box(10.0)), (2 if k < 5 else 1, box(100.0))] for k in range(10)}
    scores = score_tracks(truth, found)
    assert scores["id_switches"] == 2
    assert scores["IDF1"] == 0.5


def test_truth_is_read_by_frame(tmp_path: Path) -> None:
    file = tmp_path / "gt.txt"
    file.write_text("1,4,10,20,30,40,1,1,1\n3,4,11,20,30,40,0,1,1\n")
    truth = load_truth(file, frames=4)
    assert [len(one.ids) for one in truth] == [1, 0, 1, 0]
    assert truth[0].boxes.tolist() == [[10, 20, 40, 60]]
    assert not truth[2].evaluate.any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("1,2,x,4,5,6,7\n", "line 1: expected numbers"),
        ("1,2,3\n", "line 1: expected 7 columns or more"),
    ],
)
def test_bad_truth_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "gt.txt"
    file.write_text(text)
    with pytest.raises(TruthError, match=said):
        load_truth(file)


def test_missing_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="no such truth file"):
        load_truth(tmp_path / "gt.txt")


def test_overlap_is_intersection_over_union() -> None:
    a, b = np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30]])
    assert iou_matrix(a, b)[0] == pytest.approx([1 / 3, 1.0, 0.0])


def test_random_lines_are_the_same_every_time_and_differ_by_seed() -> None:
    assert random_scene(1) == random_scene(1)
    assert random_scene(1).lines != random_scene(2).lines
    assert len(random_scene(3).lines) == LINES


def test_the_committed_scene_has_enough_true_events(truth: Path) -> None:
    events = load_scene(SCENE_FILE).events(true_frames(load_truth(truth / "pets09-s2l1.csv"), 10.0, (768, 576)))
    assert len(events) >= 60
    assert {event.kind for event in events} == {"intrusion", "loitering", "line_crossing"}
