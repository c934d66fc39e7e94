"""Least squares behind `semdaemon.focus.plane`: what tiles read where defocus is linear in position.

The probe blurs by ``sigma^2 = sigma0^2 + d^2``, and that is what a scorer would read off the material it was
trained on.
Material with more fine detail than that hides slight blur: until ``d^2`` exceeds some ``q`` a frame reads as
in focus, and then by so much less; with less detail it reads as blurred too early, and q is negative.
q is common to a frame and unknown: where the line of focus runs through the frame the width of the V's
bottom tells it, elsewhere it widens the uncertainty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

Array = npt.NDArray[Any]

LN_SIGMA0 = (math.log(0.8), 0.4)
"""Blur in focus, mean and standard deviation of its logarithm: what is known before looking."""

HIDDEN_PX2 = (0.2, 0.8)
"""The frame's q, square pixels, mean and standard deviation.

Of some figures tried on training frames these gave the least errors of tilt, see docs/focus.md.
"""

_CORNER_PX2 = 0.1
"""Over so much defocus squared a frame goes from hidden to shown."""

_READ_UP_TO_PX = 7.0
"""Beyond, a scorer reads every blur as about the same: such a tile says only that it is blurred more."""

SCALE = 2.0
"""Residuals beyond so many standard deviations count less and less (Cauchy)."""

_DIRECTIONS = 8
_CUTS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Problem:
    """Tiles as a least-squares problem in (d0, gx, gy[, c], ln sigma0, q).

    Attributes
    ----------
    terms
        (n, 4): what d0, gx, gy and c are multiplied with; lengths in thousands of pixels.
    ln_sigma, sd
        (n,) logarithm of blur, and its standard deviation.
    """

    terms: Array
    ln_sigma: Array
    sd: Array

    def fit(self, start: Array, *, curved: bool) -> Any:
        """scipy's answer from a start (d0, gx, gy, c)."""
        terms = self.terms if curved else self.terms[:, :3]
        shape = terms.shape[1]
        read = np.minimum(self.ln_sigma, math.log(_READ_UP_TO_PX))

        def misfit(values: Array) -> Array:
            total = _square(terms @ values[:shape], *values[shape:])[0]
            model = np.minimum(0.5 * np.log(total), math.log(_READ_UP_TO_PX))
            return np.append((read - model) / self.sd, _priors(values[shape:]))

        def slopes(values: Array) -> Array:
            defocus = terms @ values[:shape]
            total, shown = _square(defocus, *values[shape:])
            below = (total < _READ_UP_TO_PX**2) / total / self.sd
            columns = [
                terms * (shown * defocus * below)[:, None],
                (_focus(float(values[shape])) * below)[:, None],
                (-0.5 * shown * below)[:, None],
            ]
            known = np.zeros((2, shape + 2))
            known[0, shape], known[1, shape + 1] = 1 / LN_SIGMA0[1], 1 / HIDDEN_PX2[1]
            return np.vstack([-np.concatenate(columns, axis=1), known])

        begin = np.concatenate([start[:shape], [LN_SIGMA0[0], HIDDEN_PX2[0]]])
        return optimize.least_squares(misfit, begin, slopes, loss="cauchy", f_scale=SCALE, max_nfev=40)

    def starts(self) -> list[Array]:
        """The best one-sided and the best V-shaped guess, each by a linear fit to blur with its sign."""
        blur, weight = self._blur
        sides = [np.ones_like(blur)]
        for angle in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
            along = self.terms[:, 1] * np.cos(angle) + self.terms[:, 2] * np.sin(angle)
            sides += [np.sign(along - cut + 1e-9) for cut in np.quantile(along, _CUTS)]
        plane = self.terms[:, :3]
        fits = [self._linear(plane, side * blur, weight) for side in sides]
        return [fits[0][1], min(fits[1:], key=lambda fit: fit[0])[1]]

    def bowl(self) -> Array:
        """A guess with curvature, of one sign over the frame."""
        blur, weight = self._blur
        return self._linear(self.terms, blur, weight)[1]

    @property
    def _blur(self) -> tuple[Array, Array]:
        """Magnitude of defocus, and its weights."""
        blur = np.sqrt(np.maximum(np.exp(2 * self.ln_sigma) - 0.6**2, 0.0))
        return blur, np.exp(self.ln_sigma) / np.hypot(blur, 0.4) / self.sd

    @staticmethod
    def _linear(plane: Array, blur: Array, weight: Array) -> tuple[float, Array]:
        wide = np.asarray(np.linalg.lstsq(plane * weight[:, None], blur * weight, rcond=None)[0])
        return float(np.abs((blur - plane @ wide) * weight).sum()), wide

    @property
    def read(self) -> int:
        """Tiles that say how blurred they are; the others say no more than that they are blurred."""
        return int(np.count_nonzero(self.ln_sigma < math.log(_READ_UP_TO_PX)))

    @property
    def span(self) -> float:
        """Longest side of what the tiles cover, in units of 1000 px."""
        return float(max(np.ptp(self.terms[:, 1]), np.ptp(self.terms[:, 2])))


def _square(defocus: Array, ln_sigma0: float, hidden_px2: float) -> tuple[Array, Array]:
    """Square of the blur that is read, and how much of a change of defocus shows in it, 0 to 1."""
    excess = defocus * defocus - hidden_px2
    root = np.sqrt(excess * excess + _CORNER_PX2**2)
    return _focus(ln_sigma0) + 0.5 * (excess + root), 0.5 * (1 + excess / root)


def _focus(ln_sigma0: float) -> float:
    """Square of the blur in focus; a step that the solver tries must not overflow."""
    return math.exp(2 * min(ln_sigma0, 20.0))


def _priors(values: Array) -> Array:
    """Misfit of (ln sigma0, q) to what is known before looking."""
    return np.array([(v - mean) / sd for v, (mean, sd) in zip(values, (LN_SIGMA0, HIDDEN_PX2), strict=True)])
