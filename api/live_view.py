"""Live pictures of cameras: any number of viewers share one stream of pictures, which is asked for while one looks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from api.access.principal import Principal
from api.errors import TooManyRequestsError, UnavailableError

LEASE_S = 5.0
"""The camera's process is asked for pictures for so long at a time."""
FRESH_S = 1.0
"""A picture that came so shortly ago need not be asked for again."""
PER_CALLER = 16


@dataclass(frozen=True, slots=True)
class Picture:
    jpeg: bytes
    at: datetime | None
    """UTC: when it was taken."""
    media_time_s: float
    full: bool
    """Of the camera's full size, not of that which is analysed."""


Want = Callable[[str, float, bool], bool]
"""(camera, seconds, full size once): asks for pictures without waiting; False where nobody can take the wish."""


class Watcher:
    """One viewer of one camera: sees the newest picture, and misses those that it was too slow for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._doubted = asyncio.Event()
        self._newest: Picture | None = None
        self.why: str | None = None
        """Why no picture can be had."""

    async def next(self, at_most_s: float) -> Picture | None:
        """The newest picture that was not seen yet; None where none came in time, none can be had, or `doubt` came."""
        try:
            await asyncio.wait_for(self._woken.wait(), at_most_s)
        except TimeoutError:
            return None
        self._woken.clear()
        picture, self._newest = self._newest, None
        return picture

    async def rest(self, for_s: float) -> None:
        """Waits so long, or until `doubt` comes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._doubted.wait(), for_s)

    @property
    def doubted(self) -> bool:
        return self._doubted.is_set()

    def believe(self) -> None:
        """The viewer was asked for again."""
        self._doubted.clear()

    def doubt(self) -> None:
        """Whether this viewer may still look is to be asked. From any thread."""

        def ask() -> None:
            self._doubted.set()
            self._woken.set()

        self._soon(ask)

    def put(self, picture: Picture | None, why: str | None) -> None:
        """From any thread."""

        def show() -> None:
            self._newest, self.why = picture, why
            self._woken.set()

        self._soon(show)

    def _soon(self, step: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # The loop may have ended with this viewer in it.
            self._loop.call_soon_threadsafe(step)


class LiveView:
    """Thread-safe."""

    def __init__(self, want: Want, *, per_caller: int = PER_CALLER) -> None:
        self._want, self._per_caller = want, per_caller
        self._lock = threading.Lock()
        self._watchers: dict[str, set[Watcher]] = {}
        self._asked: dict[str, float] = {}
        self._newest: dict[str, tuple[float, Picture]] = {}
        self._callers: Counter[tuple[str, str | None]] = Counter()
        self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended

    def end(self) -> None:
        """The server stops: nobody looks any more."""
        self._ended = True
        with self._lock:
            watchers = [watcher for group in self._watchers.values() for watcher in group]
        for watcher in watchers:
            watcher.put(None, "The server is being stopped.")
            watcher.doubt()

    def watching(self, camera: str) -> int:
        """How many look at this camera."""
        with self._lock:
            return len(self._watchers.get(camera, ()))

    @contextlib.contextmanager
    def watcher(self, camera: str, principal: Principal) -> Iterator[Watcher]:
        """In the running event loop. Raises TooManyRequestsError."""
        caller = (principal.user, principal.token_id)
        with self._lock:
            if self._callers[caller] >= self._per_caller:
                raise TooManyRequestsError(
                    f"At most {self._per_caller} live pictures may be open for one caller.",
                    {"retry_after_s": 30, "max_streams": self._per_caller},
                )
            self._callers[caller] += 1
            watcher = Watcher()
            self._watchers.setdefault(camera, set()).add(watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._callers[caller] -= 1
                if not self._callers[caller]:
                    del self._callers[caller]
                group = self._watchers[camera]
                group.discard(watcher)
                if not group:
                    del self._watchers[camera]
                    self._newest.pop(camera, None)

    def renew(self, camera: str, *, full: bool = False) -> None:
        """Somebody still looks. Raises UnavailableError where the camera's process cannot be asked."""
        now = time.monotonic()
        with self._lock:
            due = full or now - self._asked.get(camera, -LEASE_S) >= LEASE_S / 2
            if due:
                self._asked[camera] = now
        if due and not self._want(camera, LEASE_S, full):
            with self._lock:
                self._asked.pop(camera, None)
            raise UnavailableError("The camera's process is not running, or cannot take more now.")

    def shown(self, camera: str, picture: Picture | None, why: str | None = None) -> None:
        """A picture came, or why there is none. From any thread; does not block."""
        with self._lock:
            watchers = list(self._watchers.get(camera, ()))
            if picture is not None and watchers:
                self._newest[camera] = (time.monotonic(), picture)
        for watcher in watchers:
            watcher.put(picture, why)

    def recent(self, camera: str) -> Picture | None:
        """A picture that just came."""
        with self._lock:
            at, picture = self._newest.get(camera, (0.0, None))
            return picture if time.monotonic() - at < FRESH_S else None
