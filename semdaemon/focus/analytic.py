"""Two classical measures as scorers: ``f4n`` and ``siraf``, for who wants no network.

Each gives a raw blur in pixels from one tile; a line in logarithms turns it into the equivalent blur.
They mistake content for blur by a factor of two, and say so: with the default ``focus.max_relative_sd``
of 0.6 every tile of theirs is undecided, 0.8 lets them speak.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semdaemon.focus.estimate import Array, Estimate
from semdaemon.focus.measures import Image, f4n, siraf_sigma_px


@dataclass(frozen=True)
class Curve:
    """``ln sigma_px = intercept + slope * ln(raw blur)``, known to ``sd``.

    Least squares over tiles of the 91 training frames, discs of 0 to 13 px, 10 to 400 electrons per pixel.
    """

    raw_px: Callable[[Image], float]
    intercept: float
    slope: float
    sd: float


def f4n_blur_px(tile: Image) -> float:
    """The Gaussian blur in pixels that would give structureless content this F4n; NaN without signal.

    The autocovariance of white content blurred by sigma is ``A(k) ~ exp(-k^2 / (4 sigma^2))``, hence
    ``F4n = 1 - exp(-3 / (4 sigma^2))``.
    """
    measured = f4n(tile)
    if not 0 < measured < 1:  # False for NaN too
        return math.nan
    return math.sqrt(-3 / (4 * math.log1p(-measured)))


CURVES = {
    "f4n": Curve(f4n_blur_px, -0.56, 0.73, 0.69),
    "siraf": Curve(siraf_sigma_px, -0.13, 0.50, 0.69),
}


class MeasureScorer:
    """Blur of tiles by a classical measure, by its name in `CURVES`."""

    def __init__(self, measure: str) -> None:
        self._measure, self._curve = measure, CURVES[measure]

    @property
    def name(self) -> str:
        curve = self._curve
        return f"{self._measure} {curve.intercept:g},{curve.slope:g},{curve.sd:g}"

    def estimate(self, tiles: Array) -> Estimate:
        """Blur of each tile; see `semdaemon.focus.Scorer`."""
        raw = np.array([self._curve.raw_px(tile) for tile in tiles])
        sigma_px = np.exp(self._curve.intercept + self._curve.slope * np.log(raw))
        relative_sd = np.where(np.isfinite(raw), self._curve.sd, np.nan)
        return Estimate(sigma_px.astype(np.float32), relative_sd.astype(np.float32))
