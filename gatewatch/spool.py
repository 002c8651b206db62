"""The detections of analysed frames on disk, so that an interrupted re-analysis goes on without looking again.

An append-only file: a header, then one record for each frame that the detector looked at, each with its own checksum.
A record that a crash cut short is dropped when the file is opened again. Numbers come back bit by bit.

    header   magic (8 bytes)
    record   length of the body (u32) | CRC-32 of the body (u32) | body
    body     frame index (u32) | detections n (u32) | dtype of boxes (2 bytes) | dtype of scores (2 bytes)
             | boxes n x 4 | scores n | class ids n (int32), all little-endian
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import supervision as sv

MAGIC = b"GWSPOOL1"
_FRAME = struct.Struct("<II")
_HEAD = struct.Struct("<II2s2s")
_KINDS = {b"f4": "<f4", b"f8": "<f8"}
MAX_BODY_BYTES = 16 * 1024 * 1024
SYNC_EVERY = 64
"""Records between two writes to the disk itself (against loss of power; a killed process loses none)."""


class Spool:
    """Detections by frame index. `get` and `put` may be called from several threads."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the file, dropping what a crash left half written. Raises OSError."""
        self._lock = threading.Lock()
        self._file = path.open("a+b", buffering=0)
        self._places = array("q")
        self._count = 0
        self.added = 0
        """Records added since it was opened."""
        self._end = self._load()
        self._file.truncate(self._end)

    def __len__(self) -> int:
        return self._count

    def get(self, index: int) -> sv.Detections | None:
        """The detections of an analysed frame, or None where it was not looked at yet."""
        with self._lock:
            place = self._places[index] if index < len(self._places) else 0
            if not place:
                return None
            body = self._body_at(place)
        return None if body is None else _unpacked(body)

    def put(self, index: int, detections: sv.Detections) -> sv.Detections:
        """Adds the detections of a frame and returns them; `get` gives equal ones, to the last bit.

        Raises OSError, after which the file holds whole records only.
        """
        body = _packed(index, detections)
        record = memoryview(_FRAME.pack(len(body), zlib.crc32(body)) + body)
        with self._lock:
            place = self._end
            try:
                while record:
                    record = record[self._file.write(record) or 0 :]
            except OSError:
                self._file.truncate(place)
                raise
            self._end = self._file.seek(0, os.SEEK_END)
            self._note(index, place)
            self.added += 1
            if self.added % SYNC_EVERY == 0:
                os.fdatasync(self._file.fileno())
        return detections

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _load(self) -> int:
        """Notes the place of every whole record; returns where they end."""
        self._file.seek(0)
        if self._file.read(len(MAGIC)) != MAGIC:
            self._file.truncate(0)
            self._file.write(MAGIC)
            return len(MAGIC)
        place = len(MAGIC)
        while (body := self._body_at(place)) is not None:
            self._note(_HEAD.unpack_from(body)[0], place)
            place += _FRAME.size + len(body)
        return place

    def _body_at(self, place: int) -> bytes | None:
        head = os.pread(self._file.fileno(), _FRAME.size, place)
        if len(head) < _FRAME.size:
            return None
        length, checksum = _FRAME.unpack(head)
        if not _HEAD.size <= length <= MAX_BODY_BYTES:
            return None
        body = os.pread(self._file.fileno(), length, place + _FRAME.size)
        return body if len(body) == length and zlib.crc32(body) == checksum else None

    def _note(self, index: int, place: int) -> None:
        missing = index + 1 - len(self._places)
        if missing > 0:
            self._places.frombytes(bytes(missing * self._places.itemsize))
        self._count += not self._places[index]
        self._places[index] = place


def _packed(index: int, detections: sv.Detections) -> bytes:
    boxes = np.ascontiguousarray(detections.xyxy)
    scores = detections.confidence
    classes = detections.class_id
    if scores is None or classes is None:
        raise ValueError("detections to be kept need scores and classes")
    kinds = []
    for values in (boxes, scores):
        kind = f"f{values.dtype.itemsize}".encode()
        if values.dtype.kind != "f" or kind not in _KINDS:
            raise ValueError(f"detections to be kept must be float32 or float64, but got {values.dtype}")
        kinds.append(kind)
    return b"".join(
        (
            _HEAD.pack(index, len(boxes), *kinds),
            boxes.astype(_KINDS[kinds[0]], copy=False).tobytes(),
            np.ascontiguousarray(scores).astype(_KINDS[kinds[1]], copy=False).tobytes(),
            np.ascontiguousarray(classes).astype("<i4").tobytes(),
        )
    )


def _unpacked(body: bytes) -> sv.Detections:
    import supervision as sv

    from models.types import LABELS

    _, count, box_kind, score_kind = _HEAD.unpack_from(body)
    place = _HEAD.size
    boxes = np.frombuffer(body, _KINDS[box_kind], count * 4, place).reshape(count, 4).copy()
    place += boxes.nbytes
    scores = np.frombuffer(body, _KINDS[score_kind], count, place).copy()
    place += scores.nbytes
    classes = np.frombuffer(body, "<i4", count, place).astype(np.int64)
    names = np.array([LABELS[number] for number in classes], dtype=str) if count else np.empty(0, dtype=str)
    return sv.Detections(xyxy=boxes, confidence=scores, class_id=classes, data={"class_name": names})
