"""Trust fitted to tiles whose truth is known, and calibrated on specimen groups that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.evidence import Figures
from semdaemon.refocus.trust import COVERAGE, Trust, terms
from semdaemon.training.trust.path import Column, Tiles

LEAST_TILES = 200
"""Of either kind: with fewer, a quantile of nine in ten is a guess."""

FOLDS = 5
_ERROR_RIDGE, _GAIN_RIDGE = 0.01, 0.1
"""Of what was tried (0.001 to 0.1), best on the groups set aside."""

_MOST_LEAD = 1.0
_FARTHEST = 4.0
_NOVEL_SHARE = 0.01
"""Share of the calibration's own tiles that count as unlike it."""

_LEAST_ERROR = 1e-4

Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Unseen:
    """What models say of tiles whose specimen groups they were not fitted to, (m,) each.

    Attributes
    ----------
    excess
        Logarithm of the true error over the expected one.
    odds
        Of a gain, before calibration.
    distance
        Mahalanobis distance from the tiles fitted to.
    gained, group
        The truth, and the specimen group.
    weight
        Sum 1. Each group counts the same, and groups that the network was not trained on together as much
        as those that it was: they are few, and the others may flatter it.
    """

    excess: Column
    odds: Column
    distance: Column
    gained: Chosen
    group: Column
    weight: Column

    def only(self, chosen: Chosen) -> Unseen:
        """Some of the tiles, their weights brought to sum 1."""
        weight = self.weight[chosen]
        return Unseen(
            self.excess[chosen],
            self.odds[chosen],
            self.distance[chosen],
            self.gained[chosen],
            self.group[chosen],
            weight / weight.sum(),
        )


@dataclass(frozen=True)
class Fit:
    """A calibrated model and what it was calibrated on."""

    trust: Trust
    unseen: Unseen
    trained: Tiles
    set_aside: Tiles

    def left_out(self) -> dict[str, float]:
        """Share of tiles within the bound, on each group by a calibration on all others."""
        groups = np.unique(self.unseen.group)
        covered = np.array([self._covered(self.unseen.group == group) for group in groups])
        low = float(np.quantile(covered, 0.1))
        return {
            "groups": len(groups),
            "mean": round(float(covered.mean()), 3),
            "tenth": round(low, 3),
            "worst": round(float(covered.min()), 3),
        }

    def facts(self, conditions: dict[str, Any]) -> dict[str, Any]:
        """What a card says under ``trust``: the model, and how it came about."""
        tiles = {"trained_on": len(self.trained.error), "set_aside": len(self.set_aside.error)}
        return {
            **self.trust.as_dict(),
            "coverage": COVERAGE,
            "conditions": conditions,
            "tiles": tiles,
            "gained": round(float(self.unseen.weight @ self.unseen.gained), 4),
            "left_out_coverage": self.left_out(),
        }

    def _covered(self, own: Chosen) -> float:
        level, factor = _bound(self.unseen.only(~own))
        return float(np.mean(self.unseen.excess[own] <= level + np.log(factor)))


def fit(trained: Tiles, set_aside: Tiles) -> Fit:
    """The model of `semdaemon.refocus.trust` from tiles whose truth is known.

    Coefficients come from the specimens that the network was trained on.
    What they are worth comes from groups that they were not fitted to: of the same specimens fold by fold,
    and of those that the network's training set aside.
    The bound is a conformal quantile (Vovk, Gammerman, Shafer 2005; by folds: Barber et al. 2021) of the
    ratio of true to expected error.

    Raises
    ------
    SemdaemonError
        ``too_few_tiles`` with fewer than `LEAST_TILES` of either.
    """
    for tiles, which in ((trained, "of specimens trained on"), (set_aside, "of specimens set aside")):
        if len(tiles.error) < LEAST_TILES:
            raise SemdaemonError(
                "too_few_tiles",
                f"{len(tiles.error)} refocused tiles {which}, at least {LEAST_TILES} are needed.",
                remedy="Give more frames, or larger ones.",
            )
    raw = coefficients(trained)
    unseen = _together([*_by_folds(trained), _said(raw, set_aside, 1 + trained.group.max())])
    return Fit(calibrated(raw, unseen), unseen, trained, set_aside)


def coefficients(tiles: Tiles) -> Trust:
    """The model before calibration: its odds have no scale, its bound factor and its reach are 1."""
    weights = evenly(tiles.group)
    centre, spread = tiles.figures.mean(0), np.maximum(tiles.figures.std(0), 1e-3)
    standard = (tiles.figures - centre) / spread
    known = terms(np.clip(standard, -_FARTHEST, _FARTHEST))
    covariance = np.cov(standard.T, aweights=weights) + 0.05 * np.eye(standard.shape[1])
    return Trust(
        centre,
        spread,
        error=_line(known, np.log(np.maximum(tiles.error, _LEAST_ERROR)), weights, _ERROR_RIDGE),
        gain=_line(known, _lead(tiles), weights, _GAIN_RIDGE),
        bound_factor=1.0,
        shape=np.asarray(np.linalg.inv(covariance), np.float64),
        reach=1.0,
    )


def calibrated(raw: Trust, unseen: Unseen) -> Trust:
    """Level, odds, bound and reach from tiles that the coefficients do not know."""
    error, (level, factor) = raw.error.copy(), _bound(unseen)
    error[0] += level
    steepness, offset = _platt(unseen.odds, unseen.gained, unseen.weight)
    gain = raw.gain * steepness
    gain[0] += offset
    reach = quantile(unseen.distance, 1 - _NOVEL_SHARE, unseen.weight)
    return replace(raw, error=error, gain=gain, bound_factor=factor, reach=reach)


def evenly(group: Column) -> Column:
    """(m,) weights, sum 1, by which each group counts the same."""
    _, which, count = np.unique(group, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (count[which] * len(count)))


def quantile(values: Column, level: float, weights: Column) -> float:
    """Weighted quantile, rounded up: at least ``level`` of the weight lies at or below it."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    # One more value at infinity, as conformal prediction wants it for exchangeable values.
    wanted = level * (1 + 1 / len(values))
    return float(values[order][min(int(np.searchsorted(reached, wanted - 1e-12)), len(values) - 1)])


def _by_folds(tiles: Tiles) -> list[Unseen]:
    """Each group judged by coefficients from the groups of the other folds."""
    fold = tiles.group % FOLDS
    return [
        _said(coefficients(tiles.only(fold != number)), tiles.only(fold == number))
        for number in np.unique(fold)
    ]


def _said(raw: Trust, tiles: Tiles, first_group: float = 0.0) -> Unseen:
    standard = raw.standard(tiles.figures)
    known = terms(np.clip(standard, -_FARTHEST, _FARTHEST))
    return Unseen(
        excess=np.log(np.maximum(tiles.error, _LEAST_ERROR)) - known @ raw.error,
        odds=known @ raw.gain,
        distance=np.sqrt(np.einsum("mi,ij,mj->m", standard, raw.shape, standard)),
        gained=tiles.gained,
        group=tiles.group + first_group,
        weight=evenly(tiles.group),
    )


def _together(parts: list[Unseen]) -> Unseen:
    """Folds of the specimens trained on, and last the specimens set aside: half of the weight each."""
    groups = [len(np.unique(part.group)) for part in parts[:-1]]
    shares = [0.5 * count / sum(groups) for count in groups] + [0.5]
    weights = [share * part.weight for share, part in zip(shares, parts, strict=True)]
    return Unseen(
        np.concatenate([part.excess for part in parts]),
        np.concatenate([part.odds for part in parts]),
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.gained for part in parts]),
        np.concatenate([part.group for part in parts]),
        np.concatenate(weights),
    )


def _bound(unseen: Unseen) -> tuple[float, float]:
    """By how much errors exceed what is expected, as a logarithm; and the factor that bounds them beyond."""
    level = float(unseen.weight @ unseen.excess)
    return level, float(np.exp(quantile(unseen.excess - level, COVERAGE, unseen.weight)))


def _lead(tiles: Tiles) -> Column:
    """By what factor the result is closer than the original, as a logarithm.

    How much is gained or lost says more than whether: few tiles lose, and odds fitted to those few alone
    told gain from loss less well on the groups set aside (area under the curve 0.83 against 0.87).
    """
    result, original = (np.maximum(error, 10 * _LEAST_ERROR) for error in (tiles.result, tiles.smoothed))
    return np.asarray(np.clip(np.log(original / result), -_MOST_LEAD, _MOST_LEAD))


def _line(known: Figures, wanted: Column, weights: Column, least: float) -> Column:
    """Least squares with a ridge that leaves the level alone."""
    ridge = least * np.eye(known.shape[1])
    ridge[0, 0] = 0.0
    weighted = known * weights[:, None]
    return np.asarray(np.linalg.solve(weighted.T @ known + ridge, weighted.T @ wanted))


def _platt(odds: Column, gained: Chosen, weights: Column) -> tuple[float, float]:
    """Steepness (above 0) and level that make odds honest (Platt 1999), with his pull off certainty."""
    many = max(1.0, float(np.count_nonzero(gained))), max(1.0, float(np.count_nonzero(~gained)))
    target = np.where(gained, (many[0] + 1) / (many[0] + 2), 1 / (many[1] + 2))

    def loss(two: Column) -> float:
        margin = np.exp(two[0]) * odds + two[1]
        return float(weights @ (np.logaddexp(0, margin) - target * margin) + 1e-4 * two[0] ** 2)

    steepness, level = optimize.minimize(loss, np.array([2.0, 0.0]), method="L-BFGS-B").x
    return float(np.exp(steepness)), float(level)
