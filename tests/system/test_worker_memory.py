"""Memory that really runs out, and the bound on what a frame takes. About a minute: ``pytest -m slow``."""

from __future__ import annotations

import subprocess
import sys

import limited_worker
import numpy as np
import psutil
import pytest

from semdaemon.errors import FrameError, WorkerError
from semdaemon.focus import BLURRED, FocusMap
from semdaemon.frame import Area, Frame
from semdaemon.settings import Settings
from semdaemon.worker import Worker, WorkerAnswer
from semdaemon.worker.memory import FRAME_BYTES_PER_PX, TileCost

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
MIB = 2**20
SIDE_PX = 1024

MEASURE = """
import sys
from pathlib import Path
import numpy as np, psutil
from semdaemon.refocus.allocator import keep_big_blocks
keep_big_blocks()
from semdaemon.focus.map import BLURRED, SHARP, FocusMap
from semdaemon.frame import Area
from semdaemon.refocus import probe
from semdaemon.refocus.discriminative import refocus_frame
from semdaemon.refocus.engine import TorchEngine
from semdaemon.refocus.weights import load_card
from semdaemon.settings import Refocus

side, tile_px = int(sys.argv[1]), int(sys.argv[2])
engine = TorchEngine(load_card("light"), "cpu", threads=1, tile_px=tile_px)
probe.answer_of(engine, 4.0)
pixels = (np.random.default_rng(0).random((side, side), np.float32) * 200).astype(np.uint16)
verdict = np.full((side // 128, side // 128), SHARP, np.uint8)
verdict[:, ::4] = BLURRED
sigma = np.full(verdict.shape, 2.0, np.float32)
sigma[:, 4:] = 6.0  # two working scales
focus = FocusMap(128, Area.whole(pixels.shape), sigma, sigma, sigma, verdict, "t")
before = psutil.Process().memory_info().rss
refocus_frame(pixels, focus, engine, Refocus(), sigma_max_px=4.0)
# not ru_maxrss: it begins at the size of the test run that started this process
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
print(peak - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is told on Linux alone")
@pytest.mark.parametrize(("side_px", "tile_px"), [(2048, 64), (2048, 512), (3072, 64)])
def test_a_frame_takes_no_more_than_the_bound_says(side_px: int, tile_px: int) -> None:
    arguments = [sys.executable, "-c", MEASURE, str(side_px), str(tile_px)]
    taken = int(subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=250).stdout)
    tile = TileCost(32.0, 39).bytes(tile_px)
    bound = FRAME_BYTES_PER_PX * side_px**2 + tile
    per_px = f"{taken / side_px**2:.1f} bytes a pixel, bound {bound / side_px**2:.1f}"
    sys.stdout.write(f"\n{side_px} px, tiles of {tile_px} px: {per_px}")
    assert bound / 3 < taken <= bound


def blurred() -> tuple[Frame, bytes]:
    pixels = (np.random.default_rng(0).random((SIDE_PX, SIDE_PX)) * 200 + 20).astype(np.uint8)
    frame = Frame("0" * 16, "folder", "file:///x.tif", pixels, "0" * 64, Area.whole(pixels.shape))
    verdict = np.full((8, 8), BLURRED, np.uint8)
    like = np.full(verdict.shape, 2.0, np.float32)
    return frame, FocusMap(128, frame.image_area, like, like, like, verdict, "test").to_bytes()


def in_room_of(room_bytes: int, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setenv(limited_worker.ROOM, str(room_bytes))
    settings = Settings(worker={"device": "cpu", "threads": 1}, refocus={"audit": False})  # type: ignore[arg-type]
    return Worker(settings, target=limited_worker.serve)


def served(worker: Worker) -> WorkerAnswer:
    """As the daemon does: a frame over which a process is lost is tried once more, in a fresh one."""
    try:
        return worker.refocus(*blurred())
    except WorkerError as error:
        assert error.code == "out_of_memory"  # noqa: PT017 - most limits need no second process
        worker.wait_available()
        return worker.refocus(*blurred())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a process's address space")
def test_a_limit_on_the_address_space_is_met_with_smaller_tiles_and_the_same_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = {}
    for room_mib in (2000, 90):
        worker = in_room_of(room_mib * MIB, monkeypatch)
        try:
            answers[room_mib] = served(worker)
        finally:
            worker.stop()
        sys.stdout.write(f"\nwith {room_mib} MiB: {answers[room_mib].rung}")
    whole, less = answers[2000], answers[90]
    assert not whole.stepped_down
    assert less.stepped_down
    assert np.abs(less.pixels.astype(int) - whole.pixels.astype(int)).max() <= 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a process's address space")
def test_a_frame_for_which_there_is_no_memory_at_all_is_said_and_the_worker_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = in_room_of(15 * MIB, monkeypatch)
    try:
        with pytest.raises(FrameError) as caught:
            served(worker)
        assert caught.value.code == "out_of_memory"
        assert "window by window" in caught.value.message
        known = worker.describe()
        assert known["probe"]["passed"]
        assert psutil.pid_exists(known["pid"])
        assert known["restarts"] == 0
    finally:
        worker.stop()
