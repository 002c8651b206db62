"""How far the work is: a bar on a terminal, a line now and then elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol

from gatewatch.words import clock, say

LINE_EVERY_S = 10.0


class Progress(Protocol):
    """What long work reports to."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def begin(self, what: str, total: float | None, *, footage: bool) -> None:
        """New work of `total` units; `footage`: the units are seconds of footage, so a speed can be said."""
        ...

    def at(self, done: float) -> None:
        """So much of it is done."""
        ...


def make_progress(language: str, *, quiet: bool = False) -> Progress:
    """A bar where stderr is a terminal, lines elsewhere, nothing where `quiet`."""
    if quiet:
        return Silent()
    return Bar(language) if sys.stderr.isatty() else Lines(language)


class Silent:
    """Reports nothing."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return

    def begin(self, what: str, total: float | None, *, footage: bool) -> None:
        """Says nothing."""

    def at(self, done: float) -> None:
        """Says nothing."""


class Lines(Silent):
    """A line every ten seconds, for logs and pipes."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._what = ""
        self._total: float | None = None
        self._footage = False
        self._began = self._said = time.monotonic()

    def begin(self, what: str, total: float | None, *, footage: bool) -> None:
        self._what, self._total, self._footage = what, total, footage
        self._began = self._said = time.monotonic()

    def at(self, done: float) -> None:
        now = time.monotonic()
        if now - self._said < LINE_EVERY_S:
            return
        self._said = now
        print(self._line(done, max(now - self._began, 1e-3)), file=sys.stderr, flush=True)

    def _line(self, done: float, wall_s: float) -> str:
        parts = [say(self._language, self._what)]
        total = self._total
        if self._footage:
            parts.append(
                f"{clock(self._language, done)} / {clock(self._language, total)}"
                if total
                else clock(self._language, done)
            )
            parts.append(say(self._language, "times", speed=done / wall_s))
        else:
            parts.append(f"{done:.0f} / {total:.0f}" if total else f"{done:.0f}")
        if total and done:
            parts.append(
                say(self._language, "left", time=clock(self._language, max(0.0, (total - done) * wall_s / done)))
            )
        return "  ".join(parts)


class Bar:
    """A bar with speed and time left."""

    def __init__(self, language: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._language = language
        self._footage = False
        self._began = time.monotonic()
        self._task: TaskID | None = None
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            # What is printed goes above the bar where both share the terminal, else where it was sent.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=False,
            transient=True,
        )

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def begin(self, what: str, total: float | None, *, footage: bool) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._footage = footage
        self._began = time.monotonic()
        self._task = self._bar.add_task(say(self._language, what), total=total, speed="")

    def at(self, done: float) -> None:
        if self._task is None:
            return
        wall_s = max(time.monotonic() - self._began, 1e-3)
        speed = say(self._language, "times", speed=done / wall_s) if self._footage else ""
        self._bar.update(self._task, completed=done, speed=speed)
