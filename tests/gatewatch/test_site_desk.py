"""`arming:` and `external:` of the site file, and what `gatewatch run` makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.arming import Profile
from api.external import Effect
from gatewatch.errors import SiteError
from gatewatch.live_plans import arming_plan, sources
from gatewatch.site import load_site

CAMERAS = """\
cameras:
  gate:
    source: rtsp://192.0.2.8/main
    zones: {lawn: [[0.0, 0.45], [0.56, 0.66], [0.93, 0.9], [0.0, 1.0]]}
    lines: {kerb: [[0.22, 0.30], [0.22, 0.52]]}
    rules:
      - {name: lawn-in, kind: intrusion, zone: lawn}
      - {name: road, kind: line_crossing, line: kerb}
"""
HEAD = "site: {name: A, timezone: Asia/Shanghai}\n"


def written(tmp_path: Path, middle: str) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(HEAD + middle + CAMERAS, encoding="utf-8")
    return path


def test_what_is_said_becomes_profiles_and_sources(tmp_path: Path) -> None:
    middle = """\
arming:
  first: night
  profiles:
    night: {disarm: {gate: [lawn, road]}}
    holiday: {disarm: {gate: all}}
    training: {drill: true}
external:
  panel:
    secret: ${PANEL_SECRET}
    events:
      panic_button: {do: alert, severity: critical, camera: gate}
      barrier_opened: {do: authorise, camera: gate, line: kerb}
      lawn_off: {do: disarm, camera: gate}
"""
    site = load_site(written(tmp_path, middle))
    plan = arming_plan(site)
    assert plan.first == "night"
    assert list(plan.profiles) == ["day", "night", "holiday", "drill", "training"]
    assert plan.profiles["night"] == Profile("night", (("gate", "lawn"), ("gate", "road")))
    assert plan.profiles["holiday"].disarmed == (("gate", ""),)
    assert [name for name, profile in plan.profiles.items() if profile.drill] == ["drill", "training"]
    panel = sources(site, {"PANEL_SECRET": "0123456789abcdef"})["panel"]
    assert panel.events["panic_button"] == Effect("alert", "critical", "gate")
    assert panel.events["barrier_opened"] == Effect("authorise", "high", "gate", "kerb")
    assert panel.events["lawn_off"].target == ""
    assert "0123456789abcdef" not in repr(panel)
    with pytest.raises(SiteError, match=r"site\.yaml:10: external\.panel\.secret: .* PANEL_SECRET to be set, found it"):
        sources(site, {})
    with pytest.raises(SiteError, match=r"16 or more characters in the environment variable PANEL_SECRET, found 5\."):
        sources(site, {"PANEL_SECRET": "short"})


@pytest.mark.parametrize(
    ("middle", "sentence"),
    [
        (
            "arming: {first: nigth}\n",
            '2: arming.first: expected a profile (day, drill, holiday or night), found "nigth" '
            '(did you mean "night"?).',
        ),
        (
            "arming:\n  profiles:\n    night: {disarm: {gate: [lawm]}}\n",
            "4: arming.profiles.night.disarm.gate[0]: expected a rule of this camera, or the zone or line of one "
            '(kerb, lawn, lawn-in or road), found "lawm" (did you mean "lawn"?).',
        ),
        (
            "arming:\n  profiles:\n    night: {disarm: {yard: all}}\n",
            '4: arming.profiles.night.disarm.yard: expected a camera (gate), found "yard".',
        ),
        (
            "external:\n  p: {secret: abc, events: {x: {do: nothing}}}\n",
            "3: external.p.secret: expected the name of an environment variable as ${NAME} and nothing else, found "
            "other text.",
        ),
        (
            'external:\n  p: {secret: "${P}", events: {x: {do: authorise, camera: gate}}}\n',
            "3: external.p.events.x.line: expected this key, as do is authorise, found none.",
        ),
        (
            'external:\n  p: {secret: "${P}", events: {x: {do: profile, profile: day, camera: gate}}}\n',
            "3: external.p.events.x.camera: expected no camera where do is profile, found one.",
        ),
        (
            'external:\n  p: {secret: "${P}", events: {Fire: {do: nothing}}}\n',
            "3: external.p.events.Fire: expected a kind of up to 64 small letters, digits and _, the first a letter, "
            'found "Fire".',
        ),
    ],
)
def test_each_mistake_is_one_sentence_with_its_line(tmp_path: Path, middle: str, sentence: str) -> None:
    path = written(tmp_path, middle)
    with pytest.raises(SiteError) as caught:
        load_site(path)
    assert str(caught.value) == f"{path}:{sentence}"
