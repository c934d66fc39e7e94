"""How sure a mean over frames is, when frames of one specimen are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
_RESAMPLES = 2000
_MANY_GROUPS = 30
_FEW = (
    "With so few groups it holds the mean over new specimens less often than 95 times in 100: "
    "about 90 times with 12 groups, fewer with fewer."
)

Groups = npt.ArrayLike | None
"""(n,) the specimen group of each frame; None where nobody knows."""


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


@dataclass(frozen=True)
class Drawn:
    """What a bootstrap draws: whole specimen groups, or frames one by one where groups tell nothing.

    Attributes
    ----------
    frames
        How many there are.
    groups
        Of how many specimen groups; 0 where nobody knows.
    """

    frames: int
    groups: int

    @property
    def whole(self) -> bool:
        """Specimen groups are drawn, each with all its frames."""
        return 1 < self.groups < self.frames

    @property
    def count(self) -> int:
        """How many are drawn, and drawn from."""
        return self.groups if self.whole else self.frames

    @property
    def over(self) -> str:
        """``specimens`` or ``frames``."""
        return "specimens" if self.whole else "frames"

    def __str__(self) -> str:
        frames = f"{self.frames} frame{'s' if self.frames != 1 else ''}"
        if self.whole:
            return f"{frames} of {self.groups} specimen groups"
        return f"{frames} of one specimen group" if self.groups == 1 < self.frames else frames

    def sentences(self) -> list[str]:
        """What was drawn, and what that leaves out, for people."""
        if not self.whole:
            return [f"Drawn are the {self.frames} frames one by one{self._why_frames()}."]
        of = f"{self.groups} groups of {self.frames} frames"
        said = [f"Drawn are whole specimen groups, each with all its frames: {of}."]
        if self.groups < _MANY_GROUPS:
            said.append(_FEW)
        return said

    def _why_frames(self) -> str:
        if self.groups == 1:
            return ", for all are of one specimen: what others would show they cannot tell"
        if self.groups:
            return ", for no two are known to be of one specimen"
        return ": their specimens are not known, and frames of one are alike, so the true interval is wider"


def drawn(count: int, groups: Groups = None) -> Drawn:
    """What `mean_interval` draws of ``count`` frames of these specimen groups."""
    return Drawn(count, 0 if groups is None else len(np.unique(np.asarray(groups))))


def clusters(count: int, groups: Groups = None) -> npt.NDArray[np.intp]:
    """(count,) which frames are drawn together: numbers of specimen groups, or each frame its own."""
    if groups is not None and drawn(count, groups).whole:
        return np.unique(np.asarray(groups), return_inverse=True)[1]
    return np.arange(count)


def mean_interval(values: npt.ArrayLike, groups: Groups = None) -> Interval:
    """Bootstrap over specimens (percentiles of 2000 resamples), always with the same seed.

    Whole specimen groups are drawn, as many as there are, each with all its frames, and the mean is over the
    frames drawn: the cluster bootstrap (Davison and Hinkley, Bootstrap Methods and their Application, 1997,
    chapter 3.8; Field and Welsh, Journal of the Royal Statistical Society B 69, 369, 2007).
    Where all frames are of one group, each is of its own, or groups are not known, frames are drawn
    (Efron 1979); `drawn` says which.
    Of 12 groups sized 1 to 6, half of the variance between them, 95 % intervals hold the true mean in 90 of
    100 cases; over frames one by one in 79.

    Parameters
    ----------
    values
        (n,) a figure of each frame; for a difference, each frame's own.
    groups
        (n,) the specimen group of each frame.

    Raises
    ------
    ValueError
        Where ``groups`` are not as many as ``values``.
    """
    data = np.asarray(values, np.float64)
    if groups is not None and np.shape(groups) != data.shape:
        raise ValueError(f"{data.shape} figures need as many specimen groups, not {np.shape(groups)}")
    mean = float(data.mean())
    if data.size < 2 or np.ptp(data) == 0:
        return Interval(mean, mean, mean)
    which = clusters(data.size, groups)
    found = stats.bootstrap(
        (np.bincount(which, data), np.bincount(which)),
        _mean_of_frames,
        paired=True,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def _mean_of_frames(totals: Any, sizes: Any, axis: int = -1) -> Any:
    """Of groups drawn, each the sum over its frames and their number."""
    return totals.sum(axis=axis) / sizes.sum(axis=axis)
