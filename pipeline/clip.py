"""Evidence: full-size pictures and clips cut from a camera's recordings.

Where the codec plays in browsers a clip is a stream copy; elsewhere the packets are kept as copied (`.mkv`) and one
H.264 rendering is made for viewing, and says so in its metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path

from pipeline.decode import full_picture
from pipeline.errors import MediaError
from pipeline.index import TimedPacket
from pipeline.remux import up_to, write_copy
from pipeline.render import KEY_S, EncodedPicture
from pipeline.render_file import write_rendering
from pipeline.takes import FileTake, Take
from pipeline.types import Image

SAME_S = 0.001
"""Two times this close are the same picture's."""
PRE_ROLL_S = 5.0
POST_ROLL_S = 5.0
CLIP_MAX_S = 120.0
DAMAGE_NEAR_S = 2.0
"""A decoder notices damage up to so long before or after it stands in the pictures."""
ORIGINAL_LEAD_MAX_S = 600.0
"""An original beside a rendering begins at most this long before it; with key frames further apart there is none."""

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Recording:
    """One file on a camera's time line; its first picture stands at `start_s` of media time."""

    path: Path
    start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ClipPart:
    """One playable file of a clip; times in seconds of media time, `to_s` where its last picture's display ends."""

    path: Path
    original_path: Path | None
    """The packets as copied, where `path` is a rendering."""
    from_s: float
    to_s: float
    rendered: bool
    original_span_s: tuple[float, float] | None = None
    """From and to of `original_path`, which begins at a key frame and may be longer."""


@dataclass(frozen=True, slots=True)
class ClipResult:
    """What was cut. The parts follow one another without gaps."""

    path: Path
    original_path: Path | None
    clip_from_s: float
    clip_to_s: float
    rendered: bool
    shortfall_s: float
    """How much of the pre-roll the footage lacks."""
    post_shortfall_s: float
    """How much the footage ends before the wanted end."""
    parts: tuple[ClipPart, ...]
    notes: tuple[str, ...] = ()
    """What a viewer has to know: sound left out, pictures that changed size."""


class Footage:
    """A camera's recordings in a row: cuts many clips from them and takes pictures, sharing index and renderings.

    Not for several threads at once.
    """

    @classmethod
    def of_takes(cls, takes: Sequence[Take]) -> Footage:
        """Footage from a live camera's ring. Raises MediaError where there is none."""
        footage = cls.__new__(cls)
        footage._damaged_s = []
        footage._adopt(takes)
        return footage

    def __init__(self, recordings: str | Path | Sequence[Recording], *, damaged_s: Iterable[float] = ()) -> None:
        """`damaged_s`: media times near which the recordings could not be decoded. Browsers give a copy up there, so
        such clips are rendered, and kept as copied, too."""
        self._damaged_s = sorted(damaged_s)
        listed = [Recording(Path(recordings))] if isinstance(recordings, str | Path) else recordings
        self._adopt([FileTake(Path(recording.path), recording.start_s) for recording in listed])

    def _adopt(self, takes: Sequence[Take]) -> None:
        if not takes:
            raise MediaError("There is no footage to cut from.")
        self._takes = sorted(takes, key=lambda take: take.start_s)

    @property
    def pictures_rendered(self) -> int:
        """How many pictures were encoded so far for clips that could not be copied."""
        return sum(take.renderer.pictures_encoded for take in self._takes if "renderer" in vars(take))

    def picture_at(self, media_time_s: float) -> Image:
        """The picture that stood at a media time: the last one not later (1 ms tolerance), or the first there is.

        BGR (height, width, 3) at full size, rotated as shown. Raises MediaError where nothing can be decoded.
        """
        take = self._take_at(media_time_s)
        wanted_s = media_time_s - take.start_s
        best = None
        with closing(take.pictures(wanted_s)) as pictures:
            for picture, time_s in pictures:
                if best is not None and time_s > wanted_s + SAME_S:
                    break
                best = picture
            if best is None:
                raise MediaError(f"{take.name}: no picture can be decoded at {wanted_s:.3f} s.")
            return full_picture(best)

    def cut(
        self,
        start_s: float,
        end_s: float,
        out_path: Path,
        *,
        pre_roll_s: float = PRE_ROLL_S,
        post_roll_s: float = POST_ROLL_S,
        max_s: float = CLIP_MAX_S,
        progress: Progress | None = None,
    ) -> ClipResult:
        """Cuts what happened from `start_s` to `end_s` (media time) with its pre- and post-roll.

        `out_path` ends in `.mp4`; further parts are `NAME.part2.mp4`, originals `NAME.original.mkv` beside it.
        `progress` hears 0..1. Raises MediaError where there is no footage or no room.
        """
        wanted = (start_s - pre_roll_s, end_s + post_roll_s)
        parts: list[ClipPart] = []
        notes: list[str] = []
        pieces = [piece for run in self._runs(*wanted) for piece in _pieces(run, *wanted, max_s, self._damaged_s)]
        if not pieces:
            raise MediaError(f"{out_path.name}: there is no footage between {wanted[0]:.1f} s and {wanted[1]:.1f} s.")
        for number, piece in enumerate(pieces):
            report = _share(progress, number, len(pieces))
            parts.append(self._write(piece, _part_path(out_path, number), notes, report))
            report(1.0)
        return _result(parts, wanted, notes)

    def _write(self, piece: _Piece, path: Path, notes: list[str], progress: Progress) -> ClipPart:
        template, shared = piece.run[0].template, piece.run[0].shared
        if template.audio_codec and not template.audio_plays:
            _note(notes, f"The sound ({template.audio_codec}) does not play in browsers and was left out.")
        if piece.copied:
            written = write_copy(path, template, _packets(piece), metadata={}, shared=shared)
            return ClipPart(path, None, written.from_s, written.to_s, rendered=False)
        original = span = None
        if piece.far:
            _note(notes, _why_far(piece))
        else:
            if template.plays_in_browsers:
                _note(notes, "The recording is damaged here, so the clip was rendered without what cannot be decoded.")
            original = path.with_suffix(".original.mkv")
            comment = {"comment": "Packets as they were recorded."}
            copied = write_copy(original, template, _packets(piece), metadata=comment, shared=shared)
            span = (copied.from_s, copied.to_s)
        kept = original.name if original else piece.run[0].name
        sound = (packet for packet in _packets(piece) if not packet.video) if template.audio_plays else None
        size = piece.run[0].renderer.size
        written = write_rendering(path, template, _rendered(piece, progress), size, sound, original=kept)
        return ClipPart(path, original, written.from_s, written.to_s, rendered=True, original_span_s=span)

    def _runs(self, from_s: float, to_s: float) -> list[list[Take]]:
        """The takes that overlap a range, in groups that one file can hold."""
        runs: list[list[Take]] = []
        for take, following in zip_longest(self._takes, self._takes[1:]):
            # Looked at first, because an index costs reading the whole file.
            if take.start_s > to_s or (following is not None and following.start_s <= from_s):
                continue
            if take.start_s + take.index.end_s <= from_s:
                continue
            if runs and runs[-1][0].template.key == take.template.key:
                runs[-1].append(take)
            else:
                runs.append([take])
        return runs

    def _take_at(self, time_s: float) -> Take:
        earlier = [take for take in self._takes if take.start_s <= time_s + SAME_S]
        return earlier[-1] if earlier else self._takes[0]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one part is to hold."""

    run: list[Take]
    from_s: float
    to_s: float
    before_s: float | None
    """The key frame at which the next part begins: no picture from there on."""
    far: bool
    """No copy: the key frame lies too far back, or the container lacks display times. Rendered, whatever the codec."""
    copied: bool
    """The copy is what is played: nothing needs rendering."""


def cut_clip(
    recordings: str | Path | Sequence[Recording],
    start_s: float,
    end_s: float,
    out_path: Path,
    *,
    pre_roll_s: float = PRE_ROLL_S,
    post_roll_s: float = POST_ROLL_S,
    max_s: float = CLIP_MAX_S,
    progress: Progress | None = None,
) -> ClipResult:
    """One clip; see `Footage.cut`, which is the better choice for several clips of the same recordings."""
    return Footage(recordings).cut(
        start_s, end_s, out_path, pre_roll_s=pre_roll_s, post_roll_s=post_roll_s, max_s=max_s, progress=progress
    )


def picture_at(recordings: str | Path | Sequence[Recording], media_time_s: float) -> Image:
    """One picture; see `Footage.picture_at`."""
    return Footage(recordings).picture_at(media_time_s)


def _pieces(run: list[Take], from_s: float, to_s: float, max_s: float, damaged_s: Sequence[float] = ()) -> list[_Piece]:
    """A run's share of a range, cut into pieces of at most `max_s` that meet at key frames."""
    keys = [take.start_s + key for take in run for key in take.index.key_times_s]
    end = min(to_s, run[-1].start_s + run[-1].index.end_s)
    from_s = max(from_s, run[0].start_s)
    start = max((key for key in keys if key <= from_s + 1e-6), default=run[0].start_s)
    damaged = any(start - DAMAGE_NEAR_S <= time_s <= end + DAMAGE_NEAR_S for time_s in damaged_s)
    plays = run[0].template.plays_in_browsers and not damaged
    lead_max_s = max_s / 2 if plays else ORIGINAL_LEAD_MAX_S
    far = from_s - start > lead_max_s or not all(take.index.copyable for take in run)
    far = far or (plays and any(_too_far_apart(take, start, end, max_s) for take in run))
    if far or not plays:
        return _even_pieces(run, from_s, end, max_s, far)
    pieces: list[_Piece] = []
    while True:
        ahead = [key for key in keys if start + 1e-6 < key < end]
        within = [key for key in ahead if key <= start + max_s + 1e-6]
        if end - start <= max_s or not ahead:
            pieces.append(_Piece(_overlapping(run, start, end), start, end, None, far=False, copied=True))
            return pieces
        until = within[-1] if within else ahead[0]
        pieces.append(_Piece(_overlapping(run, start, until - 1e-6), start, until, until, far=False, copied=True))
        start = until


def _too_far_apart(take: Take, start: float, end: float, max_s: float) -> bool:
    """Do key frames of a take that follow each other lie farther apart, within a range, than a part may last?"""
    at = take.start_s
    inside = [at + key for key in take.index.key_times_s if start < at + key < end]
    edges = [max(start, at), *inside, min(end, at + take.index.end_s)]
    return any(later - key > max_s + 1e-6 for key, later in pairwise(edges))


def _even_pieces(run: list[Take], from_s: float, end_s: float, max_s: float, far: bool) -> list[_Piece]:
    pieces = []
    while True:
        last = end_s - from_s <= max_s
        until = end_s if last else _entry_before(run, from_s + max_s)
        before_s = None if last else until
        pieces.append(_Piece(_overlapping(run, from_s, until), from_s, until, before_s, far, copied=False))
        if last:
            return pieces
        from_s = until


def _entry_before(run: list[Take], time_s: float) -> float:
    """The last place at or before a time where renderings can be entered."""
    start = next((take.start_s for take in reversed(run) if take.start_s <= time_s), run[0].start_s)
    return start + int((time_s - start) // KEY_S) * KEY_S


def _overlapping(run: list[Take], from_s: float, to_s: float) -> list[Take]:
    chosen = [take for take in run if take.start_s <= to_s and take.start_s + take.index.end_s > from_s]
    return chosen or run[:1]


def _packets(piece: _Piece) -> Iterator[TimedPacket]:
    """Packets of a piece on the camera's time line, from the key frame at or before its beginning."""
    for number, take in enumerate(piece.run):
        at = take.start_s
        key_s = take.index.key_at(piece.from_s - at) if number == 0 else take.index.key_times_s[0]
        packets = take.packets(key_s)
        if piece.before_s is not None:
            packets = _before(packets, piece.before_s - at)
        for packet in up_to(packets, piece.to_s - at):
            yield packet._replace(pts_s=packet.pts_s + at, dts_s=packet.dts_s + at)


def _rendered(piece: _Piece, progress: Progress) -> Iterator[tuple[float, EncodedPicture]]:
    """Rendered pictures of a piece with their media times."""
    # A picture that stands at the very end belongs to the clip, one where the next part begins does not.
    to_s = piece.to_s + (SAME_S if piece.before_s is None else 0.0)
    for number, take in enumerate(piece.run):
        from_s = max(0.0, piece.from_s - take.start_s) if number == 0 else 0.0
        report = _share(progress, number, len(piece.run))
        for picture in take.renderer.pictures(from_s, to_s - take.start_s, report):
            yield take.start_s + picture.time_s, picture


def _before(packets: Iterator[TimedPacket], before_s: float) -> Iterator[TimedPacket]:
    """Packets up to, not including, the key frame at `before_s` and whatever follows it in the file."""
    for packet in packets:
        if packet.video and packet.packet.is_keyframe and packet.pts_s >= before_s - 1e-6:
            return
        if packet.video or packet.pts_s < before_s:
            yield packet


def _why_far(piece: _Piece) -> str:
    if all(take.index.copyable for take in piece.run):
        return "The key frames lie so far apart that the clip was rendered; the recording holds the original."
    return "The recording does not say when its pictures are shown, so the clip was rendered; it holds the original."


def _part_path(path: Path, number: int) -> Path:
    return path if number == 0 else path.with_suffix(f".part{number + 1}{path.suffix}")


def _share(progress: Progress | None, number: int, of: int) -> Progress:
    """Progress of one part of several."""

    def report(fraction: float) -> None:
        if progress is not None:
            progress((number + fraction) / of)

    return report


def _note(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _result(parts: list[ClipPart], wanted: tuple[float, float], notes: list[str]) -> ClipResult:
    first, last = parts[0], parts[-1]
    return ClipResult(
        first.path, first.original_path, first.from_s, last.to_s, any(part.rendered for part in parts),
        max(0.0, first.from_s - wanted[0]), max(0.0, wanted[1] - last.to_s), tuple(parts), tuple(notes),
    )  # fmt: skip
