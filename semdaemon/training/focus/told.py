"""What blur a scorer tells where the truth is known, and the correction that makes the two agree.

Materials differ in how soft they are, and a network that has not seen a material tells its softness as blur.
On specimens that it did not learn from it tells a little too much; what they have of this in common is taken
out by naming the blurs between which its bins lie anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Figures = npt.NDArray[np.float64]

_KNOTS_PX = (0.7, 1.0, 1.4, 2.0, 3.2, 5.0, 8.0)
"""Blurs between which a correction is one figure."""
_LEAST_TILES = 50


@dataclass(frozen=True)
class Correction:
    """Blurs as told and as they were, in pixels: each (m,), increasing."""

    told_px: Figures
    true_px: Figures

    def of(self, sigma_px: npt.ArrayLike) -> Figures:
        """The blur behind one that is told; linear in logarithms, by one factor beyond the ends."""
        told, true = np.log(self.told_px), np.log(self.true_px)
        asked = np.log(np.asarray(sigma_px, np.float64))
        offset = np.interp(asked, told, true - told)
        return np.asarray(np.exp(asked + offset), np.float64)

    def as_dict(self) -> dict[str, list[float]]:
        return {name: np.round(figures, 4).tolist() for name, figures in vars(self).items()}


def correction(told_px: Figures, true_px: Figures) -> Correction:
    """Fit on tiles (n,) told and true: the median of what is told for blurs between two knots.

    Medians that fall are levelled, so that more blur is never corrected to less.
    Where fewer than 50 tiles lie between two knots nothing is said, and the neighbours' figures hold; where
    that is so everywhere, nothing is corrected.
    """
    places = np.digitize(true_px, _KNOTS_PX)
    groups = [places == place for place in range(len(_KNOTS_PX) + 1)]
    groups = [group for group in groups if group.sum() >= _LEAST_TILES]
    if not groups:
        return Correction(np.ones(1), np.ones(1))
    true = np.array([np.median(true_px[group]) for group in groups])
    told = np.array([np.median(told_px[group]) for group in groups])
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(told)) > 0])
    return Correction(told[rising], true[rising])
