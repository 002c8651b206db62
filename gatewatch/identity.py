"""Whose results an output folder holds: hashes of everything that decides them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from gatewatch.errors import RecordingsError
from gatewatch.plan import Plan
from gatewatch.version import version

_CHUNK = 1024 * 1024


def sha256_of(path: Path) -> str:
    """SHA-256 over every byte of a file, in hex. Raises RecordingsError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise RecordingsError(f"{path}: cannot be read: {error.strerror}.") from None
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Gatewatch and of the parts that pixels go through."""
    parts = ("av", "numpy", "onnxruntime", "opencv-python", "supervision")
    return {"gatewatch": version(), **{part: installed(part) for part in parts}}


@dataclass(frozen=True)
class Identity:
    """What a re-analysis is made of."""

    detections: Mapping[str, Any]
    """Decides what the detector says about analysed frame k."""
    results: Mapping[str, Any]
    """Decides, beyond that, what comes out."""

    def differences(self, other: Identity) -> list[str]:
        """Names of what differs, for a sentence."""
        mine, theirs = {**self.detections, **self.results}, {**other.detections, **other.results}
        return [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]

    def save(self, path: Path) -> None:
        text = json.dumps({"detections": self.detections, "results": self.results}, ensure_ascii=False, indent=1)
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)

    @staticmethod
    def load(path: Path) -> Identity | None:
        """The identity kept in a folder, or None where there is none that can be read."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Identity(dict(content["detections"]), dict(content["results"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def identity_of(
    plan: Plan, *, weights: str, inputs: Path | None, use_gate: bool, providers: Sequence[str] = ()
) -> Identity:
    """The identity of a plan.

    `weights`: the SHA-256 of the detector's weights, or `motion`; `providers`: what they run on. Recordings
    are known by the SHA-256 of their whole content.
    """
    camera = plan.site.cameras[plan.camera]
    detector = plan.site.detector_of(plan.camera)
    return Identity(
        detections={
            "recordings": [sha256_of(part.path) for part in plan.parts],
            "places in time": [part.offset_s for part in plan.parts],
            "analysed frames per second": camera.analyse_fps,
            "weights": weights,
            "execution providers": list(providers),
            "input size": None if detector == "motion" else detector.input_px,
            "versions": versions(),
        },
        results={
            "site file": plan.site.sha256,
            "camera": plan.camera,
            "names of recordings": [part.path.name for part in plan.parts],
            "start time": plan.started_at.isoformat() if plan.started_at else None,
            "inputs": None if inputs is None else sha256_of(inputs),
            "motion gate": use_gate,
        },
    )
