"""How sure a mean over frames is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean over frames and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        mean, low, high = (round(value, 2) + 0.0 for value in (self.mean, self.low, self.high))  # no -0.00
        return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def rounded(self, digits: int) -> list[float]:
        """``[low, high]``, rounded outwards so that it still holds what it held."""
        unit = 10.0**-digits
        low, high = np.floor(self.low / unit) * unit, np.ceil(self.high / unit) * unit
        return [round(float(low), digits), round(float(high), digits)]


def mean_interval(values: npt.ArrayLike) -> Interval:
    """Bootstrap over frames (percentiles of 2000 resamples, Efron 1979), always with the same seed.

    Parameters
    ----------
    values
        (n,) a figure of each frame; for a difference, each frame's own.
    """
    data = np.asarray(values, np.float64)
    mean = float(data.mean())
    if data.size < 2 or np.ptp(data) == 0:
        return Interval(mean, mean, mean)
    found = stats.bootstrap(
        (data,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))
