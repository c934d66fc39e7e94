"""Two weights on the same frames: the mean difference, and how far chance could have moved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semdaemon.training.intervals import Interval, mean_interval

LEAST_FRAMES = 5
"""With fewer frames a bootstrap has next to nothing to draw from, and its interval is far too narrow."""


@dataclass(frozen=True)
class Difference(Interval):
    """Mean of B - A over ``frames`` frames, with its 95 % interval."""

    frames: int

    @property
    def sign(self) -> int:
        """1 where B is higher beyond chance, -1 where A is, 0 where these frames cannot tell."""
        if self.frames < LEAST_FRAMES:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Difference:
    """``b - a`` frame by frame: mean, and its 95 % percentile interval by bootstrap over the frames.

    Pairing takes the frames' own difficulty out of the comparison, which is many times larger than what
    two networks differ by (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
    Frames of one specimen resemble each other: with several of each the true interval is wider.

    Parameters
    ----------
    a, b
        One figure a frame, in the same order.

    Raises
    ------
    ValueError
        Where there is no frame, or not the same number of both.
    """
    differences = np.subtract(b, a, dtype=np.float64)
    if differences.ndim != 1 or differences.size == 0 or len(a) != len(b):
        raise ValueError("one figure a frame is needed for each side, and at least one frame")
    found = mean_interval(differences)
    return Difference(found.mean, found.low, found.high, differences.size)
