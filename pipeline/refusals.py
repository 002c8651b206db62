"""Why a source is not opened, in one sentence for the user."""

from __future__ import annotations

import os
from pathlib import Path

import av

from pipeline.address import mask_text
from pipeline.errors import MediaError

MAX_SIDE_PX = 16384
MAX_AREA_PX = 64_000_000
MIN_SIDE_PX = 16

_NOT_VIDEO = {
    "tty", "bin", "xbin", "adf", "idf", "ansi", "ffmetadata", "image2", "ico", "lrc", "srt", "webvtt", "ass", "txd",
    "concat", "sdp", "loas", "data",
}  # fmt: skip
"""FFmpeg's readers of text, single pictures and lists, which it would happily show as video."""


def check_file(address: str | Path) -> Path:
    """The path of a readable, non-empty file; MediaError otherwise."""
    text = str(address)
    if text.lower().startswith("file://"):
        text = text[7:]
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            raise MediaError(f"{path}: expected a recording but found a folder.")
        if not path.exists():
            raise MediaError(f"{path}: there is no such file.")
        if not path.is_file():
            raise MediaError(f"{path}: expected a recording but found something that is not a plain file.")
        if not os.access(path, os.R_OK):
            raise MediaError(f"{path}: may not be read by this user.")
        if path.stat().st_size == 0:
            raise MediaError(f"{path}: is empty (0 bytes).")
    except (OSError, ValueError) as error:
        raise MediaError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    return path


def check_format(name: str, source: str, *, lists: bool = False) -> None:
    """Refuses what FFmpeg opens as video although it is text, a list or a single picture.

    `lists`: a list of pieces to fetch is fine, as from a server of streams.
    """
    names = set(name.split(","))
    if name.endswith("_pipe") or names & {"image2", "ico"}:
        raise MediaError(f"{source}: expected a recording but found a single picture.")
    if names & _NOT_VIDEO:
        raise MediaError(f"{source}: expected a recording but found a text or data file.")
    if not lists and names & {"hls", "dash"}:
        raise MediaError(f"{source}: expected a recording but found a list of other files.")


def check_size(width: int, height: int, source: str) -> None:
    """Refuses sizes that no camera has."""
    if width <= 0 or height <= 0:
        raise MediaError(f"{source}: does not say how large its pictures are.")
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_AREA_PX or min(width, height) < MIN_SIDE_PX:
        raise MediaError(
            f"{source}: expected pictures of {MIN_SIDE_PX} to {MAX_SIDE_PX} px a side and at most "
            f"{MAX_AREA_PX // 1_000_000} megapixels but found {width}x{height}."
        )


def reason(error: Exception, name: str, address: str | Path, *, live: bool) -> str:
    """One sentence for an error of FFmpeg's, without credentials."""
    if isinstance(error, av.ExitError | av.error.TimeoutError):
        return f"{name}: no answer within the time-out."
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return f"{name}: the camera refuses this user name and password."
    if isinstance(error, av.error.HTTPNotFoundError):
        return f"{name}: the server is there but has nothing at this path (404)."
    if isinstance(error, av.error.ConnectionRefusedError):
        return f"{name}: nothing answers at this address and port (connection refused)."
    if isinstance(error, av.error.DecoderNotFoundError | av.error.PatchWelcomeError):
        return f"{name}: the video is in a format that this build cannot decode."
    if isinstance(error, av.error.EOFError) and live:
        return f"{name}: the connection was closed before any video came."
    if isinstance(error, av.error.PermissionError):
        return f"{name}: may not be read by this user."
    if isinstance(error, av.error.InvalidDataError | av.error.EOFError) and not live:
        return f"{name}: is not a recording that can be read (damaged, cut off while written, or another kind of file)."
    if isinstance(error, av.error.InvalidDataError):
        return f"{name}: sends no video that can be read, or none within the time-out."
    said = (getattr(error, "strerror", None) or str(error)).strip().rstrip(".")
    return f"{name}: cannot be opened: {mask_text(said, address)}."
