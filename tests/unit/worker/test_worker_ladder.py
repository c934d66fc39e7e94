"""The steps down where memory runs out: their order, what is tried, what is told, what is learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semdaemon.errors import FrameError
from semdaemon.worker.ladder import REMEMBER_S, Ladder, Rung


class Engine:
    """Notes the tile size that it was set to."""

    def __init__(self, device: str = "cuda", tile_px: int = 512) -> None:
        self.device, self.tile_px = device, tile_px

    def refocus(self, unit: Any, wanted: Any = None) -> Any:
        return unit


class Windows:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.device, self.tile_px = engine, engine.device, engine.tile_px

    def refocus(self, unit: Any, wanted: Any = None) -> Any:
        return unit


def a_ladder(**more: Any) -> Ladder:
    return Ladder(Engine(), windowed=Windows, on_cpu=lambda: Engine("cpu"), **more)


def served_from(number: int, error: Exception) -> tuple[Any, list[str]]:
    """A job that fails until it is called for the ``number``-th time; and where it stood each time."""
    stood: list[str] = []

    def job(engine: Any) -> str:
        stood.append(f"{type(engine).__name__} {engine.device} {engine.tile_px}")
        if len(stood) <= number:
            raise error
        return "done"

    return job, stood


def test_rung_after_rung_in_order_and_each_step_is_told() -> None:
    job, stood = served_from(99, MemoryError("no"))
    told: list[tuple[Rung, str]] = []
    with pytest.raises(FrameError) as caught:
        a_ladder().run(job, pixels=10, told=lambda rung, why: told.append((rung, why)))
    assert stood == [
        "Engine cuda 512",
        "Engine cuda 256",
        "Engine cuda 128",
        "Engine cuda 64",
        "Windows cuda 64",
        "Windows cpu 512",
    ]
    assert [rung.name for rung, _ in told] == ["as_set", *["smaller_tiles"] * 3, "windows", "on_cpu"]
    assert caught.value.code == "out_of_memory"
    for word in ("as set", "tiles of 64 px", "window by window", "on the CPU"):
        assert word in caught.value.message


def test_the_first_rung_that_serves_is_the_answer_and_larger_frames_begin_there_for_a_while() -> None:
    now = [0.0]
    ladder = a_ladder(clock=lambda: now[0])
    result, rung = ladder.run(served_from(2, MemoryError())[0], pixels=100)
    assert (result, rung) == ("done", Rung("smaller_tiles", 128, "cuda"))
    for pixels, at, first in ((100, 1.0, 128), (101, 2.0, 128), (99, 3.0, 512), (100, REMEMBER_S + 1, 512)):
        now[0] = at
        job, stood = served_from(0, MemoryError())
        ladder.run(job, pixels=pixels)
        assert stood == [f"Engine cuda {first}"], (pixels, at)


def test_what_is_not_about_memory_is_raised_at_once() -> None:
    job, stood = served_from(1, ValueError("no number"))
    with pytest.raises(ValueError, match="no number"):
        a_ladder().run(job, pixels=1)
    assert len(stood) == 1


def test_a_rung_that_lacks_memory_is_stepped_over_before_it_is_tried() -> None:
    job, stood = served_from(0, MemoryError())
    told: list[str] = []
    _, rung = a_ladder().run(
        job,
        pixels=1,
        lacking=lambda rung: "" if rung.name == "windows" else "needs 9 MiB, 1 MiB are free",
        told=lambda _, why: told.append(why),
    )
    assert rung.name == "windows"
    assert stood == ["Windows cuda 64"]
    assert set(told) == {"needs 9 MiB, 1 MiB are free"}


def test_on_a_cpu_there_is_no_further_cpu_and_an_engine_without_tiles_is_served_too() -> None:
    assert [rung.name for rung in Ladder(Engine("cpu", 64), windowed=Windows).rungs()] == [
        "as_set",
        "windows",
    ]

    class Plain:
        device = "cpu"

        def refocus(self, unit: Any, wanted: Any = None) -> Any:
            return unit

    result, rung = Ladder(Plain()).run(lambda engine: engine.refocus(np.ones(1)), pixels=1)
    assert rung == Rung("as_set", None, "cpu")
    assert result.all()


def test_a_fault_that_stays_taints_the_process_though_the_frame_is_served() -> None:
    class AcceleratorError(RuntimeError):
        pass

    ladder = a_ladder()
    ladder.run(served_from(1, AcceleratorError("CUDA error: out of memory"))[0], pixels=1)
    assert ladder.tainted


def test_a_frame_that_took_all_memory_of_a_process_begins_with_the_smallest_tiles() -> None:
    job, stood = served_from(1, MemoryError())
    _, rung = a_ladder().run(job, pixels=1, frugal=True)
    assert stood == ["Engine cuda 64", "Windows cuda 64"]
    assert rung.name == "windows"
