"""An accelerator held to the stored answer, driven out of memory, and made to fault: ``pytest -m gpu``.

These have never run: no accelerator was at hand when they were written.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
import torch

from semdaemon.errors import WorkerError
from semdaemon.focus import BLURRED, FocusMap
from semdaemon.frame import Area, Frame
from semdaemon.settings import Settings
from semdaemon.worker import Worker, job, process

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SIDE_PX = 2048
_make_bench = job.make_bench


def settings() -> Settings:
    return Settings(
        worker={"device": "cuda", "backoff_s": 0.05}, refocus={"audit": False, "weights": "light"}
    )  # type: ignore[arg-type]


def blurred(side_px: int = SIDE_PX) -> tuple[Frame, bytes]:
    pixels = (np.random.default_rng(0).random((side_px, side_px)) * 200 + 20).astype(np.uint8)
    frame = Frame("0" * 16, "folder", "file:///x.tif", pixels, "0" * 64, Area.whole(pixels.shape))
    verdict = np.full((side_px // 128, side_px // 128), BLURRED, np.uint8)
    like = np.full(verdict.shape, 2.0, np.float32)
    return frame, FocusMap(128, frame.image_area, like, like, like, verdict, "test").to_bytes()


def little_memory(settings: dict[str, Any], send: Any) -> job.Bench:
    bench = _make_bench(settings, send)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(90 * 2**20 / total)
    return bench


def serve_with_little_memory(pipe: Connection, settings_json: str) -> None:
    job.make_bench = little_memory  # type: ignore[assignment]
    process.serve(pipe, settings_json)


def faulty(settings: dict[str, Any], send: Any) -> job.Bench:
    """A large frame makes the device assert, which is sticky as a real fault is."""
    bench = _make_bench(settings, send)
    whole = bench.engine.refocus

    def refocus(unit: Any, wanted: Any = None) -> Any:
        if unit.shape[0] == SIDE_PX:
            torch.zeros(4, device="cuda")[torch.tensor([10_000_000], device="cuda")].cpu()
        return whole(unit, wanted)

    bench.engine.refocus = refocus  # type: ignore[method-assign]
    return bench


def serve_with_a_fault(pipe: Connection, settings_json: str) -> None:
    job.make_bench = faulty  # type: ignore[assignment]
    process.serve(pipe, settings_json)


def test_the_device_gives_the_stored_answer() -> None:
    worker = Worker(settings())
    try:
        worker.start()
        known = worker.describe()
        assert known["device"] == "cuda"
        assert known["probe"]["against"] == "stored"
        assert known["probe"]["passed"]
    finally:
        worker.stop()


def test_too_little_memory_on_the_device_steps_down() -> None:
    worker = Worker(settings(), target=serve_with_little_memory)
    try:
        assert worker.refocus(*blurred()).stepped_down
    finally:
        worker.stop()


def test_a_device_side_fault_ends_the_process_and_the_fresh_one_passes_its_probe() -> None:
    worker = Worker(settings(), target=serve_with_a_fault)
    try:
        worker.start()
        pid = worker.describe()["pid"]
        with pytest.raises(WorkerError) as caught:
            worker.refocus(*blurred())
        assert caught.value.code == "accelerator_fault"
        worker.wait_available()
        assert worker.refocus(*blurred(512)).mask.all()
        assert worker.describe()["pid"] != pid
    finally:
        worker.stop()
