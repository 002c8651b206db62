"""Evidence: full-size pictures and clips cut from a camera's recordings.

Where the codec plays in browsers a clip is a stream copy; elsewhere the packets are kept as copied (`.mkv`) and one
H.264 rendering is made for viewing, and says so in its metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipeline.decode import full_picture
from pipeline.errors import MediaError
from pipeline.index import TimedPacket, file_index, timed_packets
from pipeline.remux import Template, up_to, write_copy
from pipeline.render import KEY_S, Renderer, decoded_from
from pipeline.render_file import write_rendering
from pipeline.source import open_source
from pipeline.types import Image

SAME_S = 0.001
"""Two times this close are the same picture's."""
PRE_ROLL_S = 5.0
POST_ROLL_S = 5.0
CLIP_MAX_S = 120.0

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

    def __init__(self, recordings: str | Path | Sequence[Recording]) -> None:
        listed = [Recording(Path(recordings))] if isinstance(recordings, str | Path) else list(recordings)
        if not listed:
            raise MediaError("There is no recording to cut from.")
        self.recordings = sorted(listed, key=lambda recording: recording.start_s)
        self._templates: dict[Path, Template] = {}
        self._renderers: dict[Path, Renderer] = {}

    def picture_at(self, media_time_s: float) -> Image:
        """The picture that stood at a media time: the last one not later (1 ms tolerance), or the first there is.

        BGR (height, width, 3) at full size, rotated as shown. Raises MediaError where nothing can be decoded.
        """
        recording = self._recording_at(media_time_s)
        wanted_s = media_time_s - recording.start_s
        best = None
        with open_source(recording.path) as source:
            for picture, time_s in decoded_from(source, file_index(recording.path), wanted_s):
                if best is not None and time_s > wanted_s + SAME_S:
                    break
                best = picture
            if best is None:
                raise MediaError(f"{source.name}: no picture can be decoded at {wanted_s:.3f} s.")
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
        pieces = [piece for run in self._runs(*wanted) for piece in self._pieces(run, *wanted, max_s)]
        if not pieces:
            raise MediaError(f"{out_path.name}: there is no footage between {wanted[0]:.1f} s and {wanted[1]:.1f} s.")
        for number, piece in enumerate(pieces):
            report = _share(progress, number, len(pieces))
            parts.append(self._write(piece, _part_path(out_path, number), notes, report))
            report(1.0)
        return _result(parts, wanted, notes)

    def _write(self, piece: _Piece, path: Path, notes: list[str], progress: Progress) -> ClipPart:
        template = self._template(piece.run[0])
        if template.audio_codec and not template.audio_plays:
            _note(notes, f"The sound ({template.audio_codec}) does not play in browsers and was left out.")
        if template.plays_in_browsers and not piece.render:
            written = write_copy(path, template, self._packets(piece), metadata={})
            return ClipPart(path, None, written.from_s, written.to_s, rendered=False)
        original = None
        if not piece.render:
            original = path.with_suffix(".original.mkv")
            write_copy(original, template, self._packets(piece), metadata={"comment": "Packets as they were recorded."})
        else:
            _note(
                notes, "The key frames lie so far apart that the clip was rendered; the recording holds the original."
            )
        return ClipPart(path, original, *self._render(piece, path, original, template, progress), rendered=True)

    def _render(
        self, piece: _Piece, path: Path, original: Path | None, template: Template, progress: Progress
    ) -> tuple[float, float]:
        kept = original.name if original else piece.run[0].path.name
        pictures = (
            (recording.start_s + picture.time_s, picture)
            for number, recording in enumerate(piece.run)
            for picture in self._renderer(recording).pictures(
                max(0.0, piece.from_s - recording.start_s) if number == 0 else 0.0,
                # A picture that stands at the very end belongs to the clip, one where the next part begins does not.
                piece.to_s - recording.start_s + (0.0 if piece.before_s is not None else SAME_S),
                _share(progress, number, len(piece.run)),
            )
        )
        sound = None
        if template.audio_plays:
            sound = (packet for packet in self._packets(piece) if not packet.video)
        written = write_rendering(
            path, template, pictures, self._renderer(piece.run[0]).size, sound, step_s=template.step_s, original=kept
        )
        return written.from_s, written.to_s

    def _packets(self, piece: _Piece) -> Iterator[TimedPacket]:
        """Packets of a piece on the camera's time line, from the key frame at or before its beginning."""
        with ExitStack() as stack:
            for number, recording in enumerate(piece.run):
                index = file_index(recording.path)
                key_s = index.key_at(piece.from_s - recording.start_s) if number == 0 else index.key_times_s[0]
                source = stack.enter_context(open_source(recording.path))
                packets = timed_packets(source, index, key_s, audio=True)
                if piece.before_s is not None:
                    packets = _before(packets, piece.before_s - recording.start_s)
                for packet, video, pts_s, dts_s in up_to(packets, piece.to_s - recording.start_s):
                    yield TimedPacket(packet, video, pts_s + recording.start_s, dts_s + recording.start_s)

    def _runs(self, from_s: float, to_s: float) -> list[list[Recording]]:
        """The recordings that overlap a range, in groups that one file can hold."""
        runs: list[list[Recording]] = []
        for recording in self.recordings:
            index = file_index(recording.path)
            if recording.start_s > to_s or recording.start_s + index.end_s <= from_s:
                continue
            if runs and self._template(runs[-1][0]).key == self._template(recording).key:
                runs[-1].append(recording)
            else:
                runs.append([recording])
        return runs

    def _pieces(self, run: list[Recording], from_s: float, to_s: float, max_s: float) -> list[_Piece]:
        """A run's share of a range, cut into pieces of at most `max_s` that meet at key frames."""
        keys = [r.start_s + key for r in run for key in file_index(r.path).key_times_s]
        last = run[-1].start_s + file_index(run[-1].path).end_s
        end = min(to_s, last)
        from_s = max(from_s, run[0].start_s)
        start = max((key for key in keys if key <= from_s + 1e-6), default=run[0].start_s)
        if from_s - start > max_s / 2 or not self._template(run[0]).plays_in_browsers:
            return _even_pieces(run, from_s, end, max_s, far=from_s - start > max_s / 2)
        pieces: list[_Piece] = []
        while True:
            ahead = [key for key in keys if key > start + 1e-6]
            within = [key for key in ahead if key <= start + max_s + 1e-6]
            until = (within[-1] if within else ahead[0]) if ahead else None
            if end - start <= max_s or until is None or until > end:
                pieces.append(_Piece(_overlapping(run, start, end), start, end, None, False))
                return pieces
            pieces.append(_Piece(_overlapping(run, start, until - 1e-6), start, until, until, False))
            start = until

    def _recording_at(self, time_s: float) -> Recording:
        earlier = [recording for recording in self.recordings if recording.start_s <= time_s + SAME_S]
        return earlier[-1] if earlier else self.recordings[0]

    def _template(self, recording: Recording) -> Template:
        if recording.path not in self._templates:
            with open_source(recording.path) as source:
                self._templates[recording.path] = Template(
                    source.video, source.audio,
                    average_fps=source.info.average_fps, pixel_format=source.info.pixel_format,
                )  # fmt: skip
        return self._templates[recording.path]

    def _renderer(self, recording: Recording) -> Renderer:
        if recording.path not in self._renderers:
            self._renderers[recording.path] = Renderer(recording.path, file_index(recording.path))
        return self._renderers[recording.path]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one part is to hold."""

    run: list[Recording]
    from_s: float
    to_s: float
    before_s: float | None
    """The key frame at which the next part begins: no picture from there on."""
    render: bool
    """Rendered although the codec plays: the key frame lies too far back."""


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


def _even_pieces(run: list[Recording], from_s: float, end_s: float, max_s: float, *, far: bool) -> list[_Piece]:
    pieces = []
    while True:
        last = end_s - from_s <= max_s
        until = end_s if last else _entry_before(run, from_s + max_s)
        pieces.append(_Piece(_overlapping(run, from_s, until), from_s, until, None if last else until, far))
        if last:
            return pieces
        from_s = until


def _entry_before(run: list[Recording], time_s: float) -> float:
    """The last place at or before a time where renderings can be entered."""
    within = [r for r in run if r.start_s <= time_s][-1:] or run[:1]
    start = within[0].start_s
    return start + int((time_s - start) // KEY_S) * KEY_S


def _overlapping(run: list[Recording], from_s: float, to_s: float) -> list[Recording]:
    chosen = [r for r in run if r.start_s <= to_s and r.start_s + file_index(r.path).end_s > from_s]
    return chosen or run[:1]


def _before(packets: Iterator[TimedPacket], before_s: float) -> Iterator[TimedPacket]:
    """Packets up to, not including, the key frame at `before_s` and whatever follows it in the file."""
    for packet in packets:
        if packet.video and packet.packet.is_keyframe and packet.pts_s >= before_s - 1e-6:
            return
        if packet.video or packet.pts_s < before_s:
            yield packet


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
