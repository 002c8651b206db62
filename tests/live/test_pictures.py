"""Live pictures: any number of viewers, one row of pictures, and none while nobody looks."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api import live_view
from api.access.principal import PERMISSIONS_OF, Principal
from api.errors import TooManyRequestsError, UnavailableError
from api.live_view import LiveView, Picture
from gatewatch.live_messages import PictureDone, PictureWanted
from gatewatch.live_pictures import LivePictures, read
from pipeline.errors import MediaError
from pipeline.types import Frame
from tests.live.kit import until

GUARD = Principal("user", "li", "guard", PERMISSIONS_OF["guard"])
AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def frame(index: int) -> Frame:
    image = np.full((48, 64, 3), index % 256, np.uint8)
    return Frame(index, index / 5, AT, image, image[:, :, 0], 128, 96)


class Ring:
    def picture_at(self, _at_s: float) -> Any:
        raise MediaError("It is gone.")


class Camera:
    """Stands for a camera at work."""

    def __init__(self) -> None:
        self.picture_wanted = False
        self.picture: Frame | None = None
        self.recorder = Ring()

    def footage_shift_s(self) -> float:
        return 0.0

    def forget_picture(self) -> None:
        self.picture_wanted, self.picture = False, None


def test_a_worker_draws_while_somebody_looks_and_then_no_more(tmp_path: Path) -> None:
    camera, sent = Camera(), []
    cameras: Any = {"yard": camera}
    pictures = LivePictures(cameras, tmp_path, sent.append).start()
    try:
        pictures.want(PictureWanted("yard", 1.0))
        assert camera.picture_wanted
        for index in range(3):
            camera.picture = frame(index)
            until(lambda index=index: len(sent) == index + 1, 5)  # type: ignore[misc]
        assert sent == [PictureDone("yard", ".live/yard.picture")] * 3  # One picture is shown once.
        shown = read(tmp_path / ".live/yard.picture")
        assert (shown.at, shown.media_time_s, shown.full, shown.jpeg[:2]) == (AT, 0.4, False, b"\xff\xd8")
        until(lambda: not camera.picture_wanted, 5, "the end of the looking")
        assert camera.picture is None
        camera.picture_wanted, camera.picture = True, frame(9)
        pictures.want(PictureWanted("yard", 5.0, full=True))  # The ring has nothing: the analysed picture has to do.
        until(lambda: len(sent) == 4, 5)
        assert read(tmp_path / ".live/yard.picture").full is False
    finally:
        pictures.close()


def test_a_picture_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / ".live").write_text("in the way")
    camera, sent = Camera(), []
    cameras: Any = {"yard": camera}
    pictures = LivePictures(cameras, tmp_path, sent.append).start()
    camera.picture = frame(1)
    pictures.want(PictureWanted("yard", 5.0))
    until(lambda: sent, 5)
    pictures.close()
    assert sent[0].path is None
    assert sent[0].why.startswith("The picture cannot be written: ")


def picture(number: int) -> Picture:
    return Picture(str(number).encode(), AT, float(number), full=False)


def test_all_viewers_share_what_one_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float, bool]] = []
    view = LiveView(lambda *wanted: asked.append(wanted) is None)

    async def look() -> None:
        with view.watcher("yard", GUARD) as one, view.watcher("yard", GUARD) as other:
            for _ in range(10):
                view.renew("yard")
            assert asked == [("yard", 5.0, False)]
            view.shown("yard", picture(1))
            assert await one.next(1.0) == picture(1)
            view.shown("yard", picture(2))
            view.shown("yard", picture(3))
            await asyncio.sleep(0)
            assert await one.next(1.0) == picture(3)  # Who is slow misses pictures: nothing piles up.
            assert await other.next(1.0) == picture(3)
            assert await other.next(0.01) is None
            assert view.recent("yard") == picture(3)
            began = time.monotonic()
            view.end()
            assert await one.next(5.0) is None
            assert time.monotonic() - began < 1.0
            assert one.why == "The server is being stopped."
        assert (view.watching("yard"), view.recent("yard")) == (0, None)
        view.shown("yard", picture(4))  # The last one on its way.
        assert view.recent("yard") is None

    asyncio.run(look())
    monkeypatch.setattr(live_view, "LEASE_S", 0.0)
    view.renew("yard")
    assert len(asked) == 2


def test_viewers_have_a_limit_and_are_told_where_nobody_draws() -> None:
    view = LiveView(lambda *_: False, per_caller=1)

    async def look() -> None:
        with view.watcher("yard", GUARD), pytest.raises(TooManyRequestsError), view.watcher("gate", GUARD):
            pass
        with view.watcher("gate", GUARD), pytest.raises(UnavailableError):
            view.renew("gate")

    asyncio.run(look())
