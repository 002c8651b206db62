"""What a good site file becomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewatch.check import check_site
from gatewatch.log import mask_secrets
from gatewatch.site import Site, SiteError, load_site

FULL = """\
site: {name: Lakeside Gardens, timezone: Asia/Shanghai, language: zh-CN}
detector: {weights: nanodet-g, input_px: 448, min_score: 0.5}
schedules:
  night: [{days: [mon, tue, wed, thu, fri, sat, sun], from: 22:00, to: "06:00"}]
cameras:
  北门-1:
    source: rtsp://guard:${NORTH_GATE_PASSWORD}@192.0.2.8/main?channel=${CHANNEL}
    analyse: rtsp://guard:plain@192.0.2.8/sub
    analyse_fps: 5
    detector: {input_px: 320}
    zones: {lawn: [[0.0, 0.45], [0.56, 0.66], [0.93, 0.9], [0.0, 1.0]]}
    lines: {barrier: [[0.22, 0.30], [0.22, 0.52]]}
    rules:
      - {name: lawn-intrusion, kind: intrusion, zone: lawn, labels: [person], severity: high, schedule: night}
      - {name: barrier-tailgate, kind: tailgating, line: barrier, labels: [car, truck, bus], headway_s: 3}
  101:
    source: recordings/a.mp4
    detector: motion
alerts:
  reasons:
    - {code: gardener, verdicts: [resolved, false_alarm], label: {en: Gardener, zh-CN: 园丁}}
    - {code: other, verdicts: [resolved, drill], label: {zh-CN: 另外}, needs_note: true}
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    path = tmp_path / "site.yaml"
    path.write_text(FULL, encoding="utf-8")
    return load_site(path)


def test_the_values_arrive(site: Site) -> None:
    assert (site.name, site.timezone.key, site.language) == ("Lakeside Gardens", "Asia/Shanghai", "zh-CN")
    gate = site.cameras["北门-1"]
    assert gate.analyse_fps == 5.0
    assert gate.zones["lawn"][1] == (0.56, 0.66)
    assert [rule.name for rule in gate.rules] == ["lawn-intrusion", "barrier-tailgate"]
    assert gate.rules[0].labels == ("person",)
    assert site.schedules["night"][0].from_ == "22:00"
    assert list(site.cameras) == ["北门-1", "101"]


def test_own_reasons_come_before_the_built_in_ones_and_may_replace_them(site: Site) -> None:
    reasons = list(site.reasons)
    assert [reason.code for reason in reasons][:3] == ["gardener", "other", "intruder"]
    assert [reason.code for reason in reasons].count("other") == 1
    assert reasons[1].label == {"en": "另外", "zh-CN": "另外"}, "one language stands in for the other"
    assert site.reasons.get("gardener", "drill") is None


def test_a_camera_overrides_single_keys_of_the_detector(site: Site) -> None:
    own = site.detector_of("北门-1")
    assert not isinstance(own, str)
    assert (own.weights, own.input_px, own.min_score) == ("nanodet-g", 320, 0.5)
    assert site.detector_of("101") == "motion"


def test_json_is_yaml(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "site.json"
    path.write_text(json.dumps(site.document.value), encoding="utf-8")
    other = load_site(path)
    assert other.cameras == site.cameras
    assert other.schedules == site.schedules


def test_a_byte_order_mark_and_windows_lines_do_no_harm(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FULL.replace("\n", "\r\n").encode())
    assert load_site(path).cameras == site.cameras


def test_an_alias_repeats_a_value(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        "site: {name: Lake, timezone: UTC}\ncameras:\n  a: &camera {source: a.mp4, analyse_fps: 5}\n  b: *camera\n",
        encoding="utf-8",
    )
    cameras = load_site(path).cameras
    assert cameras["a"] == cameras["b"]


@pytest.mark.parametrize(
    ("password", "in_url"),
    [
        ("simple", "simple"),
        ("p@ss/w:rd?#", "p%40ss%2Fw%3Ard%3F%23"),
        ("密码", "%E5%AF%86%E7%A0%81"),
        ("100%", "100%25"),
    ],
)
def test_a_variable_is_encoded_in_the_user_part_alone(site: Site, password: str, in_url: str) -> None:
    address = site.open_address("北门-1", environ={"NORTH_GATE_PASSWORD": password, "CHANNEL": "1/2"})
    assert address == f"rtsp://guard:{in_url}@192.0.2.8/main?channel=1/2"


def test_a_missing_variable_matters_only_where_the_source_is_opened(site: Site) -> None:
    with pytest.raises(SiteError) as missing:
        site.open_address("北门-1", environ={"CHANNEL": "1"})
    assert str(missing.value) == (
        f"{site.path}:7: cameras.北门-1.source: expected the environment variable NORTH_GATE_PASSWORD to be set, "
        "found it missing."
    )
    assert site.open_address("北门-1", "analyse", {}) == "rtsp://guard:plain@192.0.2.8/sub"


def test_a_relative_file_lies_beside_the_site_file(site: Site) -> None:
    (site.path.parent / "recordings").mkdir()
    (site.path.parent / "recordings" / "a.mp4").touch()
    assert site.open_address("101", environ={}) == str(site.path.parent / "recordings" / "a.mp4")


def test_no_representation_shows_a_password(site: Site) -> None:
    assert "plain" not in repr(site)
    assert "plain" not in "\n".join(check_site(site, now=datetime(2024, 5, 1, tzinfo=UTC), environ={}).lines)


def test_logs_mask_addresses_at_every_depth() -> None:
    secret = "rtsp://guard:hunter2@192.0.2.8/main"
    line = mask_secrets(
        None, "info", {"event": f"lost {secret}", "a": {"b": [secret]}, "error": ValueError(secret), "n": 3}
    )
    assert "hunter2" not in repr(line)
    assert "192.0.2.8" in line["event"]
    assert line["n"] == 3


def test_check_says_what_would_run(site: Site) -> None:
    # 22:30 of a Wednesday in Shanghai: the night has begun.
    report = check_site(site, now=datetime(2024, 5, 1, 14, 30, tzinfo=UTC), environ={"CHANNEL": "1"})
    assert report.ready
    text = "\n".join(report.lines)
    assert "  source    rtsp://guard:***@192.0.2.8/main?channel=${CHANNEL}" in report.lines
    assert "NORTH_GATE_PASSWORD is not set here" in text
    assert "  analysed  5 frames/s" in report.lines
    assert "  detector  nanodet-g at 320 px, tracks from score 0.5; weights found" in report.lines
    assert (
        "lawn-intrusion: intrusion of person at zone lawn, high, night: armed now, until Thu 2024-05-02 06:00" in text
    )
    assert "barrier-tailgate: tailgating of car, truck, bus at line barrier, medium, always armed" in text
    by_day = check_site(site, now=datetime(2024, 5, 1, 4, 0, tzinfo=UTC), environ={})
    assert "night: not armed now, next from Wed 2024-05-01 22:00" in "\n".join(by_day.lines)


def test_check_fails_where_weights_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(FULL.replace("weights: nanodet-g", "weights: nothing.onnx"), encoding="utf-8")
    report = check_site(load_site(path), now=datetime(2024, 5, 1, tzinfo=UTC), environ={})
    assert not report.ready
    assert "NOT usable" in "\n".join(report.lines)


PIECES = [
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "&a",
    "*a",
    "!!int",
    "'",
    '"',
    "null",
    "~",
    ".nan",
    "-1",
    "true",
    "|",
    "\t",
    "中",
    "<<: *a",
    "---",
    "%",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(FULL)), st.integers(0, 15), st.sampled_from(PIECES)), min_size=1, max_size=4
    )
)
def test_whatever_is_typed_into_a_site_file_ends_in_sentences(
    tmp_path: Path, edits: list[tuple[int, int, str]]
) -> None:
    text = FULL
    for place, cut, piece in edits:
        text = text[:place] + piece + text[place + cut :]
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    for sentence in problems_of(path):
        assert sentence.startswith(f"{path}:")
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert ":plain@" not in sentence


def problems_of(path: Path) -> tuple[str, ...]:
    """The problems of a site file; anything but a SiteError goes through."""
    try:
        load_site(path)
    except SiteError as error:
        return error.problems or ("no sentence",)
    return ()
