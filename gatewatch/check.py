"""What would run with a site file, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gatewatch.site import Site
from gatewatch.site_model import PROFILES, Camera
from gatewatch.words import counted
from models.types import ModelError
from pipeline.address import mask_url
from rules.base import ALWAYS, RuleConfig
from rules.registry import RULES
from rules.schedules import Schedule

LOOK_AHEAD = timedelta(days=8)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Report:
    """Lines to print, and whether everything that would run can run."""

    lines: tuple[str, ...]
    ready: bool


def check_site(site: Site, *, now: datetime, environ: Mapping[str, str]) -> Report:
    """What would run per camera. `now`: a moment in UTC; `environ`: where `${VAR}` are looked up."""
    cameras = counted("en", len(site.cameras), "camera")
    lines = [f"{site.path}: {site.name}, {site.timezone.key}, {site.language}, {cameras}"]
    detectors: dict[tuple[str, int], str] = {}
    ready = True
    for name, camera in site.cameras.items():
        lines += ["", f"{name}", *_sources(camera, environ)]
        fps = camera.analyse_fps
        lines.append(f"  analysed  {'every frame' if fps is None else f'{fps:g} frames/s'}")
        words, found = _detector(site, name, detectors)
        ready = ready and found
        lines.append(f"  detector  {words}")
        lines += [f"  rule      {line}" for rule in camera.rules for line in _rule(rule, site, camera, now)]
        if not camera.rules:
            lines.append("  no rules: the camera would be recorded, and nothing would alert")
        lines += [f"  note      {line}" for line in _unused(camera)]
    days = site.retention.closed_alerts_days
    lines += ["", f"closed alerts are kept {'without end' if days is None else f'for {days} days'}"]
    lines += _desk(site, environ)
    lines += ["", "This site can run." if ready else "This site cannot run yet: see above."]
    return Report(tuple(lines), ready)


def _desk(site: Site, environ: Mapping[str, str]) -> Iterator[str]:
    """What the site file says about arming and about events from outside, where it says anything."""
    if site.arming.profiles or site.external:
        yield ""
    if site.arming.profiles:
        yield f"arming      {', '.join(dict.fromkeys((*PROFILES, *site.arming.profiles)))}; first {site.arming.first}"
    for name, source in site.external.items():
        yield f"external    {name}: {', '.join(f'{kind} -> {effect.do}' for kind, effect in source.events.items())}"
        variable = source.secret[2:-1]
        if variable not in environ:
            yield f"  note      {variable} is not set here; gatewatch run needs it, reanalyse does not"


def _sources(camera: Camera, environ: Mapping[str, str]) -> Iterator[str]:
    yield f"  source    {mask_url(camera.source)}"
    if camera.analyse:
        yield f"  analyse   {mask_url(camera.analyse)}"
    used = dict.fromkeys(_VARIABLE.findall(camera.source + (camera.analyse or "")))
    missing = [name for name in used if name not in environ]
    if missing:
        be = "is" if len(missing) == 1 else "are"
        yield f"  note      {', '.join(missing)} {be} not set here; gatewatch run needs it, reanalyse does not"


def _detector(site: Site, camera: str, known: dict[tuple[str, int], str]) -> tuple[str, bool]:
    config = site.detector_of(camera)
    if isinstance(config, str):
        return "motion: whatever moves is an object", True
    key = (site.weights_of(config), config.input_px)
    if key not in known:
        known[key] = _loaded(*key)
    words = f"{config.weights} at {config.input_px} px, tracks from score {config.min_score:g}"
    return (f"{words}; {known[key]}", False) if known[key] else (f"{words}; weights found", True)


def _loaded(weights: str, input_px: int) -> str:
    """Why the weights cannot be used, or nothing."""
    from models.load import load_detector

    try:
        load_detector(weights, input_px=input_px)
    except ModelError as error:
        return f"NOT usable: {error}"
    return ""


def _rule(rule: RuleConfig, site: Site, camera: Camera, now: datetime) -> Iterator[str]:
    place = next((f"{key} {getattr(rule, key)}" for key in ("zone", "line") if getattr(rule, key, None)), "picture")
    labels = ", ".join(rule.labels)
    yield f"{rule.name}: {rule.kind} of {labels} at {place}, {rule.severity}, {_when(rule, site, now)}"
    needs = RULES[rule.kind].needs_fps
    if camera.analyse_fps is not None and camera.analyse_fps < needs:
        yield f"{rule.name}: {camera.analyse_fps:g} frames/s are few; {rule.kind} is made for {needs:g} or more"


def _when(rule: RuleConfig, site: Site, now: datetime) -> str:
    if rule.schedule == ALWAYS:
        return "always armed"
    schedule = Schedule(site.schedules[rule.schedule], site.timezone)
    is_open = schedule.is_open(now)
    change = _next_change(schedule, now, is_open)
    state = "armed now" if is_open else "not armed now"
    if change is None:
        return f"{rule.schedule}: {state}, without a change in the next {LOOK_AHEAD.days} days"
    moment = f"{change.astimezone(site.timezone):%a %Y-%m-%d %H:%M}"
    return f"{rule.schedule}: {state}, {'until' if is_open else 'next from'} {moment}"


def _next_change(schedule: Schedule, now: datetime, is_open: bool) -> datetime | None:
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    end = minute + LOOK_AHEAD
    while minute < end:
        minute += timedelta(minutes=1)
        if schedule.is_open(minute) != is_open:
            return minute
    return None


def _unused(camera: Camera) -> Iterator[str]:
    for kind, shapes in (("zone", camera.zones), ("line", camera.lines)):
        used = {getattr(rule, kind, None) for rule in camera.rules}
        for name in shapes:
            if name not in used:
                yield f"no rule uses the {kind} {name}"
