"""Folder, journal and daemon together: pages, slow writers, requeue beside the daemon, restart."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from semdaemon.journal import Journal, find_journal
from semdaemon.simulate import scene

QUICK = {"refocus": {"enabled": False}, "page": {"enabled": False}}


def picture(seed: int) -> np.ndarray:
    unit = scene("particles", (256, 256), seed, 10e-9)
    noise = np.random.default_rng(seed).normal(0, 4, unit.shape)
    return np.clip(unit * 200 + 20 + noise, 0, 255).astype(np.uint8)


def in_pieces(path: Path, content: bytes, pieces: int, pause_s: float) -> None:
    step = -(-len(content) // pieces)
    with path.open("wb") as file:
        for start in range(0, len(content), step):
            file.write(content[start : start + step])
            file.flush()
            time.sleep(pause_s)


def test_pages_are_frames_requeue_works_beside_and_a_restart_repeats_nothing(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder, whole = tmp_path / "acquired", tmp_path / "whole.tif"
    folder.mkdir()
    running = daemon(folder, **QUICK)
    tifffile.imwrite(whole, np.stack([picture(seed) for seed in range(3)]), photometric="minisblack")
    in_pieces(folder / "stack.tif", whole.read_bytes(), pieces=8, pause_s=0.15)
    running.wait_for(lambda counts: counts["published"] == 3, 30)
    assert sorted(row.page for row in running.rows()) == [0, 1, 2]
    assert len({row.frame_id for row in running.rows()}) == 3

    asked = [sys.executable, "-m", "semdaemon", "requeue", "stack.tif", "--state", str(running.state)]
    subprocess.run(asked, check=True, capture_output=True)
    running.wait_for(lambda counts: counts["published"] == 3, 30)
    assert [row.requeues for row in running.rows()] == [1, 1, 1]

    assert running.stop() == 0
    with Journal(find_journal(running.state), read_only=True) as journal:
        before = {row.key: journal.history(row.key) for row in journal.rows()}
    running.start()
    tifffile.imwrite(folder / "next.tif", picture(7))
    running.wait_for(lambda counts: counts["published"] == 4, 30)
    with Journal(find_journal(running.state), read_only=True) as journal:
        assert {key: journal.history(key) for key in before} == before


def test_a_preallocated_file_that_is_filled_slowly_is_read_when_it_is_full(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder, whole = tmp_path / "acquired", tmp_path / "whole.tif"
    folder.mkdir()
    tifffile.imwrite(whole, picture(3), rowsperstrip=16)
    content = whole.read_bytes()
    running = daemon(folder, **QUICK, folder={"folders": [str(folder)], "hold_s": 3.0})
    path = folder / "preallocated.tif"
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    with path.open("r+b", buffering=0) as file:
        for start in range(4096, len(content), 8192):
            file.seek(start)
            file.write(content[start : start + 8192])
            time.sleep(0.45)  # longer than settle_s: only its empty end tells that it is not full
    running.wait_final(1, 30)
    published = [row for row in running.rows() if row.state == "published"]
    assert [row.content_sha256 for row in published] == [hashlib.sha256(content).hexdigest()]
    assert running.counts()["failed"] == 0


def test_a_copy_that_sets_its_time_afterwards_is_one_frame(
    tmp_path: Path, daemon: Callable[..., Any]
) -> None:
    folder = tmp_path / "acquired"
    folder.mkdir()
    running = daemon(folder, **QUICK)
    tifffile.imwrite(folder / "copied.tif", picture(5))
    running.wait_for(lambda counts: counts["published"] == 1, 30)
    os.utime(folder / "copied.tif", (1.7e9, 1.7e9))
    running.wait_for(lambda counts: counts["skipped"] == 1, 30)
    again, first = running.rows()
    assert (first.state, again.state, again.reason) == ("published", "skipped", "duplicate_content")
