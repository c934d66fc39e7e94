"""What deciding does to the error of what is decided: beside the limit, only tiles that are misread are.

A tile is called sharp or blurred where its blur lies on one side of ``sharp_sigma_px`` with a stated
probability.
Where the true blur is close to that limit, a tile that is read right is not decided, and those that are
decided were read too low or too high.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

_STEPS = 20_001
_REACH_SD = 8.0


def expected_when_decided(
    median_error: float, truth_px: float, *, limit_px: float, confidence: float
) -> tuple[float, float]:
    """Share of tiles that a perfectly calibrated estimator decides, and their median relative error.

    Its estimate of ``ln sigma`` errs by a normal deviate and it states exactly that spread.

    Parameters
    ----------
    median_error
        Median relative error over all tiles, which sets the spread; > 0.
    truth_px, limit_px
        True blur of the tiles, and the limit between sharp and blurred.
    confidence
        Probability that a verdict needs, 0.5 to 1.
    """
    sd = np.log1p(median_error) / ndtri(0.75)
    deviate = np.linspace(-_REACH_SD, _REACH_SD, _STEPS)
    density = np.exp(-(deviate**2) / 2)
    decided = np.abs(sd * deviate - np.log(limit_px / truth_px)) >= sd * ndtri(confidence)
    error = np.abs(np.expm1(sd * deviate))[decided]
    order = np.argsort(error)
    heard = np.cumsum(density[decided][order])
    share = float(density[decided].sum() / density.sum())
    return share, float(error[order][np.searchsorted(heard, heard[-1] / 2)])


def error_needed(wanted: float, truth_px: float, *, limit_px: float, confidence: float) -> float:
    """Largest median error over all tiles with which those that are decided err by ``wanted`` at most."""
    candidates = np.arange(0.005, 1.0, 0.0025)
    good = [
        error
        for error in candidates
        if expected_when_decided(float(error), truth_px, limit_px=limit_px, confidence=confidence)[1]
        <= wanted
    ]
    return float(max(good, default=0.0))
