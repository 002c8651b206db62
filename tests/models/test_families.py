"""Every family against graphs in its published output layout: the right boxes, in source pixels, with our labels."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import models.family
from models.boxes import GROUPS
from models.family import families
from models.load import load_detector
from models.types import LABELS, ModelError
from pipeline.types import GROUPS as PIPELINE_GROUPS
from tests.models.graphs import constant_graph, echo_graph

HEIGHT, WIDTH = 64, 96
CELLS = (HEIGHT // 8) * (WIDTH // 8) + (HEIGHT // 16) * (WIDTH // 16) + (HEIGHT // 32) * (WIDTH // 32)
COCO_NAMES = {number: f"class{number}" for number in range(80)} | {0: "person", 2: "car", 7: "truck"}
ULTRALYTICS = {"names": repr(COCO_NAMES), "stride": "32", "task": "detect"}
PICTURE = np.zeros((HEIGHT * 2, WIDTH * 2, 3), np.uint8)
"""Twice the network's input, so that boxes in source pixels are twice those of the network."""


def seen(path, **options):
    """[(label, score, box)] that a detector finds in the picture."""
    found = load_detector(str(path), **options).detect([PICTURE])[0]
    names = found.data["class_name"]
    assert [LABELS[number] for number in found.class_id] == list(names)
    return [
        (str(n), round(float(s), 3), b.round(2).tolist())
        for n, s, b in zip(names, found.confidence, found.xyxy, strict=True)
    ]


def logit(share):
    return float(np.log(share / (1 - share)))


def test_all_families_are_found_by_their_file_names():
    assert set(families()) == {"nanodet", "yolo", "yolox", "detr"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("import nowhere_to_be_found\n", "models/family_odd.py: a detector family that does not import"),
        ("answer = 42\n", "models/family_odd.py: expected one subclass of Family, found 0"),
    ],
)
def test_a_broken_family_file_is_refused_with_its_name(content, sentence, tmp_path, monkeypatch):
    (tmp_path / "family_odd.py").write_text(content)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    with pytest.raises(ModelError, match=sentence):
        models.family._family_of(tmp_path / "family_odd.py")
    sys.modules.pop("models.family_odd", None)


def test_labels_suppressed_together_are_those_that_the_tracker_groups():
    ours = {group for group in PIPELINE_GROUPS.values() if group != ("object",)}
    assert {frozenset(group) for group in GROUPS} == {frozenset(group) for group in ours}


def test_nanodet_plus_anchors_sit_on_cell_corners(tmp_path):
    bins, strides = 8, (8, 16, 32, 64)
    cells = [(-(-HEIGHT // s)) * (-(-WIDTH // s)) for s in strides]
    output = np.zeros((1, sum(cells), 80 + 4 * bins), np.float32)
    row = cells[0] + 1 * (WIDTH // 16) + 2  # stride 16, row 1, column 2: the point (32, 16)
    output[0, row, 2] = 0.8
    sharp = np.full((4, bins), -50.0, np.float32)
    for side, steps in enumerate((1, 0, 2, 3)):
        sharp[side, steps] = 50.0
    output[0, row, 80:] = sharp.ravel()
    path = constant_graph(tmp_path / "plus.onnx", {"output": output}, size=(HEIGHT, WIDTH))
    assert seen(path) == [("car", 0.8, [32.0, 32.0, 128.0, 128.0])]


def test_yolo_anchor_free(tmp_path):
    output = np.zeros((1, 84, CELLS), np.float32)
    output[0, :4, 5] = (40, 30, 20, 10)
    output[0, 4 + 7, 5] = 0.7
    output[0, :4, 6] = (40, 30, 20, 10)
    output[0, 4 + 2, 6] = 0.6  # the same thing as a car: one of the two stays
    output[0, :4, 7] = (10, 10, 8, 8)
    output[0, 4 + 56, 7] = 0.9  # rather a chair than a person
    output[0, 4, 7] = 0.4
    path = constant_graph(tmp_path / "v8.onnx", {"output0": output}, size=(HEIGHT, WIDTH), metadata=ULTRALYTICS)
    assert seen(path) == [("truck", 0.7, [60.0, 50.0, 100.0, 70.0])]


def test_yolo_anchor_free_is_recognised_without_metadata(tmp_path):
    output = np.zeros((1, 84, CELLS), np.float32)
    output[0, :5, 0] = (40, 30, 20, 10, 0.5)
    path = constant_graph(tmp_path / "v8.onnx", {"output0": output}, size=(HEIGHT, WIDTH))
    assert seen(path) == [("person", 0.5, [60.0, 50.0, 100.0, 70.0])]


def test_yolo_with_anchors_multiplies_object_and_class_score(tmp_path):
    output = np.zeros((1, 3 * CELLS, 85), np.float32)
    output[0, 11, :5] = (40, 30, 20, 10, 0.5)
    output[0, 11, 5] = 0.8
    path = constant_graph(tmp_path / "v5.onnx", {"output": output}, size=(HEIGHT, WIDTH))
    assert seen(path) == [("person", 0.4, [60.0, 50.0, 100.0, 70.0])]


def test_yolo_end_to_end_is_not_suppressed_again(tmp_path):
    output = np.zeros((1, 300, 6), np.float32)
    output[0, 0] = (10, 5, 30, 25, 0.9, 0)
    output[0, 1] = (10, 5, 30, 25, 0.8, 0)
    output[0, 2] = (10, 5, 30, 25, 0.7, 61)
    path = constant_graph(tmp_path / "v10.onnx", {"output0": output}, size=(HEIGHT, WIDTH), metadata=ULTRALYTICS)
    box = [20.0, 10.0, 60.0, 50.0]
    assert seen(path) == [("person", 0.9, box), ("person", 0.8, box)]


@pytest.mark.parametrize("decoded", [False, True])
def test_yolox_with_and_without_its_grid(tmp_path, decoded):
    output = np.zeros((1, CELLS, 85), np.float32)
    row = (HEIGHT // 8) * (WIDTH // 8) + 1 * (WIDTH // 16) + 2  # stride 16, the cell at (32, 16)
    inside = (40, 24, 32, 16) if decoded else (0.5, 0.5, np.log(2.0), np.log(1.0))
    output[0, row, :5] = (*inside, 0.9)
    output[0, row, 5 + 2] = 0.5
    metadata = {"decoded": "true"} if decoded else {}
    path = constant_graph(tmp_path / "x.onnx", {"output": output}, size=(HEIGHT, WIDTH), metadata=metadata)
    assert seen(path) == [("car", 0.45, [48.0, 32.0, 112.0, 64.0])]


def test_rt_detr_and_d_fine_are_asked_for_boxes_in_the_size_of_the_input(tmp_path):
    outputs = {
        "labels": np.array([[0, 2, 9, 0]], np.int64),
        "boxes": np.array([[[1, 2, 11, 22], [5, 5, 9, 9], [0, 0, 9, 9], [0, 0, 9, 9]]], np.float32),
        "scores": np.array([[0.9, 0.5, 0.8, 0.05]], np.float32),
    }
    extra = [("orig_target_sizes", "int64", [1, 2])]
    path = constant_graph(tmp_path / "rt.onnx", outputs, size=(HEIGHT, WIDTH), extra_inputs=extra)
    assert seen(path) == [("person", 0.9, [2.0, 4.0, 22.0, 44.0]), ("car", 0.5, [10.0, 10.0, 18.0, 18.0])]


def test_rf_detr_counts_classes_as_coco_does_with_gaps(tmp_path):
    logits = np.full((1, 300, 91), -20.0, np.float32)
    logits[0, 4, 1], logits[0, 9, 18] = logit(0.75), logit(0.5)  # person is 1, dog is 18
    boxes = np.zeros((1, 300, 4), np.float32)
    boxes[0, 4], boxes[0, 9] = (0.5, 0.5, 0.25, 0.5), (0.25, 0.25, 0.5, 0.5)
    path = constant_graph(tmp_path / "rf.onnx", {"dets": boxes, "labels": logits}, size=(HEIGHT, WIDTH))
    assert seen(path) == [("person", 0.75, [72.0, 32.0, 120.0, 96.0]), ("dog", 0.5, [0.0, 0.0, 96.0, 64.0])]


def test_transformers_export_of_a_detr(tmp_path):
    logits = np.full((1, 300, 80), -20.0, np.float32)
    logits[0, 4, 2] = logit(0.75)
    boxes = np.zeros((1, 300, 4), np.float32)
    boxes[0, 4] = (0.5, 0.5, 0.25, 0.5)
    outputs = {"logits": logits, "pred_boxes": boxes}
    path = constant_graph(tmp_path / "hf.onnx", outputs, size=(HEIGHT, WIDTH), picture_name="pixel_values")
    assert seen(path) == [("car", 0.75, [72.0, 32.0, 120.0, 96.0])]


def test_ultralytics_export_of_rt_detr_is_no_yolo(tmp_path):
    output = np.zeros((1, 300, 84), np.float32)
    output[0, 7, :4], output[0, 7, 4] = (0.5, 0.5, 0.25, 0.5), 0.6
    path = constant_graph(tmp_path / "r.onnx", {"output0": output}, size=(HEIGHT, WIDTH), metadata=ULTRALYTICS)
    assert load_detector(str(path)).family.name == "detr"
    assert seen(path) == [("person", 0.6, [72.0, 32.0, 120.0, 96.0])]


def test_pictures_arrive_in_the_colours_and_range_that_a_family_wants(tmp_path):
    """The graph answers its mean input colours; a YOLO wants red, green, blue from 0 to 1."""
    path = echo_graph(tmp_path / "echo.onnx", (64, 96), ULTRALYTICS)
    detector = load_detector(str(path))
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:] = (51, 102, 204)
    box = detector.detect([picture])[0].xyxy[0]
    np.testing.assert_allclose(box[:3], (0.8, 0.4, 0.2), atol=1e-4)


def test_letterboxing_is_undone_where_the_picture_lies_in_the_middle(tmp_path):
    output = np.zeros((1, 300, 6), np.float32)
    output[0, 0] = (0, 16, 96, 48, 0.9, 0)  # exactly the picture inside 96 x 64, bars of 16 above and below
    path = constant_graph(tmp_path / "v10.onnx", {"output0": output}, size=(64, 96), metadata=ULTRALYTICS)
    detector = load_detector(str(path))
    wide = np.zeros((100, 300, 3), np.uint8)
    assert detector.analysis_size(300, 100) == (96, 32)
    assert detector.detect([wide])[0].xyxy.tolist() == [[0.0, 0.0, 300.0, 100.0]]


def test_a_graph_fixed_to_one_batch_takes_many_pictures(tmp_path):
    output = np.zeros((1, 300, 6), np.float32)
    output[0, 0] = (0, 0, 96, 64, 0.9, 0)
    path = constant_graph(tmp_path / "v10.onnx", {"output0": output}, size=(64, 96), metadata=ULTRALYTICS)
    assert [len(one) for one in load_detector(str(path)).detect([PICTURE] * 3)] == [1, 1, 1]


def test_an_unknown_graph_is_refused_with_what_it_has_and_what_is_known(tmp_path):
    path = constant_graph(tmp_path / "odd.onnx", {"heat": np.zeros((1, 7, 5, 5), np.float32)})
    with pytest.raises(ModelError) as refusal:
        load_detector(str(path))
    text = str(refusal.value)
    assert "heat [1, 7, 5, 5]" in text
    assert all(name in text for name in ("nanodet:", "yolo:", "yolox:", "detr:"))
    assert "\n" not in text


def test_a_stated_family_that_does_not_fit_is_refused(tmp_path):
    path = constant_graph(tmp_path / "odd.onnx", {"heat": np.zeros((1, 7, 5, 5), np.float32)})
    for name in families():
        with pytest.raises(ModelError, match="heat"):
            load_detector(str(path), family=name)
    with pytest.raises(ModelError, match="unknown detector family fancy; known: detr, nanodet, yolo, yolox"):
        load_detector(str(path), family="fancy")


def test_classes_without_names_are_not_guessed(tmp_path):
    output = np.zeros((1, 4 + 3, CELLS), np.float32)
    path = constant_graph(tmp_path / "own.onnx", {"output0": output}, size=(HEIGHT, WIDTH))
    with pytest.raises(ModelError, match="cannot tell the names of its 3 classes"):
        load_detector(str(path))
