"""Keeps the last compressed packets of a live camera, and cuts clips from them, post-roll still to come included."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.clip import CLIP_MAX_S, POST_ROLL_S, PRE_ROLL_S, ClipResult, Footage
from pipeline.errors import MediaError
from pipeline.index import TimedPacket
from pipeline.remux import Template
from pipeline.takes import RingTake
from pipeline.types import Image

GRACE_S = 3.0
"""How much later than its time a post-roll may come before the clip is cut without it."""


@dataclass(slots=True)
class _Group:
    """A key frame and what follows it up to the next one."""

    template: Template
    start_s: float
    packets: list[TimedPacket] = field(default_factory=list)
    size: int = 0
    end_s: float = 0.0


@dataclass(slots=True)
class _Wanted:
    start_s: float
    end_s: float
    pre_roll_s: float
    post_roll_s: float
    path: Path
    due: float
    """By the clock: when to cut with what is there."""
    max_s: float
    answer: Future[ClipResult]


class Recorder:
    """A ring of one camera's packets: at least the last `keep_s` seconds from a key frame on, within `max_bytes`.

    `keep_s` has to cover the longest pre-roll plus how long before it is raised an event may begin. Clips that wait
    for their post-roll hold back what they need, within the same limit. All methods may be called from any thread.
    `start()` begins the thread that writes clips, `close()` ends it and cuts what is wanted with what is there.
    """

    def __init__(
        self,
        name: str,
        *,
        keep_s: float = 20.0,
        max_bytes: int = 64_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.over_limit = 0
        """Groups of pictures that had to go before their time because of `max_bytes`."""
        self._keep_s, self._max_bytes, self._clock = keep_s, max_bytes, clock
        self._groups: deque[_Group] = deque()
        self._bytes = 0
        self._template: Template | None = None
        self._newest_s = 0.0
        self._newest_at = clock()
        self._wanted: list[_Wanted] = []
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._write_clips, name=f"clips {name}", daemon=True)

    @property
    def bytes_kept(self) -> int:
        return self._bytes

    @property
    def span_s(self) -> tuple[float, float] | None:
        """Media time of the oldest and newest picture kept, or None."""
        with self._change:
            return (self._groups[0].start_s, self._newest_s) if self._groups else None

    def start(self) -> Recorder:
        self._thread.start()
        return self

    def close(self) -> None:
        """Cuts the clips that are still wanted with what is there, and ends; twice does no harm."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        with self._change:
            self._groups.clear()
            self._bytes = 0

    def connected(self, template: Template) -> None:
        """A connection begins: packets to come are of this kind."""
        with self._change:
            self._template = template

    def add(self, packet: TimedPacket) -> None:
        """Takes the next packet; what comes before the first key frame of a connection is left out."""
        with self._change:
            template = self._template
            if template is None:
                return
            begins = packet.video and packet.packet.is_keyframe
            if begins:
                self._groups.append(_Group(template, packet.pts_s))
            elif not self._groups or self._groups[-1].template is not template:
                return
            group = self._groups[-1]
            group.packets.append(packet)
            group.size += packet.packet.size
            self._bytes += packet.packet.size
            if packet.video:
                group.end_s = max(group.end_s, packet.pts_s)
                self._newest_s = max(self._newest_s, packet.pts_s)
                self._newest_at = self._clock()
            if packet.video or self._bytes > self._max_bytes:
                self._trim()
            if any(self._newest_s > wanted.end_s + wanted.post_roll_s for wanted in self._wanted):
                self._change.notify_all()

    def lost(self) -> None:
        """The connection ended. Clips still wait for their post-roll: the camera may be back in time."""
        with self._change:
            self._template = None
            self._change.notify_all()

    def request(
        self,
        start_s: float,
        end_s: float,
        path: Path,
        *,
        pre_roll_s: float = PRE_ROLL_S,
        post_roll_s: float = POST_ROLL_S,
        max_s: float = CLIP_MAX_S,
    ) -> Future[ClipResult]:
        """A clip of what happened from `start_s` to `end_s` (media time), once its post-roll is there.

        The future fails with MediaError where there is no footage or it cannot be written. See `Footage.cut`.
        """
        with self._change:
            to_come_s = max(0.0, end_s + post_roll_s - self._newest_s)
            due = self._newest_at + to_come_s + GRACE_S
            answer: Future[ClipResult] = Future()
            wanted = _Wanted(start_s, end_s, pre_roll_s, post_roll_s, path, due, max_s, answer)
            if self._closing:
                wanted.answer.set_exception(MediaError(f"{self.name}: no more clips are cut, the camera was closed."))
            else:
                self._wanted.append(wanted)
                self._change.notify_all()
            return answer

    def picture_at(self, media_time_s: float) -> Image:
        """The full-size picture at a media time, see `Footage.picture_at`. Raises MediaError where it is gone."""
        with self._change:
            at = [g for g in self._groups if g.start_s <= media_time_s + 0.001][-1:] or list(self._groups)[:1]
        return Footage.of_takes(self._takes(at)).picture_at(media_time_s)

    def _trim(self) -> None:
        """Lets go of the oldest groups that nobody needs, and of more where the ring is too large."""
        needed_s = min([self._newest_s - self._keep_s, *(w.start_s - w.pre_roll_s for w in self._wanted)])
        while len(self._groups) > 1:
            if self._groups[1].start_s > needed_s:
                if self._bytes <= self._max_bytes:
                    return
                self.over_limit += 1
            self._bytes -= self._groups.popleft().size
        if self._bytes > self._max_bytes and self._groups:
            # One group larger than the whole ring (key frames minutes apart): nothing can start inside it.
            self.over_limit += 1
            self._bytes -= self._groups.popleft().size

    def _write_clips(self) -> None:
        while True:
            with self._change:
                wanted = self._next_ready()
                while wanted is None and not (self._closing and not self._wanted):
                    self._change.wait(self._until_due())
                    wanted = self._next_ready()
                if wanted is None:
                    return
                groups = [group for group in self._groups if group.start_s <= wanted.end_s + wanted.post_roll_s]
                takes = self._takes(groups)
            self._cut(wanted, takes)
            with self._change:
                self._wanted.remove(wanted)

    def _next_ready(self) -> _Wanted | None:
        now = self._clock()
        for wanted in self._wanted:
            if self._closing or now >= wanted.due or self._newest_s > wanted.end_s + wanted.post_roll_s:
                return wanted
        return None

    def _until_due(self) -> float | None:
        return max(0.01, min(wanted.due for wanted in self._wanted) - self._clock()) if self._wanted else None

    def _takes(self, groups: list[_Group]) -> list[RingTake]:
        """One take for each connection, of copies of the groups' lists (the newest group still grows)."""
        takes: list[RingTake] = []
        at = 0
        while at < len(groups):
            template = groups[at].template
            packets: list[TimedPacket] = []
            while at < len(groups) and groups[at].template is template:
                packets.extend(groups[at].packets)
                at += 1
            takes.append(RingTake(self.name, template, packets))
        return takes

    def _cut(self, wanted: _Wanted, takes: list[RingTake]) -> None:
        if not wanted.answer.set_running_or_notify_cancel():
            return
        try:
            result = Footage.of_takes(takes).cut(
                wanted.start_s, wanted.end_s, wanted.path,
                pre_roll_s=wanted.pre_roll_s, post_roll_s=wanted.post_roll_s, max_s=wanted.max_s,
            )  # fmt: skip
        except MediaError as error:
            wanted.answer.set_exception(error)
        except BaseException as error:
            wanted.answer.set_exception(error)
            raise
        else:
            wanted.answer.set_result(result)
