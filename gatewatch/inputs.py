"""`--inputs FILE.jsonl`: authorisations and other messages that belong to a recording."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gatewatch.errors import RecordingsError
from gatewatch.plan import Plan
from gatewatch.site_messages import found, suggest
from gatewatch.start_time import from_text
from rules.types import Input

_KEYS = ("at", "camera", "kind", "line")


def load_inputs(path: Path, plan: Plan) -> list[Input]:
    """The inputs of the plan's camera in order of time.

    Each line is a JSON object: `line`, `kind`, `at` (seconds of media time, or an ISO 8601 moment) and, optionally,
    `camera` (by default the one that is analysed; those of other cameras are left out). Raises RecordingsError.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise RecordingsError(f"{path}: the inputs cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise RecordingsError(f"{path}: expected inputs as text in UTF-8, found something else.") from None
    inputs = [_input(f"{path}:{number}", line, plan) for number, line in enumerate(lines, 1) if line.strip()]
    return sorted((one for one in inputs if one.camera == plan.camera), key=lambda one: one.at)


def _input(where: str, line: str, plan: Plan) -> Input:
    try:
        content = json.loads(line)
    except ValueError:
        raise RecordingsError(f"{where}: expected a JSON object, found text that is not JSON.") from None
    if not isinstance(content, dict):
        raise RecordingsError(f"{where}: expected a JSON object, found {found(content)}.")
    for key in content:
        if key not in _KEYS:
            raise RecordingsError(f"{where}: expected the keys {', '.join(_KEYS)}, found {key}{suggest(key, _KEYS)}.")
    camera = _text(where, content, "camera", plan.camera)
    if camera not in plan.site.cameras:
        known = list(plan.site.cameras)
        raise RecordingsError(
            f"{where}: camera: expected one of {', '.join(known)}, found {found(camera)}{suggest(camera, known)}."
        )
    name = _text(where, content, "line", "")
    place = plan.site.cameras[camera]
    known = [*place.lines, *place.zones, *(rule.name for rule in place.rules)]
    if name and name not in known:
        raise RecordingsError(
            f"{where}: line: expected a line, zone or rule of {camera}, found {found(name)}{suggest(name, known)}."
        )
    return Input(camera, name, _text(where, content, "kind", None), _time(where, content.get("at"), plan))


def _text(where: str, content: dict[str, Any], key: str, default: str | None) -> str:
    value = content.get(key, default)
    if not isinstance(value, str):
        raise RecordingsError(f"{where}: {key}: expected text, found {found(value)}.")
    return value


def _time(where: str, at: Any, plan: Plan) -> float:
    if isinstance(at, int | float) and not isinstance(at, bool) and math.isfinite(at):
        return float(at)
    moment: datetime | None = from_text(at, plan.site.timezone) if isinstance(at, str) else None
    if moment is None:
        raise RecordingsError(
            f"{where}: at: expected seconds of media time or a moment such as 2024-05-01T22:10:05+08:00, "
            f"found {found(at)}."
        )
    if plan.started_at is None:
        raise RecordingsError(
            f"{where}: at: expected seconds of media time, as it is unknown when the recording began; found "
            f"{found(at)} (say the beginning with --started-at)."
        )
    return (moment - plan.started_at) / timedelta(seconds=1)
