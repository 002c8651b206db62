"""Evidence: full-size pictures and clips cut from recordings and from the ring of a live camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.decode import Decoder, full_picture
from pipeline.errors import MediaError
from pipeline.source import Source, open_source
from pipeline.types import Image

SAME_S = 0.001
"""Two times this close are the same picture's."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file on a camera's time line; its first picture stands at `start_s` of media time."""

    path: Path
    start_s: float = 0.0


def picture_at(recordings: str | Path | Sequence[Recording], media_time_s: float) -> Image:
    """The picture that stood at a media time: the last one that is not later (1 ms tolerance), or the first there is.

    BGR (height, width, 3) at full size, rotated as shown. Raises MediaError where nothing can be decoded.
    """
    listed = [Recording(Path(recordings))] if isinstance(recordings, str | Path) else list(recordings)
    if not listed:
        raise MediaError("There is no recording to take a picture from.")
    earlier = [recording for recording in listed if recording.start_s <= media_time_s + SAME_S]
    recording = max(earlier, key=lambda r: r.start_s) if earlier else min(listed, key=lambda r: r.start_s)
    with open_source(recording.path) as source:
        picture = _picture_of(source, media_time_s - recording.start_s)
    if picture is None:
        raise MediaError(f"{source.name}: no picture can be decoded at {media_time_s:.3f} s.")
    return picture


def _picture_of(source: Source, time_s: float) -> Image | None:
    best = None
    decoder = Decoder(source, analyse_fps=None, analysis_size=(16, 16))
    for picture, at in decoder.pictures(source.packets()):
        if best is not None and at > time_s + SAME_S:
            break
        best = picture
    return None if best is None else full_picture(best)
