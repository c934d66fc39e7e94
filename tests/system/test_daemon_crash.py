"""kill -9 in the middle, and a restart: nothing lost, nothing twice, nothing half-written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from semdaemon.formats.verify import verify
from semdaemon.simulate import half_blurred, scene

FRAMES = 50


@pytest.mark.timeout(300)
def test_kill_9_amid_fifty_frames_loses_none_and_publishes_none_twice(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    rng = np.random.default_rng(5)
    pictures = [scene("particles", (256, 256), seed, 10e-9) for seed in range(5)]
    running = daemon(folder)
    for number in range(FRAMES):
        pixels, _, _ = half_blurred(pictures[number % 5], 5.0, 200.0, rng, 8)
        tifffile.imwrite(folder / f"frame{number:03}.tif", pixels)
        if number == FRAMES // 2:
            running.wait_for(lambda c: c["published"] >= 5, 60)
            running.kill()
    interrupted = running.counts()
    assert 0 < interrupted["published"] < FRAMES
    running.start()
    counts = running.wait_final(FRAMES, 200)
    assert counts["published"] == FRAMES, (counts, running.tail())
    rows = running.rows()
    assert len({row.path for row in rows}) == len(rows) == FRAMES
    outputs = sorted(running.output.rglob("*.tif"))
    assert len(outputs) == sum(row.reason == "refocused" for row in rows) > 0
    assert all(verify(path).ok for path in outputs)
    assert running.stop() == 0
    left = [
        path.name for path in running.output.rglob("*") if path.name.startswith(".") or "tmp" in path.name
    ]
    assert not left


def test_a_stopped_daemon_leaves_in_order_and_quickly(tmp_path: Path, daemon: Callable[..., Any]) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder)
    started = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - started < 10


def test_a_second_daemon_on_the_same_state_folder_is_refused(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder)
    with pytest.raises(AssertionError, match="journal_locked"):
        daemon(folder, daemon={"state_dir": str(running.state)})
