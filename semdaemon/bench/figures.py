"""What is measured: a time, and the least time that this machine's ceiling allows for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FRAME_PX = 2048
"""Side of the 16-bit frame that is scored, moved, written and read."""

Clock = Callable[[], float]
_FINE_S = 1e-5


@dataclass(frozen=True)
class Figure:
    """One measured time.

    Attributes
    ----------
    part, what
        ``network``, ``focus``, ``moving`` or ``files``; what was done.
    value, unit
        The best of several runs; a time, or a time a megapixel.
    ceiling
        What the ceiling allows, in the same unit: no way of doing it can take less.
    limited_by
        Which ceiling.
    """

    part: str
    what: str
    value: float
    unit: str
    ceiling: float
    limited_by: str

    @property
    def share(self) -> float:
        """How much of the ceiling is reached: 1 is all there is."""
        return self.ceiling / self.value


def processor_clock(threads: int) -> Clock:
    """The clock for work that waits for nothing: processor time, which other programs hardly touch.

    Wall-clock time for several threads, where processor time would count their sum, and on systems whose
    processor time is coarse.
    """
    fine = time.get_clock_info("process_time").resolution < _FINE_S
    return time.process_time if fine and threads == 1 else time.perf_counter


def best_s(
    action: Callable[[], object],
    *,
    budget_s: float = 1.0,
    at_least: int = 3,
    clock: Clock = time.perf_counter,
) -> float:
    """Least time of an action, seconds, after one run that does not count.

    The least, because other programs can only make a run longer.

    Parameters
    ----------
    budget_s
        Runs are added until they have taken this long together.
    at_least
        How many runs there are in any case.
    clock
        Wall-clock time, or what `processor_clock` gives.
    """
    action()
    spent: list[float] = []
    while len(spent) < at_least or sum(spent) < budget_s:
        began = clock()
        action()
        spent.append(clock() - began)
    return min(spent)


def frame_pixels(side_px: int = FRAME_PX) -> npt.NDArray[np.uint16]:
    """A simulated 16-bit frame, slightly out of focus and noisy: (side_px, side_px)."""
    from semdaemon.simulate.scenes import scene
    from semdaemon.training import degrade

    soft = degrade.blur(scene("particles", (512, 512), seed=1), degrade.disc_kernel(2))
    repeats = -(-side_px // 512)
    # Noise after the repeating: a compressor would find the same rows again.
    seen = degrade.expose(np.tile(soft, (repeats, repeats)), 100, np.random.default_rng(0))
    return np.asarray(degrade.quantise(seen[:side_px, :side_px], 16) * np.float32(65535), np.uint16)
