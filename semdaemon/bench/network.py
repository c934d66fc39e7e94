"""The shipped networks in the engine of the worker, beside the processor's arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from semdaemon.bench.ceilings import Ceilings
from semdaemon.bench.figures import Figure, best_s, processor_clock
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.refocus.weights import available, load_card

_MOST_PX, _LEAST_PX = 512, 64
_SLOWEST_S = 3.0
_RATIO = 4
"""Tiny pictures run at a worse rate than large ones; this many times slower is allowed for."""


def multiply_adds_per_px(spec: NetworkSpec) -> float:
    """Multiply-adds of a whole MRN for one pixel of the frame; borders and enlargements counted in full.

    The published network has 4.44 million.
    """
    taps, fold = spec.kernel**2, spec.unshuffle**2
    trunk = (2 * spec.blocks + 1) * spec.filters**2 * taps
    ends = spec.filters * fold * taps

    def srn(inputs: int) -> float:
        return (inputs * ends + trunk + ends) / fold

    enlarging = 4 * 9
    return srn(2) + (srn(2) + enlarging) / 4 + (srn(1) + enlarging) / 16


def engine_figures(ceilings: Ceilings) -> Iterator[Figure]:
    """Seconds a megapixel of each of the shipped weights, on a CPU in float32."""
    for name in available():
        yield _engine(name, ceilings)


def _engine(name: str, ceilings: Ceilings) -> Figure:
    from semdaemon.refocus.allocator import keep_big_blocks
    from semdaemon.refocus.engine import TorchEngine

    keep_big_blocks()
    card = load_card(name)
    flop_per_px = 2 * multiply_adds_per_px(NetworkSpec(**card.spec))
    at_best_s = flop_per_px / (ceilings.fp32_gflop_per_s * 1e9)
    side = side_px(at_best_s)
    unit = np.random.default_rng(0).random((side, side), dtype=np.float32)
    engine = TorchEngine(card, "cpu", threads=ceilings.threads)
    clock = processor_clock(ceilings.threads)
    spent_s = best_s(lambda: engine.refocus(unit), budget_s=_SLOWEST_S, at_least=2, clock=clock)
    what = f"refocus by '{name}', {side} px"
    return Figure("network", what, spent_s / unit.size * 1e6, "s/MP", at_best_s * 1e6, "fp32 arithmetic")


def side_px(at_best_s_per_px: float) -> int:
    """Side of a picture that takes no more than a few seconds: 64 to 512 px, a multiple of 32."""
    side = math.sqrt(_SLOWEST_S / _RATIO / at_best_s_per_px)
    return int(min(_MOST_PX, max(_LEAST_PX, side // 32 * 32)))
