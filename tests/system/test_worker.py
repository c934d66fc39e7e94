"""The worker process with the real network; faults are in test_worker_faults.py."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from semdaemon.errors import WeightsError, WorkerError
from semdaemon.focus import BLURRED, SHARP, FocusMap
from semdaemon.frame import Area, Frame
from semdaemon.settings import Settings
from semdaemon.worker import Worker


def settings_with(**worker: object) -> Settings:
    return Settings(worker={"device": "cpu", "threads": 1, "backoff_s": 0.05, **worker})  # type: ignore[arg-type]


def frame_and_focus(side: int = 256, dtype: str = "uint16") -> tuple[Frame, FocusMap]:
    pixels = (np.random.default_rng(0).random((side, side)) * 200).astype(dtype)
    frame = Frame("0" * 16, "folder", "file:///x.tif", pixels, "0" * 64, Area.whole(pixels.shape))
    verdict = np.full((side // 64, side // 64), SHARP, np.uint8)
    verdict[:, -1] = BLURRED
    like = np.full(verdict.shape, 2.0, np.float32)
    return frame, FocusMap(64, frame.image_area, like, like, like, verdict, "test")


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(settings_with())
    yield made
    made.stop()


def test_a_frame_goes_there_and_back_through_shared_memory(worker: Worker) -> None:
    frame, focus = frame_and_focus()
    answer = worker.refocus(frame, focus.to_bytes(), everywhere=True)
    assert answer.pixels.shape == frame.shape
    assert answer.pixels.dtype == np.uint16
    assert answer.mask.all()
    assert answer.device == "cpu"
    assert len(answer.weights["sha256"]) == 64
    larger, larger_focus = frame_and_focus(320, "uint8")
    assert worker.refocus(larger, larger_focus.to_bytes(), everywhere=True).pixels.shape == (320, 320)
    assert worker.describe()["restarts"] == 0


def test_missing_weights_are_said_by_the_worker() -> None:
    worker = Worker(Settings(refocus={"weights": "nowhere.safetensors"}, worker={"device": "cpu"}))  # type: ignore[arg-type]
    try:
        with pytest.raises((WorkerError, WeightsError)) as caught:
            worker.start()
        assert caught.value.code == "weights_missing"
    finally:
        worker.stop()


def refocus_without_end(worker: Worker, frame: Frame, focus: FocusMap) -> None:
    while True:
        worker.refocus(frame, focus.to_bytes(), everywhere=True)


def test_stop_ends_a_job_in_flight() -> None:
    worker = Worker(settings_with())
    frame, focus = frame_and_focus(1024)
    worker.start()
    threading.Timer(0.3, worker.stop).start()
    started = time.monotonic()
    with pytest.raises(WorkerError):
        refocus_without_end(worker, frame, focus)
    assert time.monotonic() - started < 20


def test_the_worker_ends_with_its_parent(tmp_path: Path) -> None:
    import subprocess

    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal\n"
        "from semdaemon.settings import Settings\n"
        "from semdaemon.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    worker = Worker(Settings(worker={'device': 'cpu'}))\n"
        "    worker.start()\n"
        "    print(worker.describe()['pid'], flush=True)\n"
        "    os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout.split()[-1])
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.1)
