"""`summary.json`: what was read, what came out, and what a reader needs to trust it."""

from __future__ import annotations

from typing import Any

from gatewatch.footage import FootageReader, Place
from gatewatch.identity import versions
from gatewatch.plan import Part, Plan
from pipeline.camera import CameraCounts
from rules.engine import Counters
from rules.types import utc_text


def summary(
    plan: Plan,
    reader: FootageReader,
    counts: CameraCounts,
    rules: Counters,
    *,
    alerts: int,
    events: int,
    weights: str,
    resumed: bool,
    workers: int,
    looked_now: int,
    evidence_missing: int,
    wall_s: float,
) -> dict[str, Any]:
    """The content of `summary.json`. Seconds unless the name says otherwise."""
    places = reader.places
    footage_s = reader.footage_s
    return {
        "site": plan.site.name,
        "camera": plan.camera,
        "recordings": [_recording(place, part) for place, part in zip(places, plan.parts, strict=True)],
        "started_at": utc_text(plan.started_at),
        "started_at_from": plan.start_from,
        "frames_read": sum(place.read for place in places),
        "frames_analysed": sum(place.analysed for place in places),
        "frames_dropped": 0,  # Only a live camera drops frames: a recording waits.
        "frames_looked_at": counts.looked,
        "frames_spared": counts.spared,
        "frames_blind": counts.blind,
        "scene_changes": counts.scene_changes,
        "frames_detected_in_this_run": looked_now,
        "decode_errors": sum(place.decode_errors for place in places),
        "footage_s": round(footage_s, 3),
        "wall_s": round(wall_s, 3),
        "times_real_time": round(footage_s / max(wall_s, 1e-3), 2),
        "workers": workers,
        "resumed": resumed,
        "events": events,
        "alerts": alerts,
        "evidence_missing": evidence_missing,
        "inputs": rules.inputs,
        "inputs_unused": rules.inputs_unused,
        "tracks_stitched": rules.stitched,
        "track_samples_dropped": rules.samples_dropped,
        "ineffective_s": {
            rule: {reason: round(seconds, 3) for reason, seconds in reasons.items()}
            for rule, reasons in rules.ineffective_s.items()
        },
        "versions": versions(),
        "weights_sha256": weights,
        "site_sha256": plan.site.sha256,
    }


def _recording(place: Place, part: Part) -> dict[str, Any]:
    return {
        "name": place.path.name,
        "media_time_s": {"start": round(place.start_s, 3), "end": round(place.end_s, 3)},
        "start_from": part.start_from,
        "moved_s": round(place.moved_s, 3),
        "frames_read": place.read,
        "frames_analysed": place.analysed,
        "decode_errors": place.decode_errors,
        "irregular_times": place.irregular_times,
    }
