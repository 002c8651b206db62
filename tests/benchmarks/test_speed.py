"""The speed benchmark compares like with like, and its footage cut short is the footage."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

import sample_footage
from benchmarks.report import shortened
from benchmarks.speed import run

CLIP = Path(sample_footage.__file__).with_name("pedestrians.mp4")


def test_shortened_footage_is_its_beginning() -> None:
    with shortened(CLIP, 2.0) as part, av.open(str(part)) as short, av.open(str(CLIP)) as whole:
        pairs = [*zip(short.decode(video=0), whole.decode(video=0), strict=False)]
        assert len(pairs) == 20
        assert all(np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in pairs)
        name = part
    assert not name.exists()


@pytest.mark.slow
def test_every_run_sees_the_same_frames() -> None:
    with shortened(CLIP, 2.0) as part:
        result = run(part, repeats=1, naive=False)
    assert result["frames"] == 20
    assert set(result["stages_ms_per_frame"]) == {"decode", "motion", "detect", "track"}
    assert result["ratio"] == pytest.approx(result["pipeline"]["wall_s"] / result["bare"]["wall_s"], rel=0.01)
