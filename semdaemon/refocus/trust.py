"""How far one refocused tile can be trusted, from what it shows and what was measured on validation frames.

The model is small on purpose: a straight line and a parabola a figure for the logarithm of the error, the
same for the odds of a gain, and one ellipsoid around what it was fitted to.
It stands in the weights' card under ``trust``, written by ``semdaemon evaluate --trust --card``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semdaemon.errors import WeightsError
from semdaemon.refocus.evidence import NAMES, Figures

VERSION = 1
COVERAGE = 0.9
"""How often the true error has to lie below `Belief.error_bound`."""

_FARTHEST = 4.0
"""Figures more standard deviations off than this count as so far off: no extrapolation."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What is held of a refocused tile, or of a region.

    Attributes
    ----------
    confidence
        0 to 1: probability that the result is closer to the truth than the original, smoothed or not
        (that it took noise off earns it nothing).
    expected_error
        Root mean square of what it is off from the truth, as a share of the frame's range.
    error_bound
        What that error stays below with a probability of `COVERAGE`.
    novelty
        Distance from the tiles that all this was fitted to; above 1 it vouches for nothing.
    """

    confidence: float
    expected_error: float
    error_bound: float
    novelty: float


@dataclass(frozen=True)
class Trust:
    """The model behind a card's ``trust``.

    Attributes
    ----------
    centre, spread
        (n,) mean and standard deviation of the figures of `semdaemon.refocus.evidence`.
    error, gain
        (1 + 2 n,) coefficients of `terms` for the logarithm of the error and for the odds of a gain.
    bound_factor
        By how much the error may exceed what is expected, at a probability of `COVERAGE`.
    shape
        (n, n): inverse covariance of the standardised figures.
    reach
        Mahalanobis distance that counts as 1.
    """

    centre: Figures
    spread: Figures
    error: Figures
    gain: Figures
    bound_factor: float
    shape: Figures
    reach: float

    def belief(self, figures: Figures) -> Belief:
        """What is held of one tile that shows these ``figures`` (n,)."""
        standard = self.standard(figures)
        term = terms(np.clip(standard, -_FARTHEST, _FARTHEST))
        expected = math.exp(min(float(term @ self.error), 2.0))
        return Belief(
            confidence=float(1.0 / (1.0 + np.exp(-np.clip(term @ self.gain, -30, 30)))),
            expected_error=expected,
            error_bound=expected * self.bound_factor,
            novelty=math.sqrt(max(float(standard @ self.shape @ standard), 0.0)) / self.reach,
        )

    def standard(self, figures: Figures) -> Figures:
        """(n,) or (m, n) figures in standard deviations of those fitted to."""
        return np.asarray((figures - self.centre) / self.spread, np.float64)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a card; `from_card` is its inverse."""
        return {
            "version": VERSION,
            "figures": list(NAMES),
            "centre": _rounded(self.centre),
            "spread": _rounded(self.spread),
            "error": _rounded(self.error),
            "gain": _rounded(self.gain),
            "bound_factor": round(self.bound_factor, 4),
            "shape": [_rounded(row) for row in self.shape],
            "reach": round(self.reach, 4),
        }


def terms(standard: Figures) -> Figures:
    """1, each figure, and each figure squared: (n,) to (1 + 2 n,), (m, n) to (m, 1 + 2 n)."""
    one = np.ones((*standard.shape[:-1], 1))
    return np.concatenate([one, standard, standard**2], axis=-1)


def of_region(beliefs: Sequence[Belief]) -> Belief:
    """The tiles of a region taken together.

    Errors add as powers; the confidence is the share of the tiles that may be expected to gain, and the
    novelty their median, so that one odd tile does not condemn its neighbours.
    """
    return Belief(
        confidence=float(np.mean([b.confidence for b in beliefs])),
        expected_error=_together([b.expected_error for b in beliefs]),
        error_bound=_together([b.error_bound for b in beliefs]),
        novelty=float(np.median([b.novelty for b in beliefs])),
    )


def from_card(stored: Mapping[str, Any]) -> Trust | None:
    """The model of a card's ``trust``; None where it is empty: older cards have none.

    Raises
    ------
    WeightsError
        ``trust_unreadable`` where it is not whole, or was made by another version.
    """
    if stored == {}:
        return None
    try:
        return _read(stored)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise WeightsError(
            "trust_unreadable",
            f"The card's key 'trust' cannot be used: {error}.",
            remedy="Write it anew with 'semdaemon evaluate --trust --data DIR --validation SHARE --card', "
            "or take the key out: results are then judged by re-blurring alone.",
        ) from error


def _read(stored: Mapping[str, Any]) -> Trust:
    if stored["version"] != VERSION:
        raise ValueError(f"it is of version {stored['version']!r}, this program reads {VERSION}")
    if list(stored["figures"]) != list(NAMES):
        raise ValueError(f"it was fitted to the figures {stored['figures']!r}, expected {list(NAMES)}")
    n = len(NAMES)
    shapes = {"centre": (n,), "spread": (n,), "error": (1 + 2 * n,), "gain": (1 + 2 * n,), "shape": (n, n)}
    arrays = {name: _numbers(stored, name, shape) for name, shape in shapes.items()}
    if (arrays["spread"] <= 0).any():
        raise ValueError("'spread' must be above 0")
    if (np.linalg.eigvalsh(arrays["shape"]) < 0).any():
        raise ValueError("'shape' is no inverse covariance")
    return Trust(**arrays, bound_factor=_positive(stored, "bound_factor"), reach=_positive(stored, "reach"))


def _numbers(stored: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Figures:
    array = np.asarray(stored[name], np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"'{name}' must be {shape} finite numbers")
    return array


def _positive(stored: Mapping[str, Any], name: str) -> float:
    value = float(stored[name])
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"'{name}' must be a number above 0, not {value}")
    return value


def _together(errors: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def _rounded(values: Figures) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
