"""When a recording began: names first, then the container, never a guess."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.recording_time import recording_start
from pipeline.source import open_source
from tests.pipeline.media_kit import write_video

SHANGHAI = ZoneInfo("Asia/Shanghai")
AT_16 = "2024-01-31T15:59:59+00:00"

NAMES = [
    # file name                                     UTC
    ("20240131_235959.mp4", AT_16),
    ("2024-01-31 23.59.59.avi", AT_16),
    ("2024-01-31_23-59-59.mkv", AT_16),
    ("2024.01.31-23.59.59.mkv", AT_16),
    ("north-gate_20240131235959.mp4", AT_16),
    ("ch01_20240131235959_20240201005959.mp4", AT_16),
    ("VID_20240131_235959_001.mp4", AT_16),
    ("20240131_235959-01.mp4", AT_16),
    ("北门 2024年01月31日23时59分59秒.mp4", AT_16),
    ("2024-01-31T23-59-59Z.mp4", "2024-01-31T23:59:59+00:00"),
    ("20240131T235959.250Z.mp4", "2024-01-31T23:59:59.250000+00:00"),
    ("2024-01-31_23-59-59-123456.mp4", "2024-01-31T15:59:59.123456+00:00"),
    ("20240131235959123.mp4", "2024-01-31T15:59:59.123000+00:00"),
    ("2024-01-31T23-59-59+0530.mp4", "2024-01-31T18:29:59+00:00"),
    ("2024-01-31T23-59-59-0800.mp4", "2024-02-01T07:59:59+00:00"),
    ("20240131T235959+08.mp4", AT_16),
    ("20241331_235959 20240131_235959.mp4", AT_16),
    ("20240131.mp4", None),
    ("1706716799.mp4", None),
    ("1706716799123.mp4", None),
    ("120240131235959.mp4", None),
    ("20240131_246060.mp4", None),
    ("vtest.avi", None),
]


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=[row[0] for row in NAMES])
def test_time_in_the_name(name: str, expected: str | None) -> None:
    start, how = recording_start(Path("folder_20200101_000000") / name, None, SHANGHAI)
    assert (start.isoformat() if start else None) == expected
    assert how == ("file name" if expected else "unknown")


def test_summer_time_is_the_sites() -> None:
    start, _ = recording_start("2024-07-01 12.00.00.mp4", None, ZoneInfo("Europe/Berlin"))
    assert start == datetime(2024, 7, 1, 10, tzinfo=UTC)


def test_container_counts_where_the_name_says_nothing_and_the_files_age_never(tmp_path: Path) -> None:
    dated = write_video(tmp_path / "gate.mp4", frames=3, metadata={"creation_time": "2024-01-31T10:00:00Z"})
    undated = write_video(tmp_path / "door.mkv", frames=3)
    named = write_video(tmp_path / "20230101_000000.mp4", frames=3, metadata={"creation_time": "2024-01-31T10:00:00Z"})
    for path in (dated, undated, named):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    found = []
    for path in (dated, undated, named):
        with open_source(path) as source:
            found.append(recording_start(path, source.info, UTC))
    assert found == [
        (datetime(2024, 1, 31, 10, tzinfo=UTC), "container"),
        (None, "unknown"),
        (datetime(2023, 1, 1, tzinfo=UTC), "file name"),
    ]
