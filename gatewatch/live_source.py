"""The streams of a live camera: opened by their address in the site file, paced where that is a recording."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

from gatewatch.errors import SiteError
from gatewatch.site import Site
from pipeline.errors import StreamLostError
from pipeline.source import Source, open_source, source_kind

READ_TIMEOUT_S = 10.0

Stream = Literal["source", "analyse"]
Opener = Callable[[], Source]


class PacedSource(Source):
    """A recording played as a camera would send it: each packet when its time has come. The end is a disconnect."""

    @classmethod
    def of(cls, recording: Source, closing: threading.Event) -> PacedSource:
        paced = cls(recording.address, recording.container, live=True, read_timeout_s=recording.read_timeout_s)
        paced.info, paced.first_pts, paced.closing = recording.info, recording.first_pts, closing
        return paced

    closing: threading.Event
    """Ends the waiting between packets."""

    def packets(self, *, audio: bool = False) -> Iterator[Any]:
        began, first_s = time.monotonic(), None
        for packet in super().packets(audio=audio):
            if packet.dts is not None and packet.time_base is not None:
                at_s = float(packet.dts * packet.time_base)
                first_s = at_s if first_s is None else first_s
                if self.closing.wait(max(0.0, began + at_s - first_s - time.monotonic())):
                    return
            yield packet


def opener_of(site: Site, camera: str, stream: Stream, closing: threading.Event) -> Opener:
    """Opens the stream anew each time it is called, with its `${VAR}` filled in.

    A missing variable is a lost stream like any other: it is reported, and the other cameras go on.
    """

    def opened() -> Source:
        try:
            address = site.open_address(camera, stream)
        except SiteError as error:
            raise StreamLostError(str(error)) from None
        source = open_source(address, read_timeout_s=READ_TIMEOUT_S)
        return source if source.live else PacedSource.of(source, closing)

    return opened


def is_recording(site: Site, camera: str, stream: Stream) -> bool:
    """Whether a stream of a site is a file, which is played over and over."""
    raw = getattr(site.cameras[camera], stream) or site.cameras[camera].source
    return source_kind(raw) == "file"
