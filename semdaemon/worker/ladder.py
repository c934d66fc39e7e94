"""The steps down that a job takes where memory runs out, each of them told; runs in the worker process."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from semdaemon.errors import FrameError
from semdaemon.refocus.allocator import give_back_free_blocks
from semdaemon.refocus.discriminative import Refocuses
from semdaemon.worker.faults import ends_the_process, kind_of

LEAST_TILE_PX = 64
REMEMBER_S = 300.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder.

    Attributes
    ----------
    name
        ``as_set``; ``smaller_tiles``; ``windows``: the frame goes through the engine piece by piece;
        ``on_cpu``.
    tile_px
        Of the engine on this rung; None where the engine has no tiles.
    """

    name: Literal["as_set", "smaller_tiles", "windows", "on_cpu"]
    tile_px: int | None
    device: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        words = {
            "as_set": "as set",
            "smaller_tiles": "smaller tiles",
            "windows": "window by window",
            "on_cpu": "on the CPU",
        }
        tiles = "" if self.tile_px is None else f", tiles of {self.tile_px} px"
        return f"{words[self.name]} ({self.device}{tiles})"


@dataclass(frozen=True, slots=True)
class _Learnt:
    """The rung that served a frame of this many pixels, and when."""

    pixels: int
    number: int
    at: float


class Ladder:
    """Runs a job on the highest rung that memory allows.

    Parameters
    ----------
    engine
        Its attribute ``tile_px`` is set, where it has one.
    windowed
        Wraps an engine so that it sees a frame piece by piece; None where that is not known to be exact.
    on_cpu
        Makes the engine for the last rung; None where it is not allowed or the CPU is the device already.
    """

    def __init__(
        self,
        engine: Any,
        *,
        windowed: Callable[[Any], Refocuses] | None = None,
        on_cpu: Callable[[], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._windowed, self._on_cpu = engine, windowed, on_cpu
        self._full_tile_px: int | None = getattr(engine, "tile_px", None)
        self._cpu_engine: Any = None
        self._clock = clock
        self._learnt: _Learnt | None = None
        self.tainted = False

    def rungs(self) -> list[Rung]:
        """From the fastest to the most frugal."""
        return list(self._rungs())

    def _rungs(self) -> Iterator[Rung]:
        device, tile_px = self._engine.device, self._full_tile_px
        yield Rung("as_set", tile_px, device)
        while tile_px is not None and tile_px > LEAST_TILE_PX:
            tile_px = max(LEAST_TILE_PX, tile_px // 2)
            yield Rung("smaller_tiles", tile_px, device)
        if self._windowed is not None:
            yield Rung("windows", tile_px, device)
        if self._on_cpu is not None:
            yield Rung("on_cpu", self._full_tile_px, "cpu")

    def run(
        self,
        job: Callable[[Refocuses], _T],
        *,
        pixels: int,
        frugal: bool = False,
        lacking: Callable[[Rung], str] = lambda _: "",
        told: Callable[[Rung, str], None] = lambda _rung, _why: None,
        watch: Callable[[int, int], None] | None = None,
    ) -> tuple[_T, Rung]:
        """Try rung after rung; for a while, a frame as large as one that ran out begins where that one ended.

        Parameters
        ----------
        frugal
            Begin with the smallest tiles: the frame took all memory of a process before.
        lacking
            Says before the attempt why a rung cannot have the memory that it needs; empty where it can.
        told
            Called with the rung that failed and why.
        watch
            Given to the engine (see `semdaemon.refocus.engine.Engine`).

        Raises
        ------
        FrameError
            ``out_of_memory`` where no rung is low enough.
        """
        rungs, tried = self.rungs(), []
        for number in range(self._first(pixels, rungs, frugal=frugal), len(rungs)):
            rung = rungs[number]
            why = lacking(rung) or self._try(rung, job, watch)
            if not isinstance(why, str):
                if number:
                    self._learnt = _Learnt(pixels, number, self._clock())
                return why[0], rung
            tried.append(f"{rung}: {why}")
            told(rung, why)
        raise FrameError(
            "out_of_memory",
            f"Memory is too small for this frame. Tried {'; '.join(tried)}.",
            remedy="Free memory of the device, set worker.cpu_fallback = true, or bin the frame; "
            "then 'semdaemon requeue'.",
        )

    def _first(self, pixels: int, rungs: list[Rung], *, frugal: bool) -> int:
        if frugal:
            return sum(rung.name == "smaller_tiles" for rung in rungs)
        learnt = self._learnt
        if learnt is None or pixels < learnt.pixels:
            return 0
        # Another program may have given the memory back meanwhile.
        return learnt.number if self._clock() - learnt.at < REMEMBER_S else 0

    def _try(
        self, rung: Rung, job: Callable[[Refocuses], _T], watch: Callable[[int, int], None] | None
    ) -> str | tuple[_T]:
        """The result in a tuple of one, or why there was not enough memory."""
        try:
            return (job(self._stand_on(rung, watch)),)
        except Exception as error:
            if kind_of(error) != "out_of_memory":
                raise
            self.tainted = self.tainted or ends_the_process(error)
            why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no memory'}"
        self._give_back()
        return why

    def _stand_on(self, rung: Rung, watch: Callable[[int, int], None] | None) -> Refocuses:
        engine = self._cpu() if rung.name == "on_cpu" else self._engine
        if rung.tile_px is not None and engine is self._engine:
            engine.tile_px = rung.tile_px
        if hasattr(engine, "watch") and watch is not None:
            engine.watch = watch
        if self._windowed is not None and rung.name in ("windows", "on_cpu"):
            return self._windowed(engine)
        served: Refocuses = engine
        return served

    def _cpu(self) -> Any:
        if self._cpu_engine is None and self._on_cpu is not None:
            self._cpu_engine = self._on_cpu()
        return self._cpu_engine

    def _give_back(self) -> None:
        """What the failed attempt held: Python's garbage, and the allocators' free blocks."""
        gc.collect()
        give_back_free_blocks()
        torch = sys.modules.get("torch")  # an engine of another kind has no cache there
        if torch is not None and self._engine.device == "cuda":
            torch.cuda.empty_cache()
        elif torch is not None and self._engine.device == "mps":
            torch.mps.empty_cache()
