"""Reading stays fast: a quarter of a second is the alarm, the measured figure stands in docs/formats.md."""

from __future__ import annotations

import time
from pathlib import Path

from semdaemon.formats import read_frames

from .making import LIMITS, picture, write_tiff


def test_a_2048_frame_is_read_quickly(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", picture((2048, 2048)))
    read_frames(path, limits=LIMITS)
    best_s = 1e9
    for _ in range(5):
        started = time.perf_counter()
        read_frames(path, limits=LIMITS)
        best_s = min(best_s, time.perf_counter() - started)
    assert best_s < 0.25
