"""A step in height across a frame: even blur on either side of a straight line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.focus.median import median

Array = npt.NDArray[Any]

_DIRECTIONS = 16
_CUTS = 9
_LEAST_SHARE = 0.12
"""Of the tiles on the smaller side: fewer are an island, or a corner that was misread."""

_FEWEST_TILES = 4
_LEAST_RATIO = 1.25
"""Of the blurs on both sides."""

_SIGNIFICANT_SDS = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """Two levels and the line between them.

    Attributes
    ----------
    low_px, high_px
        Blur on the sharper and on the more blurred side, pixels.
    direction_deg
        From the sharper to the more blurred side, across the line: 0 to the right, 90 down.
    offset_px
        Where along that direction the line lies, from the frame's centre, pixels.
    significance
        Difference of the logarithms of both blurs in standard deviations.
    """

    low_px: float
    high_px: float
    direction_deg: float
    offset_px: float
    significance: float

    def as_json(self) -> dict[str, object]:
        """Plain numbers."""
        return {
            "low_px": round(self.low_px, 3),
            "high_px": round(self.high_px, 3),
            "direction_deg": round(self.direction_deg, 1),
            "offset_px": round(self.offset_px, 1),
            "significance": round(self.significance, 1),
        }

    @property
    def plain(self) -> bool:
        """Whether there is a step worth telling, were it the best explanation."""
        return self.significance > _SIGNIFICANT_SDS and self.high_px > _LEAST_RATIO * self.low_px


@dataclass(frozen=True, slots=True)
class StepFit:
    """The best step, and half the sum of its tiles' losses."""

    step: Step
    cost: float


def fit_step(x_px: Array, y_px: Array, ln_sigma: Array, sd: Array, scale: float) -> StepFit | None:
    """The likeliest line and levels; None where no line leaves enough tiles on both sides.

    Parameters
    ----------
    x_px, y_px
        (n,) centres of tiles.
    ln_sigma, sd
        (n,) logarithm of their blur, and its standard deviation.
    scale
        Residuals beyond so many standard deviations count less and less (Cauchy).
    """
    coarse = np.arange(_DIRECTIONS) * math.pi / _DIRECTIONS
    best = _best_line(x_px, y_px, ln_sigma, sd, scale, coarse)
    if best is None:
        return None
    finer = best[1] + np.linspace(-0.75, 0.75, 7) * math.pi / _DIRECTIONS
    near = best[2], float(np.ptp(x_px) + np.ptp(y_px)) / _CUTS
    cost, angle, cut = min(best, _best_line(x_px, y_px, ln_sigma, sd, scale, finer, near) or best)
    beyond = x_px * math.cos(angle) + y_px * math.sin(angle) > cut
    here, there = _level(ln_sigma[~beyond], sd[~beyond]), _level(ln_sigma[beyond], sd[beyond])
    if there < here:
        here, there, angle, cut = there, here, angle + math.pi, -cut
    step = Step(
        low_px=math.exp(here[0]),
        high_px=math.exp(there[0]),
        direction_deg=math.degrees(angle) % 360,
        offset_px=cut,
        significance=(there[0] - here[0]) / math.hypot(here[1], there[1]),
    )
    return StepFit(step, cost)


def _best_line(
    x_px: Array,
    y_px: Array,
    ln_sigma: Array,
    sd: Array,
    scale: float,
    angles: Array,
    near: tuple[float, float] = (0.0, math.inf),
) -> tuple[float, float, float] | None:
    """``(cost, angle, cut)`` of the best of some directions, each with places between its tiles.

    ``near`` is a place, and how far from it others are tried.
    """
    found = []
    fewest = max(_FEWEST_TILES, math.ceil(_LEAST_SHARE * ln_sigma.size))
    for angle in angles:
        along = x_px * math.cos(angle) + y_px * math.sin(angle)
        for cut in _cuts(along, fewest, *near):
            beyond = along > cut
            cost = sum(_loss(ln_sigma[side], sd[side], scale) for side in (beyond, ~beyond))
            found.append((cost, float(angle), cut))
    return min(found, default=None)


def _cuts(along: Array, fewest: int, near: float, within: float) -> list[float]:
    """Some places between tiles with at least ``fewest`` on either side."""
    places = np.sort(along)
    low, high = places[fewest - 1 : -fewest], places[fewest : places.size - fewest + 1]
    between = (low + high)[high - low > 1.0] / 2
    between = between[np.abs(between - near) <= within]
    if between.size > _CUTS:
        between = between[np.linspace(0, between.size - 1, _CUTS).astype(int)]
    return [float(cut) for cut in between]


def _loss(ln_sigma: Array, sd: Array, scale: float) -> float:
    residuals = (ln_sigma - median(ln_sigma)) / sd
    return 0.5 * scale**2 * float(np.log1p((residuals / scale) ** 2).sum())


def _level(ln_sigma: Array, sd: Array) -> tuple[float, float]:
    """Median, and its standard deviation from the scatter."""
    middle = median(ln_sigma)
    scatter = max(1.4826 * median(np.abs(ln_sigma - middle)), median(sd))
    return middle, scatter * math.sqrt(math.pi / 2 / ln_sigma.size)
