"""Networks built by Ultralytics from their descriptions (random weights), exported, and run by us and by Ultralytics.

Needs the extra `ultralytics`, which is not in the test set-up: docs/detectors.md says how to run this file.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types

import numpy as np
import pytest

from models.types import LABELS

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("ultralytics") is None,
        reason="needs the extra `ultralytics` (AGPL-3.0, not in the test set-up): docs/detectors.md says how",
    ),
    pytest.mark.filterwarnings("ignore"),  # torch and its exporter warn about themselves
]

BOXES = 30
SLACK = 0.005
"""By how much two runtimes may differ in a score."""
OURS_IN_COCO = [0, 1, 2, 3, 5, 7, 24, 26, 28, 15, 16]


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    monkeypatch.setenv("YOLO_AUTOINSTALL", "False")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("GATEWATCH_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture(scope="module", autouse=True)
def _suppression_without_torchvision():
    """torchvision does not load beside every build of torch, and the predictor wants one function of it. With an
    overlap limit of 1 nothing is suppressed, so ordering by score is all that the function does here."""
    try:
        import torchvision  # noqa: F401  # only whether it loads
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        stand_in = types.ModuleType("torchvision")
        stand_in.ops = types.SimpleNamespace(nms=lambda _boxes, scores, _iou: scores.argsort(descending=True))
        sys.modules["torchvision"] = stand_in
        yield
        del sys.modules["torchvision"]
    else:
        yield


def save_random(description, path):
    """A `.pt` file of a network with random weights whose classes are ours more often than chance would have it."""
    import torch
    from ultralytics import YOLO

    torch.manual_seed(3)
    model = YOLO(description)
    # A description carries no names; these are COCO's where they are ours.
    model.model.names = {number: f"other{number}" for number in range(80)} | dict(
        zip(OURS_IN_COCO, LABELS, strict=True)
    )
    head = model.model.model[-1]
    for name in ("cv2", "cv3", "one2one_cv2", "one2one_cv3"):
        for branch in getattr(head, name, None) or ():
            torch.nn.init.normal_(branch[-1].weight, std=0.02 if name.endswith("cv3") else 0.3)
            if name.endswith("cv3"):
                with torch.no_grad():
                    branch[-1].bias.fill_(-4.0)
                    branch[-1].bias[OURS_IN_COCO] = -1.0
    _spread_activations(model.model)
    model.save(path)
    return path


def _spread_activations(network):
    """Lets the normalisation layers see the picture once; untrained, they damp everything to the same value."""
    import torch

    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(picture(320, 320).transpose(2, 0, 1)[None] / 255).float())
    network.eval()


def picture(height, width):
    """Noise in blocks: enough structure that a random network answers differently from place to place."""
    coarse = np.random.default_rng(5).integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    return np.kron(coarse, np.ones((20, 20, 1), np.uint8))


def has(box, score, label, boxes, scores, labels):
    """Whether the same detection is among others."""
    alike = (np.abs(boxes - box).max(axis=1) < 0.5) & (np.abs(scores - score) < SLACK) & (np.array(labels) == label)
    return bool(alike.any())


NETWORKS = [
    ("yolov5n.yaml", False),
    ("yolov8n.yaml", False),
    ("yolo11n.yaml", False),
    ("yolov10n.yaml", False),
    ("yolov10n.yaml", True),
    ("yolo26n.yaml", False),
    ("yolo26n.yaml", True),
]


@pytest.mark.parametrize(("description", "end_to_end"), NETWORKS)
@pytest.mark.parametrize("dynamic", [True, False], ids=["open size", "fixed size"])
def test_boxes_are_those_of_ultralytics_own_predictor(description, end_to_end, dynamic, tmp_path):
    from ultralytics import YOLO

    from models.load import load_detector
    from models.ultralytics_pt import export_pt

    weights = save_random(description, tmp_path / "random.pt")
    path = export_pt(weights, tmp_path / "random.onnx", input_px=320, dynamic=dynamic, end_to_end=end_to_end)
    image = picture(200 if dynamic else 320, 320)
    detector = load_detector(str(path), input_px=320, min_score=0.0, nms_iou=1.0)
    assert detector.family.one_box_per_object == end_to_end
    everything = detector.detect([image])[0]
    threshold = float(everything.confidence[BOXES])
    # Each is asked for slightly weaker boxes too, so that no rounding at the threshold decides.
    options = {"imgsz": 320, "conf": threshold - SLACK, "iou": 1.0, "classes": OURS_IN_COCO, "verbose": False}
    options |= {"nms": False} if end_to_end else {}
    theirs = YOLO(weights).predict(image, device="cpu", **options)[0].boxes
    names = dict(zip(OURS_IN_COCO, LABELS, strict=True))
    their_boxes, their_scores = theirs.xyxy.numpy(), theirs.conf.numpy()
    their_labels = [names[int(number)] for number in theirs.cls]
    # Ultralytics clips its boxes to the picture, we do not.
    our_boxes = np.clip(everything.xyxy, 0, [image.shape[1], image.shape[0]] * 2)
    ours = list(zip(our_boxes, everything.confidence, everything.data["class_name"], strict=True))
    for box, score, label in ours[:BOXES]:
        assert has(box, score, label, their_boxes, their_scores, their_labels)
    others = (our_boxes, everything.confidence, everything.data["class_name"])
    strong = [one for one in zip(their_boxes, their_scores, their_labels, strict=True) if one[1] >= threshold]
    assert len(strong) >= BOXES // 2
    for box, score, label in strong:
        assert has(box, score, label, *others)


def test_pt_weights_run_and_are_exported_only_once(tmp_path):
    from models.load import load_detector

    weights = save_random("yolo11n.yaml", tmp_path / "mine.pt")
    first = load_detector(str(weights), input_px=320)
    (kept,) = (tmp_path / "weights" / "exported").glob("mine-*.onnx")
    before = kept.stat().st_mtime_ns
    second = load_detector(str(weights), input_px=320)
    assert kept.stat().st_mtime_ns == before
    assert first.weights_sha256 == second.weights_sha256
    assert first.family.name == "yolo"
    assert os.environ["YOLO_AUTOINSTALL"] == "False"


def test_a_broken_pt_file_gives_one_sentence(tmp_path):
    from models.load import load_detector
    from models.types import ModelError

    (tmp_path / "broken.pt").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="Ultralytics cannot export it"):
        load_detector(str(tmp_path / "broken.pt"))
