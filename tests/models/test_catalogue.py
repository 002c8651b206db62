"""The catalogue and the command `gatewatch models`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gatewatch.commands.models import app
from models.catalogue import catalogue, find, verify
from models.family import families
from models.load import load_detector
from models.types import ModelError


def run(*words):
    return CliRunner().invoke(app, list(words))


def test_every_row_has_a_family_a_licence_and_a_place():
    for row in catalogue().values():
        assert row.family in families(), row.name
        assert row.licence, row.name
        assert row.source, row.name
        assert row.input_px % 32 == 0, row.name
        assert len(row.sha256) in (0, 64)
        assert bool(row.how) == (row.origin == "export"), row.name


@pytest.mark.parametrize("row", [row for row in catalogue().values() if row.origin == "embedded"], ids=lambda r: r.name)
def test_embedded_weights_are_those_of_the_catalogue(row):
    assert verify(row) == row.sha256
    assert row.path.parent.joinpath("NOTICE").is_file()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ModelError, match="no weights called nanodet; the catalogue has: nanodet-g, nanodet-g-int8"):
        load_detector("nanodet")


@pytest.mark.parametrize(("name", "hint"), [("yolox-s", "models pull yolox-s"), ("d-fine-s", "export_onnx.py")])
def test_weights_that_are_not_here_say_how_to_get_them(name, hint, tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWATCH_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match=hint) as refusal:
        load_detector(name)
    assert str(tmp_path / find(name).file) in str(refusal.value)


def test_altered_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEWATCH_WEIGHTS", str(tmp_path))
    row = find("rf-detr-nano")
    row.path.write_bytes(find("nanodet-g").path.read_bytes())
    with pytest.raises(ModelError, match=f"damaged or another file: expected SHA-256 {row.sha256}"):
        load_detector(row.name)
    done = run("verify", row.name)
    assert isinstance(done.exception, ModelError)


def test_list_and_verify(monkeypatch, tmp_path):
    monkeypatch.setenv("GATEWATCH_WEIGHTS", str(tmp_path))
    monkeypatch.delenv("COLUMNS", raising=False)
    listed = run("list").output
    for row in catalogue().values():
        # Read by a script as well: one line a row, and no licence or source cut off.
        line = next(line for line in listed.splitlines() if line.startswith(f"{row.name} "))
        assert row.licence in line
        assert row.source in line
    assert str(tmp_path) in listed
    checked = run("verify")
    assert checked.exit_code == 0
    assert [line.split(":")[0] for line in checked.output.splitlines()] == ["nanodet-g", "nanodet-g-int8"]


@pytest.mark.parametrize("wrong", ["", "[[weights]]\nname = 3", "[[weights", '[[weights]]\nname = "a"\nfamly = "b"'])
def test_a_broken_catalogue_gives_one_sentence(wrong, tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text(wrong)
    if not wrong:
        assert catalogue(path) == {}
        return
    with pytest.raises(ModelError, match=r"catalogue\.toml: not a catalogue of weights"):
        catalogue(path)
