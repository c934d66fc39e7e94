"""Bootstrap intervals over frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 4000


@dataclass(frozen=True)
class Interval:
    """A mean and the 95 % interval of it over resampled frames."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        mean, low, high = (round(value, 2) + 0.0 for value in (self.mean, self.low, self.high))  # no -0.00
        return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def mean_over_frames(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Percentile bootstrap (Efron 1979) of a mean; for a difference, give each frame's own difference."""
    figures = np.asarray(values, float)
    drawn = np.random.default_rng(seed).integers(figures.size, size=(RESAMPLES, figures.size))
    low, high = np.percentile(figures[drawn].mean(axis=1), [2.5, 97.5])
    return Interval(float(figures.mean()), float(low), float(high))
