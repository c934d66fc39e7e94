"""A real worker process whose engine is plain numpy, so that it is up in a fraction of a second, and a fake.

Pipe, shared memory, jobs, ladder, probe and supervision are those of the product; only the network is not.
What a frame's height asks for, the engine does: hang, die, raise, run out of memory, fall ill.
"""

from __future__ import annotations

import json
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from semdaemon.refocus import probe
from semdaemon.refocus.weights import WeightsCard
from semdaemon.refocus.windows import Windowed
from semdaemon.settings import Refocus
from semdaemon.worker import job, process
from semdaemon.worker.ladder import Ladder
from semdaemon.worker.memory import TileCost
from semdaemon.worker.shared import Attached

DIES, HANGS, RAISES, FALLS_ILL, CUDA_FAULT, SLOW = 264, 272, 280, 288, 296, 304
STEPS = 15
SMALLER_TILES, WINDOWS, NO_MEMORY, NAN, ON_CPU = 312, 640, 328, 336, 344


class FakeEngine:
    """Sharpens; no network. ``device`` is a name and no device."""

    def __init__(self, device: str = "cpu") -> None:
        self.device, self.tile_px, self.ill = device, 512, False
        self.watch = lambda _done, _total: None

    def refocus(self, unit: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
        height, width = unit.shape
        if width == 256:
            self.misbehave(height)
        if height == WINDOWS and width == WINDOWS:
            raise MemoryError("the whole picture is too large for the fake engine")
        if self.ill:
            return np.zeros_like(unit)
        self.watch(1, 1)
        return np.asarray(2 * unit - ndimage.gaussian_filter(unit, 1.0), np.float32)

    def misbehave(self, height: int) -> None:
        if height == DIES:
            os._exit(9)
        if height == HANGS:
            time.sleep(600)
        if height == RAISES:
            raise ValueError("the fake engine dislikes this frame")
        if height == FALLS_ILL:
            self.ill = True
            raise ValueError("the fake engine is ill from now on")
        if height == CUDA_FAULT:
            raise RuntimeError("CUDA error: an illegal memory access was encountered (says a fake)")
        if height == SLOW:
            for done in range(STEPS):
                time.sleep(0.1)
                self.watch(done + 1, STEPS)
        if height == NO_MEMORY or (height == ON_CPU and self.device != "cpu"):
            raise MemoryError("the fake engine has no memory for this frame at all")
        if height == SMALLER_TILES and self.tile_px > 128:
            raise RuntimeError("CUDA out of memory (says a fake)")


class NanEngine(FakeEngine):
    def refocus(self, unit: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
        result = super().refocus(unit, wanted)
        return np.full_like(result, np.nan) if unit.shape == (NAN, 256) else result


def card(engine: Any, *, stored: bool = True) -> WeightsCard:
    answer = probe.answer_of(engine, 4.0) if stored else {}
    return WeightsCard("fake", Path("fake.safetensors"), "f" * 64, {}, sigma_max_px=4.0, probe=answer)


def bench(settings: dict[str, Any], send: Any, *, engine: Any = None, stored: bool = True) -> job.Bench:
    made = engine if engine is not None else NanEngine("fake-gpu")

    def on_cpu() -> FakeEngine:
        return FakeEngine("cpu")

    def windowed(inner: Any) -> Any:
        return Windowed(inner, margin_px=8, multiple=8, window_px=512)

    allowed = settings["worker"]["cpu_fallback"]
    ladder = Ladder(made, windowed=windowed, on_cpu=on_cpu if allowed else None)
    cost = TileCost(8.0, 8)
    refocus = Refocus(**settings["refocus"])
    return job.Bench(made, card(FakeEngine(), stored=stored), refocus, ladder, cost, Attached(), send)


def serve(pipe: Connection, settings_json: str) -> None:
    """As `semdaemon.worker.process.serve`, with the fake engine."""
    job.make_bench = bench  # type: ignore[assignment]
    process.serve(pipe, settings_json)


def serve_without_answer(pipe: Connection, settings_json: str) -> None:
    """The weights' card has no stored answer."""
    job.make_bench = lambda settings, send: bench(settings, send, stored=False)  # type: ignore[assignment]
    process.serve(pipe, settings_json)


class WrongEngine(FakeEngine):
    """Computes something else than its card says."""

    def refocus(self, unit: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
        return np.asarray(0.9 * super().refocus(unit, wanted), np.float32)


def serve_wrongly(pipe: Connection, settings_json: str) -> None:
    """A device that computes, and not what it should; well again once a file says so."""
    healed = Path(json.loads(settings_json)["refocus"]["weights"]).exists()
    engine = FakeEngine() if healed else WrongEngine()
    job.make_bench = lambda settings, send: bench(settings, send, engine=engine)  # type: ignore[assignment]
    process.serve(pipe, settings_json)


def serve_one_job(pipe: Connection, settings_json: str) -> None:
    """Passes its probe and goes away at once."""
    job.make_bench = bench  # type: ignore[assignment]
    done = job.Bench.answer

    def answer(self: job.Bench, asked: dict[str, Any]) -> dict[str, Any]:
        return {**done(self, asked), "ends": True}

    job.Bench.answer = answer  # type: ignore[method-assign]
    process.serve(pipe, settings_json)
