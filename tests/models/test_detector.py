"""The embedded detectors on real footage, and what holds for every detector of the catalogue that is embedded."""

from __future__ import annotations

import csv
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import onnxruntime
import pytest

from models.boxes import RawBoxes, suppress
from models.frames import sample_frames
from models.load import load_detector
from models.types import LABELS, ModelError

EMBEDDED = ("nanodet-g", "nanodet-g-int8")
SOURCE = (768, 576)


@pytest.fixture(scope="module")
def frames(footage):
    return sample_frames(footage / "vtest.avi", 6)


@pytest.fixture(scope="module")
def detectors():
    return {name: load_detector(name) for name in EMBEDDED}


def reduced(frame, size=(448, 336)):
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def same(one, two):
    return (
        np.array_equal(one.xyxy, two.xyxy)
        and np.array_equal(one.confidence, two.confidence)
        and np.array_equal(one.class_id, two.class_id)
    )


def overlaps(box, boxes):
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return shared / (np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared)


def test_people_of_the_true_scene_are_found(detectors, footage, truth):
    """Every tenth second: at least 85 % of the people are found, and at most one box in ten is false."""
    rows = _truth_by_frame(truth / "pets09-s2l1.csv")
    found = matched = people = 0
    for number, frame in _frames_by_number(footage / "vtest.avi", range(40, 795, 100)):
        seen = detectors["nanodet-g"].detect([frame])[0]
        boxes = seen.xyxy[(seen.confidence >= 0.4) & (seen.data["class_name"] == "person")]
        truths = rows[number]
        people, found = people + len(truths), found + len(boxes)
        matched += sum(overlaps(person, boxes).max() >= 0.5 for person in truths)
    assert people > 30
    assert matched / people >= 0.85
    assert matched / found >= 0.9


def _truth_by_frame(path):
    rows: dict[int, list[np.ndarray]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            if row["evaluate"] == "1":
                left, top, width, height = (float(row[key]) for key in ("left", "top", "width", "height"))
                # The truth counts frames from 1.
                rows.setdefault(int(row["frame"]) - 1, []).append(np.array([left, top, left + width, top + height]))
    return rows


def _frames_by_number(path, numbers):
    capture = cv2.VideoCapture(str(path))
    for number in range(max(numbers) + 1):
        capture.grab()
        if number in numbers:
            yield number, capture.retrieve()[1]


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_same_bits_for_any_batch_and_any_number_of_threads(name, detectors, frames):
    pictures = [reduced(frame) for frame in frames[:4]]
    alone = [detectors[name].detect([one], [SOURCE])[0] for one in pictures]
    for size in (2, 3, 4):
        together = detectors[name].detect(pictures[:size], [SOURCE] * size)
        assert all(same(one, two) for one, two in zip(together, alone[:size], strict=True))
    two_threads = load_detector(name, threads=2)
    assert all(same(two_threads.detect([one], [SOURCE])[0], two) for one, two in zip(pictures, alone, strict=True))
    with ThreadPoolExecutor(2) as pool:
        shared = list(pool.map(lambda one: detectors[name].detect([one], [SOURCE])[0], pictures * 2))
    assert all(same(one, two) for one, two in zip(shared, alone * 2, strict=True))


def test_int8_agrees_with_float_on_real_footage(detectors, footage):
    """The gate of the int8 variant: what the float one is sure of, at the same place, with about the same score."""
    agreed = sure = 0
    differences = []
    for clip in ("vtest.avi", "car-detection.mp4", "one-by-one-person-detection.mp4"):
        for frame in sample_frames(footage / clip, 7):
            one, two = (detectors[name].detect([frame])[0] for name in EMBEDDED)
            for box, score, number in zip(one.xyxy, one.confidence, one.class_id, strict=True):
                if score < 0.45:
                    continue
                alike = overlaps(box, two.xyxy) if len(two) else np.zeros(1)
                best = int(alike.argmax())
                sure += 1
                agreed += bool(alike[best] >= 0.8 and two.class_id[best] == number)
                differences.append(abs(float(two.confidence[best]) - float(score)) if len(two) else 1.0)
    assert sure > 40
    assert agreed / sure >= 0.97
    assert np.mean(differences) < 0.02


def test_pictures_of_analysis_size_give_boxes_in_source_pixels(detectors, frames):
    detector = detectors["nanodet-g"]
    assert detector.analysis_size(*SOURCE) == (448, 336)
    whole, small = detector.detect([frames[2]])[0], detector.detect([reduced(frames[2])], [SOURCE])[0]
    assert same(whole, small)
    assert whole.xyxy[:, 2].max() > 448


def test_cameras_of_different_shape_go_in_one_call(detectors, frames):
    detector = detectors["nanodet-g"]
    pictures = [frames[0], cv2.resize(frames[1], (640, 360)), frames[2], cv2.rotate(frames[3], cv2.ROTATE_90_CLOCKWISE)]
    together = detector.detect(pictures)
    assert all(same(one, detector.detect([two])[0]) for one, two in zip(together, pictures, strict=True))


def test_detections_are_ordered_labelled_and_reach_beyond_the_picture(detectors, frames):
    results = detectors["nanodet-g"].detect(frames)
    for found in results:
        assert (np.diff(found.confidence) <= 0).all()
        assert found.confidence.min() >= 0.1
        assert [LABELS[number] for number in found.class_id] == list(found.data["class_name"])
    assert (
        min(found.xyxy.min() for found in results) < 0 or max(found.xyxy[:, 2].max() for found in results) > SOURCE[0]
    )


def test_a_black_picture_and_no_picture_give_nothing(detectors):
    assert detectors["nanodet-g"].detect([]) == []
    (nothing,) = load_detector("nanodet-g", min_score=0.5).detect([np.zeros((36, 64, 3), np.uint8)])
    assert len(nothing) == 0
    assert nothing.data["class_name"].shape == (0,)


WRONG_PICTURES = [
    (np.zeros((36, 64), np.uint8), None, r"\(36, 64\) uint8"),
    (np.zeros((36, 64, 3), np.float32), None, "float32"),
    (np.zeros((0, 64, 3), np.uint8), None, r"\(0, 64, 3\)"),
    (np.zeros((36, 64, 3), np.uint8), [], "a source size for each of 1 pictures, found 0"),
]


@pytest.mark.parametrize(("picture", "sizes", "words"), WRONG_PICTURES, ids=[case[2] for case in WRONG_PICTURES])
def test_what_is_no_picture_is_refused(detectors, picture, sizes, words):
    with pytest.raises(ModelError, match=words):
        detectors["nanodet-g"].detect([picture], sizes)


@pytest.mark.parametrize(
    ("source", "size"), [((768, 576), (448, 336)), ((1920, 1080), (448, 252)), ((100, 3000), (15, 448))]
)
def test_analysis_size_keeps_the_aspect_ratio(detectors, source, size):
    detector = detectors["nanodet-g"]
    assert detector.analysis_size(*source) == size
    assert detector.analysis_size(*size) == size


def raw(*rows):
    boxes, scores, labels = zip(*rows, strict=True)
    numbers = np.array([LABELS.index(label) for label in labels])
    return RawBoxes(np.array(boxes, np.float32), np.array(scores, np.float32), numbers)


HERE, CLOSE, AWAY = (0, 0, 10, 20), (1, 0, 11, 20), (50, 0, 60, 20)
SUPPRESSION = [
    ("two on one person", [(HERE, 0.8, "person"), (CLOSE, 0.9, "person")], [1]),
    ("car and truck on one vehicle", [(HERE, 0.5, "car"), (CLOSE, 0.4, "truck")], [0]),
    ("a person on a motorcycle", [(HERE, 0.5, "person"), (CLOSE, 0.4, "motorcycle")], [0, 1]),
    ("apart", [(HERE, 0.3, "person"), (AWAY, 0.4, "person")], [1, 0]),
    ("equal scores keep their order", [(HERE, 0.5, "person"), (CLOSE, 0.5, "person")], [0]),
    ("boxes without area", [((5, 5, 5, 5), 0.5, "car"), ((5, 5, 5, 5), 0.4, "car")], [0, 1]),
]


@pytest.mark.parametrize(("rows", "stay"), [case[1:] for case in SUPPRESSION], ids=[case[0] for case in SUPPRESSION])
def test_one_box_per_thing(rows, stay):
    assert suppress(raw(*rows), 0.6).tolist() == stay


REFUSALS = [
    ({"input_px": 400}, "input_px: expected a multiple of 32, found 400"),
    ({"input_px": 0}, "input_px: expected a multiple of 32, found 0"),
    ({"threads": 0}, "threads: expected at least 1, found 0"),
    ({"min_score": 1.5}, "min_score: expected 0 to 1, found 1.5"),
    ({"nms_iou": -1}, "nms_iou: expected 0 to 1, found -1"),
    ({"providers": ["teleporter"]}, "execution provider teleporter is not in this ONNX Runtime; there are: "),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSALS, ids=[str(case[0]) for case in REFUSALS])
def test_wrong_options_are_refused_in_one_sentence(options, sentence):
    with pytest.raises(ModelError) as refusal:
        load_detector("nanodet-g", **options)
    assert str(refusal.value).startswith(sentence)
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is there")
def test_a_provider_that_is_absent_names_those_there_are():
    with pytest.raises(ModelError, match=r"execution provider cuda .* there are: .*CPUExecutionProvider"):
        load_detector("nanodet-g", providers=["cuda"])


def test_the_environment_chooses_providers_and_threads_for_every_command(monkeypatch):
    monkeypatch.setenv("GATEWATCH_PROVIDERS", "teleporter, cpu")
    with pytest.raises(ModelError, match="execution provider teleporter is not in this ONNX Runtime; there are: "):
        load_detector("nanodet-g")
    assert load_detector("nanodet-g", providers=["cpu"]).providers == ("CPUExecutionProvider",)
    monkeypatch.setenv("GATEWATCH_PROVIDERS", "CPUExecutionProvider")
    monkeypatch.setenv("GATEWATCH_THREADS", "2")
    assert load_detector("nanodet-g").providers == ("CPUExecutionProvider",)
    monkeypatch.setenv("GATEWATCH_THREADS", "many")
    with pytest.raises(ModelError, match="GATEWATCH_THREADS: expected a whole number from 1 to 256, found 'many'"):
        load_detector("nanodet-g")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot read the weights"),
        (b"", "is empty"),
        (b"not a graph", "not a usable ONNX file"),
        ("half", "not a usable"),
    ],
)
def test_missing_and_corrupt_files_are_refused_in_one_sentence(content, sentence, tmp_path):
    path = tmp_path / "weights.onnx"
    if content == "half":
        from models.catalogue import find

        content = find("nanodet-g").path.read_bytes()[:3_000_000]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=sentence) as refusal:
        load_detector(str(path))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_agpl_library_is_never_imported_unasked():
    program = (
        "import sys; from models.load import load_detector; import numpy as np;"
        "load_detector('nanodet-g').detect([np.zeros((36, 64, 3), np.uint8)]);"
        "import gatewatch.commands.models;"
        "print([name for name in ('ultralytics', 'torch', 'onnx', 'models.ultralytics_pt') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pt_weights_without_the_extra_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWATCH_WEIGHTS", str(tmp_path))
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    (tmp_path / "mine.pt").write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"pip install 'gatewatch\[ultralytics\]'"):
        load_detector(str(tmp_path / "mine.pt"))
