"""Re-analysis end to end on real footage with the real detector."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gatewatch.cli import run
from gatewatch.errors import OutputError, RecordingsError
from gatewatch.identity import sha256_of
from gatewatch.outputs import OutFolder
from gatewatch.reanalyse import Options, reanalyse
from gatewatch.site import load_site
from pipeline.errors import MediaError
from tests.gatewatch.conftest import SITE, Piece, Run, analyse, cut

EVENT_KEYS = [
    "id", "camera", "rule", "kind", "severity", "zone", "label", "track_ids", "media_time_s", "started_at", "raised_at",
    "recording", "recording_time_s", "measured", "path", "versions",
]  # fmt: skip


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_people_on_the_lawn_become_events(reference: Run, piece: Piece) -> None:
    events = lines_of(reference.out / "events.jsonl")
    lawn = [event for event in events if event["rule"] == "lawn-intrusion"]
    assert len(lawn) == 2
    first = lawn[0]
    assert list(first) == EVENT_KEYS
    assert first["id"] == "view1.lawn-intrusion.000001"
    assert first["label"] == "person"
    assert 2.0 < first["media_time_s"]["start"] < 5.0
    assert first["recording"] == "piece.avi"
    assert first["recording_time_s"] == first["media_time_s"]["start"]
    assert first["started_at"] is None
    assert first["versions"]["site_sha256"] == sha256_of(piece.site)
    assert len(first["versions"]["weights_sha256"]) == 64
    order = [(event["media_time_s"]["raised"], event["id"]) for event in events]
    assert order == sorted(order)


def test_each_alert_has_a_snapshot_and_a_clip_that_plays(reference: Run) -> None:
    alerts = lines_of(reference.out / "alerts.jsonl")
    events = {event["id"] for event in lines_of(reference.out / "events.jsonl")}
    assert [alert["rule"] for alert in alerts].count("lawn-intrusion") == 1, "two people at once are one alert"
    assert {event for alert in alerts for event in alert["event_ids"]} == events
    for alert in alerts:
        with Image.open(reference.out / alert["snapshot"]) as picture:
            assert picture.width == 768
        assert picture.height > 576
        with av.open(str(reference.out / alert["clip"])) as clip:
            assert clip.streams.video[0].codec_context.name == "h264"
            shown_s = sum(1 for _ in clip.decode(video=0)) / 10
        # From the key frame at or before a second ahead of it (at most 2 s back here) to a second after it.
        begins_s, ends_s = max(0, alert["media_time_s"]["start"] - 1), alert["media_time_s"]["end"] + 1
        assert begins_s - 2.0 < alert["clip_from_s"] <= begins_s
        assert ends_s <= alert["clip_to_s"] + 0.001 or alert["clip_to_s"] == reference.result.summary["footage_s"]
        assert shown_s == pytest.approx(alert["clip_to_s"] - alert["clip_from_s"], abs=0.05)
        assert (reference.out / alert["clip_original"]).is_file()


def test_the_tables_hold_every_frame_and_every_track(reference: Run) -> None:
    tracks = pq.read_table(reference.out / "tracks.parquet")
    assert tracks.column_names == [
        "camera", "media_time_s", "track_id", "label", "score", "left", "top", "right", "bottom"
    ]  # fmt: skip
    times = tracks["media_time_s"].to_pylist()
    assert times == sorted(times)
    ids = {track for event in lines_of(reference.out / "events.jsonl") for track in event["track_ids"]}
    assert ids <= set(tracks["track_id"].to_pylist())
    frames = pq.read_table(reference.out / "frames.parquet")
    stamps = frames["media_time_s"].to_pylist()
    assert stamps == pytest.approx([number / 5 for number in range(len(stamps))], abs=0.051)
    summary = json.loads((reference.out / "summary.json").read_text())
    assert summary["frames_analysed"] == len(stamps)
    assert summary["frames_read"] == pytest.approx(2 * len(stamps), abs=1)
    assert summary["started_at_from"] == "unknown"


def test_events_are_printed_as_they_come_with_what_was_measured(reference: Run) -> None:
    lawn = [line for line in reference.printed if "lawn-intrusion" in line]
    assert len(lawn) == 2
    assert "person" in lawn[0]
    assert "0.5 s" in lawn[0]
    time = lawn[0].split()[0]
    assert f"joins the alert of {time})" in lawn[1], "other rules' lines may lie between the two"


def test_one_worker_gives_the_same_bytes(reference: Run, piece: Piece, tmp_path: Path) -> None:
    other = analyse(piece, tmp_path / "out", workers=1)
    assert other.events == reference.events
    assert (other.out / "alerts.jsonl").read_bytes() == (reference.out / "alerts.jsonl").read_bytes()
    assert pq.read_table(other.out / "tracks.parquet") == pq.read_table(reference.out / "tracks.parquet")


def copied(reference: Run, tmp_path: Path) -> Path:
    """A finished output that may be changed."""
    return Path(shutil.copytree(reference.out, tmp_path / "out"))


def test_the_same_command_again_looks_at_nothing_again(reference: Run, piece: Piece, tmp_path: Path) -> None:
    again = analyse(piece, copied(reference, tmp_path), workers=1)
    assert again.events == reference.events
    assert again.result.summary["frames_detected_in_this_run"] == 0
    assert again.printed[0] == "Going on with what an earlier run left here."


def test_another_site_file_needs_overwrite_and_then_keeps_the_detections(
    reference: Run, piece: Piece, tmp_path: Path
) -> None:
    out = copied(reference, tmp_path)
    site = tmp_path / "site.yaml"
    site.write_text(SITE.replace("lawn-intrusion", "lawn"), encoding="utf-8")
    changed = Piece(site, piece.recording)
    with pytest.raises(OutputError) as refused:
        analyse(changed, out)
    assert str(refused.value) == (
        f"{out}: holds the results of another re-analysis (other site file); choose another --out or add --overwrite."
    )
    assert (out / "events.jsonl").read_bytes() == reference.events, "a refusal changes nothing"
    replaced = analyse(changed, out, overwrite=True)
    assert replaced.result.summary["frames_detected_in_this_run"] == 0
    assert not list((out / "clips").glob("*lawn-intrusion*")), "evidence of the earlier site is gone"
    assert [event["rule"] for event in lines_of(out / "events.jsonl")].count("lawn") == 2


def test_another_recording_is_refused(reference: Run, piece: Piece, tmp_path: Path) -> None:
    other = cut(piece.recording, tmp_path / "piece.avi", 0.0, 4.0)
    with pytest.raises(OutputError, match=r"\(other recordings\)"):
        analyse(Piece(piece.site, other), copied(reference, tmp_path))


def test_a_folder_with_other_files_is_refused_and_left_alone(piece: Piece, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="found other files"):
            analyse(piece, tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_at_once_do_not_write_into_one_folder(reference: Run, piece: Piece, tmp_path: Path) -> None:
    out = copied(reference, tmp_path)
    first = OutFolder(out)
    first._take_lock()
    with pytest.raises(OutputError, match="another re-analysis is writing here"):
        analyse(piece, out)
    first.close()


def test_a_broken_recording_among_good_ones_stops_before_anything_begins(piece: Piece, tmp_path: Path) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(piece.recording.read_bytes()[:900])
    with pytest.raises(MediaError, match=r"broken\.avi"):
        reanalyse(load_site(piece.site), [piece.recording, broken], Options(out=tmp_path / "out", quiet=True))
    assert not (tmp_path / "out").exists()


def test_recordings_in_a_row_keep_one_time_line(reference: Run, piece: Piece, tmp_path: Path) -> None:
    # Named so that the second begins 60 s after the first: a pause of about 55 s in which nobody looked.
    first = cut(piece.recording, tmp_path / "cam_20240501_220000.avi", 0.0, 4.9)
    second = cut(piece.recording, tmp_path / "cam_20240501_220100.avi", 0.0, 99.0)
    site = load_site(piece.site)
    result = reanalyse(site, [second, first], Options(out=tmp_path / "out", quiet=True, clips=False), say_line=str)
    assert [entry["name"] for entry in result.summary["recordings"]] == [first.name, second.name]
    assert result.summary["started_at"] == "2024-05-01T14:00:00.000Z"
    assert result.summary["started_at_from"] == "file name"
    whole = [event for event in lines_of(reference.out / "events.jsonl") if event["rule"] == "lawn-intrusion"]
    later = [event for event in lines_of(tmp_path / "out" / "events.jsonl") if event["recording"] == second.name]
    lawn = [event for event in later if event["rule"] == "lawn-intrusion"]
    assert len(lawn) == len(whole) == 2
    for alone, shifted in zip(whole, lawn, strict=True):
        assert shifted["recording_time_s"] == pytest.approx(alone["media_time_s"]["start"], abs=0.25)
        assert shifted["media_time_s"]["start"] == pytest.approx(shifted["recording_time_s"] + 60, abs=0.01)
        assert shifted["started_at"].startswith("2024-05-01T14:01:0")


def test_a_schedule_asks_for_the_time_at_which_the_recording_began(piece: Piece, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    text = SITE.replace("cameras:", 'schedules: {night: [{from: "22:00", to: "06:00"}]}\ncameras:', 1)
    site.write_text(text.replace("severity: high", "severity: high, schedule: night"), encoding="utf-8")
    scheduled = Piece(site, piece.recording)
    with pytest.raises(RecordingsError) as asked:
        analyse(scheduled, tmp_path / "out")
    assert str(asked.value) == (
        f"{piece.recording}: the rule lawn-intrusion has the schedule night, but neither the file's name nor its "
        "container says when it began; say it with --started-at, such as --started-at 2024-05-01T22:10:05+08:00."
    )
    assert not (tmp_path / "out").exists()
    # By day in Shanghai, though night by UTC: the intrusion is not in effect, the line is.
    day = analyse(scheduled, tmp_path / "out", started_at="2024-05-01T23:00:00+00:00", clips=False)
    assert {event.rule for event in day.result.events} == {"road-line"}
    assert day.result.events[0].started_at is not None


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--camera", "veiw1"], 2, "expected --camera with one of view1, found veiw1."),
        (["--started-at", "yesterday"], 2, "--started-at: expected a date and time such as"),
        (["--started-at", "2024-05-01"], 2, "--started-at: expected a date and time such as"),
        (["--inputs", "missing.jsonl"], 1, "missing.jsonl: the inputs cannot be read: No such file or directory."),
    ],
)
def test_wrong_options_are_said_in_one_line(
    piece: Piece, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, sentence: str
) -> None:
    out = tmp_path / "out"
    assert run(["reanalyse", str(piece.site), str(piece.recording), "--out", str(out), *arguments]) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_a_live_address_is_no_recording_and_keeps_its_password(
    piece: Piece, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "rtsp://guard:hunter2@192.0.2.8/main"
    assert run(["reanalyse", str(piece.site), address, "--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == (
        "rtsp://guard:***@192.0.2.8/main: expected a recorded file, found a live source; gatewatch run watches those.\n"
    )


def test_usage_without_an_output_folder_is_wrong_usage(piece: Piece) -> None:
    assert run(["reanalyse", str(piece.site), str(piece.recording)]) == 2


def test_damage_is_said_and_its_clip_is_rendered_so_that_it_plays(tmp_path: Path) -> None:
    """Browsers give a copied clip up at the first packet that cannot be decoded."""
    site, recording = _moving_square(tmp_path)
    _destroy(recording, range(75, 78))
    broken = analyse(Piece(site, recording), tmp_path / "out")
    [said] = [line for line in broken.printed if "broken.mp4" in line]
    assert "损坏" in said
    assert "7." in said
    assert "秒" in said
    [alert] = broken.result.alerts
    [clip] = alert.clips
    assert clip.original is not None, "the packets as recorded are kept beside the rendering"
    assert pictures(broken.out / clip.path) > 60
    with pytest.raises(av.error.InvalidDataError):
        pictures(broken.out / clip.original)


def test_inputs_without_an_effect_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A kind with a spelling mistake would otherwise leave every crossing unauthorised without a word."""
    site, recording = _moving_square(tmp_path)
    inputs = tmp_path / "inputs.jsonl"
    kinds = ("disarm", "authorization")
    inputs.write_text("".join(f'{{"line": "all", "kind": "{kind}", "at": 0}}\n' for kind in kinds))
    options = ["--inputs", str(inputs), "--out", str(tmp_path / "out"), "-q"]
    assert run(["reanalyse", str(site), str(recording), *options]) == 0
    assert "2 条输入中有 1 条未起作用" in capsys.readouterr().out


def _moving_square(folder: Path) -> tuple[Path, Path]:
    """A site file, and sixteen seconds in which a square crosses the picture from the fifth on."""
    site = folder / "site.yaml"
    site.write_text(
        "site: {name: A, timezone: UTC, language: zh-CN}\n"
        "cameras:\n  c:\n    source: x\n    detector: motion\n    zones: {all: [[0,0],[1,0],[1,1],[0,1]]}\n"
        "    rules: [{name: r, kind: intrusion, zone: all}]\n",
        encoding="utf-8",
    )
    recording = folder / "broken.mp4"
    with av.open(str(recording), "w") as output:
        video = output.add_stream("libx264", rate=10, width=320, height=240, pix_fmt="yuv420p")
        video.options = {"preset": "ultrafast", "g": "10"}
        for number in range(160):
            image = np.full((240, 320, 3), 60, np.uint8)
            if number >= 40:
                image[100:180, (left := 2 * (number - 40)) : left + 40] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return site, recording


def _destroy(recording: Path, packets: range) -> None:
    """Overwrites packets, counted from 0, where they lie in the file."""
    with av.open(str(recording)) as video:
        places = [(packet.pos, packet.size) for packet in video.demux(video=0) if packet.pos is not None]
    with recording.open("r+b") as file:
        for start, size in (places[number] for number in packets):
            file.seek(start)
            file.write(b"\xff" * size)


def pictures(path: Path) -> int:
    """Pictures of a video that decodes without an error."""
    with av.open(str(path)) as video:
        return sum(1 for _ in video.decode(video=0))
