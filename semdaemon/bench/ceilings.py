"""What the machine can do at best: arithmetic and copies in memory, on the threads asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from semdaemon.bench.figures import best_s, processor_clock

if TYPE_CHECKING:
    import torch

_MATRIX = 1024
_CHANNELS, _SIDE = 64, 96
_COPY_BYTES = 64 * 2**20
"""Larger than the caches of most processors, so that memory is measured and not a cache."""


@dataclass(frozen=True)
class Ceilings:
    """Rates of this machine.

    Attributes
    ----------
    threads
        How many threads multiplied.
    fp32_gflop_per_s, bf16_gflop_per_s
        The faster of a matrix product of 1024 x 1024 and a convolution 3 x 3 of 64 channels, two operations a
        multiply-add; libraries differ in how near they come to what the processor can do.
    copy_bytes_per_s
        Memory copied by one thread; each byte is read once and written once.
    """

    threads: int
    fp32_gflop_per_s: float
    bf16_gflop_per_s: float
    copy_bytes_per_s: float

    def copy_s(self, size_bytes: int) -> float:
        """Least time to copy so much memory, seconds."""
        return size_bytes / self.copy_bytes_per_s


def measure(threads: int) -> Ceilings:
    """Measure them; a few seconds."""
    import torch

    torch.set_num_threads(threads)
    fp32, bf16 = (
        max(_product_gflop_per_s(kind, threads), _convolution_gflop_per_s(kind, threads))
        for kind in (torch.float32, torch.bfloat16)
    )
    return Ceilings(threads, fp32, bf16, _copy_bytes_per_s())


def _product_gflop_per_s(kind: torch.dtype, threads: int) -> float:
    import torch

    a, b = (torch.ones(_MATRIX, _MATRIX, dtype=kind) for _ in range(2))
    out = torch.empty_like(a)
    spent_s = best_s(lambda: torch.mm(a, b, out=out), budget_s=0.5, clock=processor_clock(threads))
    return 2 * _MATRIX**3 / spent_s / 1e9


def _convolution_gflop_per_s(kind: torch.dtype, threads: int) -> float:
    import torch
    from torch.nn import functional

    pixels = torch.ones(1, _CHANNELS, _SIDE, _SIDE, dtype=kind).to(memory_format=torch.channels_last)
    weight = torch.ones(_CHANNELS, _CHANNELS, 3, 3, dtype=kind).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        spent_s = best_s(
            lambda: functional.conv2d(pixels, weight, padding=1), budget_s=0.5, clock=processor_clock(threads)
        )
    return 2 * _CHANNELS**2 * 9 * _SIDE**2 / spent_s / 1e9


def _copy_bytes_per_s() -> float:
    source = np.ones(_COPY_BYTES, np.uint8)
    target = np.zeros_like(source)
    return _COPY_BYTES / best_s(lambda: np.copyto(target, source), budget_s=0.5, clock=processor_clock(1))
