"""Answers without an end: what they hold is given back however they end, and clients that take nothing are left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

STUCK_S = 60.0
"""A client that takes nothing for so long is gone."""


class Streamed(StreamingResponse):
    """`stack` is closed at the end, also where not even the first byte could be sent."""

    def __init__(self, content: AsyncIterator[bytes], stack: contextlib.AsyncExitStack, *, media_type: str) -> None:
        # What stands between must not hold back what is to be seen now.
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(content, media_type=media_type, headers=headers)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_soon(message: Any) -> None:
            await asyncio.wait_for(send(message), STUCK_S)

        async with self._stack:
            with contextlib.suppress(TimeoutError):
                await super().__call__(scope, receive, send_soon)


def end_streams(app: Any) -> None:
    """Called as the server stops: ends the answers of this application that would go on as long as somebody listens."""
    app.state.services.feed.end_streams()
    cameras = getattr(app.state, "cameras", None)
    if cameras is not None:
        cameras.view.end()
