"""Runs Ultralytics `.pt` weights: exported once to ONNX, then like any other graph.

This is the only file that imports `ultralytics` (extra `ultralytics`, AGPL-3.0), and only inside the export. A `.pt`
file can run code when it is opened: use only weights from people you trust.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import shutil
import tempfile
from pathlib import Path

from models.catalogue import sha256_of, weights_folder
from models.types import ModelError

BROKEN_FILE = (
    RuntimeError, ValueError, TypeError, KeyError, AttributeError, OSError, EOFError, ImportError,
    pickle.UnpicklingError,
)  # fmt: skip
"""What opening or exporting a damaged or foreign file raises; the library has no base class of its own."""


def exported(weights: Path) -> Path:
    """The ONNX file made from `weights`, kept in the weights folder under the hash of the original."""
    target = weights_folder() / "exported" / f"{weights.stem}-{sha256_of(weights)[:16]}.onnx"
    return target if target.is_file() else export_pt(weights, target)


def export_pt(
    weights: Path, target: Path, *, input_px: int = 640, dynamic: bool = True, end_to_end: bool = False
) -> Path:
    """Exports `weights` to the ONNX file `target` and gives its path.

    With `dynamic` the graph takes any batch and any size that is a multiple of the stride; without, squares of
    `input_px`. With `end_to_end` a network that can (YOLOv10, 26) gives one box per object by itself.
    Raises ModelError where the extra is not installed or the file is no detector.
    """
    if not weights.is_file():
        raise ModelError(f"{weights}: no such file")
    # Without these the library installs packages and asks the network by itself.
    os.environ.setdefault("YOLO_OFFLINE", "1")
    os.environ.setdefault("YOLO_AUTOINSTALL", "False")
    os.environ.setdefault("YOLO_VERBOSE", "False")
    try:
        from ultralytics import YOLO
    except ImportError as error:
        raise ModelError(
            f"{weights.name}: .pt weights need the extra: pip install 'gatewatch[ultralytics]' (AGPL-3.0)"
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        # The library writes beside its input, and prints what it does.
        copy = Path(shutil.copy(weights, folder))
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                model = YOLO(copy)
                if model.task != "detect":
                    raise ModelError(f"{weights}: expected a detector, found a model for the task {model.task}")
                # To this library "no suppression at all" means the end-to-end head.
                head = {"nms": False} if end_to_end else {}
                made = model.export(
                    format="onnx", imgsz=input_px, dynamic=dynamic, simplify=False, device="cpu", **head
                )
        except BROKEN_FILE as error:
            raise ModelError(f"{weights}: Ultralytics cannot export it: {error}") from error
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        shutil.move(made, part)
        part.replace(target)
    return target
