"""Two weights on the same frames: the mean difference, and how far chance could have moved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semdaemon.training.intervals import Drawn, Groups, Interval, drawn, mean_interval

LEAST_DRAWN = 5
"""With fewer specimens (frames, where each is its own) a bootstrap has next to nothing to draw from, and its
interval is far too narrow."""


@dataclass(frozen=True)
class Difference(Interval):
    """Mean of B - A with its 95 % interval, over frames of so many specimen groups (0: nobody knows)."""

    frames: int
    groups: int = 0

    @property
    def drawn(self) -> Drawn:
        """What the interval is over."""
        return Drawn(self.frames, self.groups)

    @property
    def sign(self) -> int:
        """1 where B is higher beyond chance, -1 where A is, 0 where these frames cannot tell."""
        if self.drawn.count < LEAST_DRAWN:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def paired_difference(a: Sequence[float], b: Sequence[float], groups: Groups = None) -> Difference:
    """``b - a`` frame by frame: mean, and its 95 % interval by bootstrap over specimens (`mean_interval`).

    Pairing takes the frames' own difficulty out of the comparison, which is many times larger than what
    two networks differ by (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Parameters
    ----------
    a, b
        One figure a frame, in the same order.
    groups
        The specimen group of each frame; None where nobody knows it.

    Raises
    ------
    ValueError
        Where there is no frame, or not the same number of both, or of groups.
    """
    differences = np.subtract(b, a, dtype=np.float64)
    if differences.ndim != 1 or differences.size == 0 or len(a) != len(b):
        raise ValueError("one figure a frame is needed for each side, and at least one frame")
    found = mean_interval(differences, groups)
    of = drawn(differences.size, groups)
    return Difference(found.mean, found.low, found.high, of.frames, of.groups)
