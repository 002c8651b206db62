"""`tracks.parquet` and `frames.parquet`: where every object was, and which frames were analysed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.types import Box, TrackedFrame

ROWS = 20_000
"""Rows kept before they are written."""
REORDER_S = 30.0
"""Samples that became known late are put in their place within this time."""

TRACKS = pa.schema(
    [
        ("camera", pa.dictionary(pa.int32(), pa.string())),
        ("media_time_s", pa.float64()),
        ("track_id", pa.int64()),
        ("label", pa.dictionary(pa.int32(), pa.string())),
        ("score", pa.float32()),
        ("left", pa.float32()),
        ("top", pa.float32()),
        ("right", pa.float32()),
        ("bottom", pa.float32()),
    ]
)
FRAMES = pa.schema(
    [
        ("camera", pa.dictionary(pa.int32(), pa.string())),
        ("media_time_s", pa.float64()),
        ("recording", pa.dictionary(pa.int32(), pa.string())),
        ("recording_time_s", pa.float64()),
        ("looked", pa.bool_()),
        ("blind", pa.string()),
    ]
)


class Table:
    """Rows to Parquet, in order of time as far as they come within `REORDER_S` of it."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._rows: list[tuple[Any, ...]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        """Takes a row in the order of the schema's columns; the second is the time."""
        self._rows.append(row)
        if len(self._rows) >= ROWS:
            self._rows.sort(key=_by_time)
            before_s = self._rows[-1][1] - REORDER_S
            ready = [row for row in self._rows if row[1] < before_s]
            # Many objects fill the buffer within the time kept for reordering: half goes, so that it stays bounded.
            count = max(len(ready), ROWS // 2)
            self._write(self._rows[:count])
            del self._rows[:count]

    def close(self) -> None:
        """Writes the rest and ends the file."""
        self._rows.sort(key=_by_time)
        self._write(self._rows)
        self._rows = []
        self._writer.close()

    def abandon(self) -> None:
        """Lets go of an unfinished file."""
        self._rows = []
        try:
            self._writer.close()
        except OSError:
            # The disk that could not take the rows cannot take the end either; the file is thrown away anyway.
            return

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._schema)
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))


class Tables:
    """Both tables of a run. As a context manager it closes them where all went well, else lets go of them."""

    def __init__(self, tracks: Path, frames: Path) -> None:
        self._tracks = Table(tracks, TRACKS)
        self._frames = Table(frames, FRAMES)

    def add(self, frame: TrackedFrame, recording: str, recording_time_s: float) -> None:
        """One analysed frame, with the recording it came from."""
        time_s = frame.media_time_s
        self._frames.add((frame.camera, time_s, recording, recording_time_s, frame.looked, frame.blind))
        for track in frame.tracks:
            for sample in track.earlier:
                self._track(frame.camera, sample.media_time_s, track.track_id, track.label, track.score, sample.box)
            self._track(frame.camera, time_s, track.track_id, track.label, track.score, track.box)

    def _track(self, camera: str, time_s: float, track_id: int, label: str, score: float, box: Box) -> None:
        self._tracks.add((camera, time_s, track_id, label, score, *box))

    def __enter__(self) -> Tables:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for table in (self._tracks, self._frames):
            if kind is None:
                table.close()
            else:
                table.abandon()


def _by_time(row: tuple[Any, ...]) -> tuple[float, int]:
    return row[1], row[2] if isinstance(row[2], int) else 0
