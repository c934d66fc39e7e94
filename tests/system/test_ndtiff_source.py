"""Real acquisitions of Micro-Manager's demo camera, tailed on disk by a real daemon."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("pycromanager")
pytest.importorskip("mm_test_adapters")

FRAMES = 100
_SCRIPT = Path(__file__).with_name("demo_acquisition.py")
_METADATA_TAG = 51123


class DemoAcquisition:
    """pycromanager's Python backend at 30 ms a frame, in a process of its own."""

    def __init__(self, folder: Path, name: str, told: Path, frames: int, side_px: int) -> None:
        self.stack = folder / f"{name}_1" / f"{name}_NDTiffStack.tif"
        self.told, self.log = told / f"{name}.json", told / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    str(_SCRIPT),
                    str(folder),
                    name,
                    str(frames),
                    "30",
                    str(self.told),
                    str(side_px),
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def finish(self) -> list[float]:
        """When each frame was saved, seconds since 1970."""
        assert self.process.wait(90) == 0, self.log.read_text(errors="replace")
        return [float(at) for at in json.loads(self.told.read_text())]


@pytest.fixture
def acquire(tmp_path: Path) -> Iterator[Callable[..., DemoAcquisition]]:
    """``acquire(folder, name)`` starts one; it is ended with the test."""
    started: list[DemoAcquisition] = []

    def start(folder: Path, name: str, frames: int = FRAMES, side_px: int = 256) -> DemoAcquisition:
        started.append(DemoAcquisition(folder, name, tmp_path, frames, side_px))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait(10)


def closed_checksums(stack: Path) -> list[str]:
    """Of every frame of a closed stack, read by another program: pixels' and metadata's bytes."""
    found = []
    with tifffile.TiffFile(stack) as tif:
        for page in tif.pages:
            tag = page.tags[_METADATA_TAG]
            tif.filehandle.seek(tag.valueoffset)
            text = tif.filehandle.read(tag.valuebytecount)
            found.append(hashlib.sha256(page.asarray().tobytes() + text).hexdigest())
    return found


def frames_of(rows: list[Any], stack: Path) -> dict[int, Any]:
    """Rows by number of their frame; no number twice."""
    mine = [row for row in rows if row.path == stack]
    found = {int(row.uri.partition("#frame=")[2]): row for row in mine}
    assert len(found) == len(mine)
    return found


def assert_all_scored(running: Any, stack: Path, frames: int = FRAMES) -> dict[int, Any]:
    """Every frame has one row, was scored, and is what the closed file holds."""
    found = frames_of(running.rows(), stack)
    assert sorted(found) == list(range(frames))
    assert {row.state for row in found.values()} == {"published"}, running.tail()
    assert [found[number].content_sha256 for number in range(frames)] == closed_checksums(stack)
    return found


NO_REFOCUS = {"enabled": False}


@pytest.mark.timeout(200)
def test_100_frames_at_30_ms_are_all_scored_and_none_is_torn(
    tmp_path: Path, daemon: Callable[..., Any], acquire: Callable[..., DemoAcquisition]
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    running = daemon(tmp_path / "none", ndtiff={"folders": [str(folder)]}, folder={"folders": []},
                     refocus=NO_REFOCUS)  # fmt: skip
    acquisition = acquire(folder, "run")
    saved = acquisition.finish()
    running.wait_final(FRAMES)
    found = assert_all_scored(running, acquisition.stack)
    seen_ms = [1000 * (found[number].seen_at - saved[number]) for number in range(FRAMES)]
    scored_ms = [1000 * (found[number].scored_at - saved[number]) for number in range(FRAMES)]
    interval_ms = 1000 * (saved[-1] - saved[0]) / (FRAMES - 1)
    figures = [f"{statistics.median(each):.1f} (worst {max(each):.1f})" for each in (seen_ms, scored_ms)]
    # The figures in docs/micromanager.md; shown by pytest -s.
    print(f"ms after saving: seen {figures[0]}, scored {figures[1]}; a frame each {interval_ms:.1f} ms")  # noqa: T201
    assert statistics.median(seen_ms) < 500  # that of a machine busy with other things
    assert found[7].pixel_size_m == (1e-6, 1e-6)
    assert found[7].shape == (256, 256)
    assert running.stop() == 0


@pytest.mark.timeout(200)
def test_kill_9_in_the_middle_loses_no_frame_and_sees_none_twice(
    tmp_path: Path, daemon: Callable[..., Any], acquire: Callable[..., DemoAcquisition]
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    running = daemon(tmp_path / "none", ndtiff={"folders": [str(folder)]}, folder={"folders": []},
                     refocus=NO_REFOCUS)  # fmt: skip
    acquisition = acquire(folder, "run")
    running.wait_for(lambda c: c["published"] >= 20, 60)
    running.kill()
    interrupted = running.counts()
    assert interrupted["published"] < FRAMES
    time.sleep(0.5)
    running.start()
    acquisition.finish()
    running.wait_final(FRAMES)
    found = assert_all_scored(running, acquisition.stack)
    assert {row.generation for row in found.values()} == {0}


@pytest.mark.timeout(200)
def test_two_acquisitions_and_a_folder_of_files_side_by_side(
    tmp_path: Path, daemon: Callable[..., Any], acquire: Callable[..., DemoAcquisition]
) -> None:
    folder = tmp_path / "acquisition"
    folder.mkdir()
    running = daemon(folder, refocus=NO_REFOCUS)  # the folder source hands the datasets over
    runs = [acquire(folder, "left", frames=40), acquire(folder, "right", frames=40)]
    rng = np.random.default_rng(3)
    for number in range(10):
        tifffile.imwrite(folder / f"plain{number}.tif", rng.integers(0, 255, (256, 256), np.uint8))
        time.sleep(0.2)
    for run in runs:
        run.finish()
    running.wait_final(90)
    for run in runs:
        assert_all_scored(running, run.stack, 40)
    rows = running.rows()
    assert len(rows) == 90
    assert sum(row.source == "folder" and row.state == "published" for row in rows) == 10
    assert {row.source for row in rows if row.path in {run.stack for run in runs}} == {"ndtiff"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB; making one needs Linux and root."""
    folder = tmp_path / "small"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may make a file system that gets full")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be made here: {mounted.stderr.decode()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_disk_that_fills_while_the_dataset_grows_tears_one_frame_and_it_is_told(
    small_disk: Path, tmp_path: Path, daemon: Callable[..., Any], acquire: Callable[..., DemoAcquisition]
) -> None:
    running = daemon(tmp_path / "none", ndtiff={"folders": [str(small_disk)], "give_up_s": 2.0},
                     folder={"folders": []}, refocus=NO_REFOCUS)  # fmt: skip
    acquisition = acquire(small_disk, "full")
    assert acquisition.process.wait(90) != 0
    assert "No space left" in acquisition.log.read_text()
    running.wait_for(lambda c: c["failed"] == 1 and not (c["seen"] or c["held"] or c["settled"]), 60)
    found = frames_of(running.rows(), acquisition.stack)
    last = len(found) - 1
    assert last > 10
    assert (found[last].state, found[last].reason) == ("failed", "truncated")
    assert {found[number].state for number in range(last)} == {"published"}
