"""Reads the alerts and events of a re-analysis folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from api.alerts import Alert, Clip, alert_id_of
from api.errors import DeskError


@dataclass(frozen=True, slots=True)
class ImportedAlert:
    alert: Alert
    events: tuple[Mapping[str, Any], ...]
    raised: tuple[tuple[float, datetime | None], ...]
    """Of each event: media time and wall time at which it was raised."""


def read_reanalysis(out_dir: Path, prefix: PurePosixPath, run: str) -> list[ImportedAlert]:
    """The alerts of `alerts.jsonl` in its order, media paths below `prefix`.

    Raises DeskError where a file cannot be read or a line is not what `reanalyse` writes.
    """
    events = {body["id"]: body for body in _lines(out_dir / "events.jsonl", "id")}
    found = []
    for number, line in enumerate(_lines(out_dir / "alerts.jsonl", "alert_id"), start=1):
        try:
            found.append(_imported(line, events, prefix, run))
        except (KeyError, TypeError, ValueError) as error:
            raise DeskError(
                f"{out_dir / 'alerts.jsonl'}, line {number}: is not an alert as reanalyse writes it: {error!r}."
            ) from None
    return found


def _lines(path: Path, key: str) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DeskError(f"{path}: cannot be read: {error}.") from None
    lines = []
    for number, line in enumerate((part for part in text.split("\n") if part.strip()), start=1):
        try:
            content = json.loads(line)
        except ValueError:
            content = None
        if not isinstance(content, dict) or key not in content:
            raise DeskError(f"{path}, line {number}: expected a JSON object with {key}.")
        lines.append(content)
    return lines


def _imported(
    line: Mapping[str, Any], events: Mapping[str, Mapping[str, Any]], prefix: PurePosixPath, run: str
) -> ImportedAlert:
    bodies = tuple(events[event_id] for event_id in line["event_ids"])
    raised = tuple((float(body["media_time_s"]["raised"]), _moment(body["raised_at"])) for body in bodies)
    clips = [_clip(line, prefix)] if line.get("clip") else []
    clips += [_clip(more, prefix) for more in line.get("more_clips") or ()]
    alert = Alert(
        alert_id=alert_id_of(line["event_ids"][0], run),
        camera=line["camera"],
        rule=line["rule"],
        kind=line["kind"],
        severity=line["severity"],
        zone=line.get("zone"),
        line=line.get("line"),
        state="new",
        event_ids=tuple(line["event_ids"]),
        start_s=float(line["media_time_s"]["start"]),
        end_s=float(line["media_time_s"]["end"]),
        first_raised_s=raised[0][0],
        started_at=_moment(line["started_at"]),
        ended_at=_moment(line["ended_at"]),
        first_raised_at=raised[0][1],
        run=run,
        version=len(bodies),
        snapshot=_below(prefix, line.get("snapshot")),
        clips=tuple(clips),
    )
    return ImportedAlert(alert, bodies, raised)


def _clip(line: Mapping[str, Any], prefix: PurePosixPath) -> Clip:
    path = _below(prefix, line["clip"])
    if path is None:
        raise ValueError("a clip without a path")
    to_s = line.get("clip_to_s")
    return Clip(
        path=path,
        from_s=float(line["clip_from_s"]),
        to_s=None if to_s is None else float(to_s),
        original=_below(prefix, line.get("clip_original")),
        shortfall_s=float(line.get("clip_shortfall_s") or 0.0),
    )


def _below(prefix: PurePosixPath, path: str | None) -> str | None:
    if path is None:
        return None
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"the media path {path} leaves the folder")
    return str(prefix / pure)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
