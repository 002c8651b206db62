"""A recording played through a live camera's own code, under a clock that its packets drive: no waiting, any gap."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from gatewatch.last_seen import BOXES_KEPT, KEPT_S, LastSeen, Seen
from gatewatch.live_camera import INPUTS_KEPT, Eyes, LiveCamera, Settings
from gatewatch.live_messages import InputGiven
from gatewatch.reanalyse import Options, reanalyse
from gatewatch.site import Site, load_site
from models.load import load_detector
from models.types import Detector
from pipeline.budget import NewestFrame
from pipeline.errors import StreamLostError
from pipeline.motion_track import blob_picture_size
from pipeline.source import Source
from pipeline.types import Frame, Track, TrackedFrame
from rules.types import RuleEvent
from tests.gatewatch.conftest import cut
from tests.live.kit import SAMPLE, until

BEGIN = datetime(2026, 5, 1, 12, tzinfo=UTC)

SITE = """\
site: {name: Lakeside, timezone: Asia/Shanghai}
detector: {input_px: 320, min_score: 0.4}
cameras:
  gate:
    source: cam.mp4
    analyse_fps: 5
    zones: {all: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}
    lines: {west-road: [[0.30, 0.30], [0.22, 0.48]]}
    rules:
      - {name: crossing, kind: line_crossing, line: west-road, labels: [person]}
      - {name: tailgate, kind: tailgating, line: west-road, labels: [person], authorisation: event, valid_s: 120}
  yard:
    source: cam.mp4
    detector: motion
    zones: {all: [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}
    rules: [{name: movement, kind: intrusion, zone: all, labels: [object]}]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    cut(SAMPLE, folder / "cam.mp4", 62.0, 72.0)
    (folder / "site.yaml").write_text(SITE, encoding="utf-8")
    return load_site(folder / "site.yaml")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector("nanodet-g", input_px=320)


class Replay:
    """A camera that sends recordings one after another, each a connection; its packets move the clock."""

    def __init__(self, *files: Path, gap_s: float = 0.0) -> None:
        self._files = deque(files)
        self._gap_s = gap_s
        self.now_s = 0.0
        self.over = threading.Event()

    def clock(self) -> float:
        return self.now_s

    def wall(self) -> datetime:
        return BEGIN + timedelta(seconds=self.now_s)

    def open(self) -> Source:
        if not self._files:
            self.over.set()
            raise StreamLostError("cam: nothing answers.")
        file = self._files.popleft()
        source = Source(file, av.open(str(file)), live=True, read_timeout_s=1.0)
        given, began_s = source.packets, self.now_s

        def packets(*, audio: bool = False) -> Iterator[Any]:
            try:
                for packet in given(audio=audio):
                    self.now_s = max(self.now_s, began_s + float(packet.dts * packet.time_base))
                    yield packet
            finally:
                self.now_s += self._gap_s

        source.packets = packets
        return source


class Every(NewestFrame):
    """A slot that waits for its reader, so that no frame is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._room = threading.Semaphore(1)

    def put(self, frame: Frame) -> None:
        self._room.acquire()
        super().put(frame)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            self._room.release()
            yield frame

    def close(self) -> None:
        super().close()
        self._room.release()


class Played:
    """A camera that saw all of a replay, and its events."""

    def __init__(
        self, site: Site, name: str, eyes: Eyes, replay: Replay, pictures: int, inputs: tuple[InputGiven, ...] = (),
        *, analysed: int = 0,
    ) -> None:  # fmt: skip
        """Returns once so many pictures were received and analysed: with a slot, analysis is another thread's."""
        self.events: list[RuleEvent] = []
        self.seen: list[Seen | None] = []
        self.camera = LiveCamera(
            site, name, eyes, self._emit, settings=Settings(first_pause_s=0.001, longest_pause_s=0.001),
            opener=replay.open, clock=replay.clock, wall=replay.wall,
        )  # fmt: skip
        for message in inputs:
            self.camera.receive(message)
        self.camera.start()
        until(lambda: replay.over.is_set() and self._through(pictures, analysed), 20, "the end")
        self.status = self.camera.status()
        self.camera.stop()
        self.camera.join()
        self.camera.close()

    def _through(self, pictures: int, analysed: int) -> bool:
        status = self.camera.status()
        return status.received >= pictures and status.analysed >= analysed

    def _emit(self, event: RuleEvent, seen: Seen | None) -> None:
        self.events.append(event)
        self.seen.append(seen)


def eyes_of(detector: Detector, slot: NewestFrame | None = None, look: Callable[[Frame], Any] | None = None) -> Eyes:
    def ask(frame: Frame) -> Any:
        return detector.detect([frame.image], [(frame.width_px, frame.height_px)])[0]

    return Eyes(detector.weights_sha256, detector.analysis_size, look or ask, slot)


def test_live_finds_what_a_reanalysis_finds(site: Site, detector: Detector, tmp_path: Path) -> None:
    recording = site.path.parent / "cam.mp4"
    batch = reanalyse(
        site,
        [recording],
        Options(out=tmp_path / "out", camera="gate", clips=False, quiet=True),
        say_line=lambda _: None,
    )
    played = Played(site, "gate", eyes_of(detector), Replay(recording), 100)
    assert [event.event_id for event in played.events] == [event.event_id for event in batch.events]
    assert len(played.events) >= 6
    for live, known in zip(played.events, batch.events, strict=True):
        assert live.raised_s == pytest.approx(known.raised_s, abs=0.05)
        # To the delay of reordered pictures, which are sent in the order in which they are decoded.
        assert live.started_at == pytest.approx(BEGIN + timedelta(seconds=live.start_s), abs=timedelta(seconds=0.25))
        assert live.versions == known.versions
    assert all(
        seen is not None and seen.media_time_s <= event.raised_s + 0.01
        for event, seen in zip(played.events, played.seen, strict=True)
    )
    assert (played.status.analysed, played.status.received, played.status.dropped) == (50, 100, 0)


def test_authorisations_count_from_when_they_were_given(site: Site, detector: Detector) -> None:
    def events(*ages_s: float) -> tuple[int, int]:
        """(crossings, those of them without authorisation)."""
        inputs = tuple(
            InputGiven("gate", "west-road", "authorisation", BEGIN - timedelta(seconds=age_s)) for age_s in ages_s
        )
        played = Played(site, "gate", eyes_of(detector), Replay(site.path.parent / "cam.mp4"), 100, inputs)
        assert played.status.inputs == len(ages_s)
        rules = [event.rule for event in played.events]
        return rules.count("crossing"), rules.count("tailgate")

    crossings, without = events(0.0, 500.0)  # the second had expired
    assert without == crossings - 1
    assert events(*[30.0] * crossings) == (crossings, 0)


def test_a_camera_set_up_anew_while_away_goes_on_with_new_ids_and_time(site: Site, tmp_path: Path) -> None:
    from tests.live.test_run import shrunk

    recording = site.path.parent / "cam.mp4"
    small = shrunk(recording, tmp_path / "small.mp4")
    replay = Replay(recording, small, gap_s=40.0)
    played = Played(site, "yard", Eyes("motion", blob_picture_size, None, None), replay, 200)
    status = played.status
    assert (status.connections, status.reconnects, status.faults) == (2, 1, 0)
    assert (status.width_px, status.height_px) == (384, 288)
    assert status.media_time_s == pytest.approx(60, abs=1)
    assert status.blind_s > 40
    first = [event for event in played.events if event.raised_s < 30]
    second = [event for event in played.events if event.raised_s > 45]
    assert first
    assert second
    assert len(first) + len(second) == len(played.events)
    ids = [set().union(*(event.track_ids for event in part)) for part in (first, second)]
    assert max(ids[0]) < min(ids[1])
    assert [event.event_id for event in played.events] == [
        f"yard.movement.{number:06d}" for number in range(1, len(played.events) + 1)
    ]
    assert all(b.raised_s >= a.raised_s for a, b in pairwise(played.events))
    sizes = {(seen.width_px, seen.height_px) for seen in played.seen if seen}
    assert sizes == {(768, 576), (384, 288)}


def test_a_detector_that_fails_on_a_frame_costs_one_pause(
    site: Site, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatewatch.live_camera.FAULT_PAUSE_S", (0.001, 0.001))
    looks: list[int] = []

    def look(frame: Frame) -> Any:
        looks.append(frame.index)
        if len(looks) == 3:
            raise RuntimeError("rtsp://guard:s3cret@192.0.2.1/x is strange")
        return detector.detect([frame.image], [(frame.width_px, frame.height_px)])[0]

    replay = Replay(site.path.parent / "cam.mp4")
    played = Played(site, "gate", eyes_of(detector, Every(), look), replay, 100, analysed=49)
    assert played.status.faults == 1
    assert played.status.analysed == 49
    assert played.status.reason == "cam: nothing answers."
    assert sum(event.rule == "crossing" for event in played.events) >= 2


def test_a_missing_variable_is_a_reason_and_not_an_end(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        "site: {name: A, timezone: UTC}\n"
        "cameras: {gate: {source: 'rtsp://guard:${NOT_SET_AT_ALL}@192.0.2.1/x', detector: motion}}\n"
    )
    site = load_site(tmp_path / "site.yaml")
    camera = LiveCamera(
        site, "gate", Eyes("motion", blob_picture_size, None, None), lambda *_: None,
        settings=Settings(first_pause_s=0.001, longest_pause_s=0.001),
    ).start()  # fmt: skip
    status = until(lambda: (s := camera.status()).failures > 3 and s, 10)
    camera.stop()
    camera.join()
    camera.close()
    assert "expected the environment variable NOT_SET_AT_ALL to be set" in status.reason


def test_inputs_for_a_camera_without_pictures_wait_within_bounds(site: Site) -> None:
    camera = LiveCamera(site, "yard", Eyes("motion", blob_picture_size, None, None), lambda *_: None)
    for _ in range(INPUTS_KEPT + 7):
        camera.receive(InputGiven("yard", "all", "disarm", BEGIN))
    assert camera.status().inputs_unused == 7


def test_what_is_remembered_of_where_objects_were_is_bounded() -> None:
    seen = LastSeen()
    for number in range(5000):
        box = (float(number), 0.0, 1.0, 1.0)
        tracks = (Track(1, "person", 0.9, box), Track(number + 2, "person", 0.9, box))
        seen.note(TrackedFrame("gate", number, number * 1.0, None, 100, 100, tracks))
    assert len(seen) <= KEPT_S + 3
    assert len(seen._boxes[1]) == BOXES_KEPT
