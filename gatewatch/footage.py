"""The analysed frames of several recordings as one stream, and where on the time line each recording ended up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gatewatch.plan import Part
from pipeline.clip import Recording
from pipeline.decode import Decoder
from pipeline.source import open_source
from pipeline.types import Frame


@dataclass(slots=True)
class Place:
    """One recording as it was read."""

    path: Path
    start_s: float
    end_s: float = 0.0
    read: int = 0
    analysed: int = 0
    decode_errors: int = 0
    irregular_times: int = 0
    damaged_s: tuple[float, ...] = ()
    """Media times near which pictures could not be decoded."""
    moved_s: float = 0.0
    """How much later than its stated start it was placed, because the one before was not over."""


class FootageReader:
    """Decodes a plan's recordings one after another."""

    def __init__(
        self,
        parts: tuple[Part, ...],
        *,
        analyse_fps: float | None,
        analysis_size: tuple[int, int],
        started_at: datetime | None,
    ) -> None:
        self.places: list[Place] = []
        self._parts = parts
        self._fps = analyse_fps
        self._size = analysis_size
        self._started_at = started_at

    def frames(self, stopped: Callable[[], None]) -> Iterator[Frame]:
        """Every analysed frame in order of time. `stopped` is called before each and may raise. Raises MediaError."""
        end_s, index = 0.0, 0
        for part in self._parts:
            stated_s = end_s if part.offset_s is None else part.offset_s
            place = Place(part.path, max(stated_s, end_s), moved_s=max(0.0, end_s - stated_s))
            self.places.append(place)
            with open_source(part.path) as source:
                decoder = Decoder(
                    source,
                    analyse_fps=self._fps,
                    analysis_size=self._size,
                    start_s=place.start_s,
                    wall_start=self._started_at,
                    first_index=index,
                )
                for frame in decoder.frames(source.packets()):
                    stopped()
                    yield frame
                index = decoder.next_index
                place.end_s = (place.start_s if decoder.last_time_s is None else decoder.last_time_s) + decoder.step_s
                place.read, place.analysed = decoder.counts.read, decoder.counts.analysed
                place.decode_errors = decoder.counts.decode_errors + source.read_errors
                place.irregular_times = decoder.counts.irregular_times
                place.damaged_s = tuple(decoder.damaged_s)
                end_s = place.end_s

    def recordings(self) -> list[Recording]:
        """The recordings opened so far, for cutting clips."""
        return [Recording(place.path, place.start_s) for place in self.places]

    @property
    def damaged_s(self) -> list[float]:
        """Media times near which pictures could not be decoded."""
        return [time_s for place in self.places for time_s in place.damaged_s]

    def where(self, media_time_s: float) -> tuple[str, float]:
        """File name of the recording that holds a media time, and the time within it."""
        place = self.places[0]
        for later in self.places[1:]:
            if later.start_s <= media_time_s + 1e-6:
                place = later
        return place.path.name, media_time_s - place.start_s

    @property
    def footage_s(self) -> float:
        """Seconds of footage read in whole recordings."""
        return sum(place.end_s - place.start_s for place in self.places if place.end_s)
