"""Writes a rendering: encoded pictures, and the recording's sound where it plays, as an MP4 that says what it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any

import av

from pipeline.errors import MediaError
from pipeline.index import TimedPacket
from pipeline.remux import Template, Written, abandon, copy_of, finished_file, open_output
from pipeline.render import EncodedPicture

_BASE = Fraction(1, 90000)


def write_rendering(
    path: Path,
    template: Template,
    pictures: Iterable[tuple[float, EncodedPicture]],
    size: tuple[int, int],
    sound: Iterable[TimedPacket] | None,
    *,
    original: str,
) -> Written:
    """Puts rendered pictures (media time, picture), the first of which is a key frame, into an MP4 that starts at 0.

    `original` names the file that holds the recorded packets. Raises MediaError.
    """
    label = f"Rendering for viewing, not the original; the recorded pictures are in {original}."
    with finished_file(path) as temporary:
        output = open_output(temporary, "mp4", {"comment": label, "title": "Rendering for viewing"})
        try:
            written = _fill(output, template, pictures, size, sound)
            if written is None:
                raise MediaError(f"{path}: there is no footage to render this clip from.")
        except BaseException:
            abandon(output)
            raise
        output.close()
    return written


def _fill(
    output: Any,
    template: Template,
    pictures: Iterable[tuple[float, EncodedPicture]],
    size: tuple[int, int],
    sound: Iterable[TimedPacket] | None,
) -> Written | None:
    video = output.add_mux_stream("h264", width=size[0], height=size[1])
    video.time_base = _BASE
    audio = output.add_stream_from_template(template.audio, opaque=True) if sound is not None else None
    start: float | None = None
    end = 0.0
    count = 0
    for time_s, item in _interleaved(pictures, sound):
        if isinstance(item, EncodedPicture):
            start = time_s if start is None else start
            end = time_s
            count += 1
            output.mux(_picture_packet(item, time_s - start, template.step_s, video))
        elif start is not None and time_s >= start and audio is not None:
            packet = copy_of(item.packet)
            packet.pts = packet.dts = round((time_s - start) / packet.time_base)
            packet.stream = audio
            output.mux(packet)
    return None if start is None else Written(start, end + template.step_s, count)


def _interleaved(
    pictures: Iterable[tuple[float, EncodedPicture]], sound: Iterable[TimedPacket] | None
) -> Iterator[tuple[float, EncodedPicture | TimedPacket]]:
    heard: Iterable[tuple[float, TimedPacket]] = ((packet.pts_s, packet) for packet in sound or ())
    return merge(pictures, heard, key=lambda timed: timed[0])


def _picture_packet(picture: EncodedPicture, time_s: float, step_s: float, stream: Any) -> av.Packet[Any]:
    packet: av.Packet[Any] = av.Packet(picture.data)
    packet.time_base = _BASE
    packet.pts = packet.dts = round(time_s / _BASE)
    packet.duration = round(step_s / _BASE)
    packet.is_keyframe = picture.key
    packet.stream = stream
    return packet
