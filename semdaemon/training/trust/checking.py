"""What is believed of refocused tiles against what is true of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.refocus.trust import Belief, Trust, of_region
from semdaemon.training.intervals import Interval, mean_interval
from semdaemon.training.trust.path import Column, Tiles

YesNo = npt.NDArray[np.bool_]

ABSTAINED = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of tiles that are left as they are, the least trusted first."""


@dataclass(frozen=True)
class Bin:
    """Tiles believed alike: ``believed`` and ``true`` figures, ``share`` of them within the bound."""

    believed: float
    true: float
    share: float
    count: int


@dataclass(frozen=True)
class Risk:
    """What is left where the least trusted ``abstained`` share of the tiles keeps its original.

    ``error`` is the root mean square error of the others, ``loss`` the share of them that did not gain, and
    ``harm`` of those farther from the truth than the original as it was.
    """

    abstained: float
    error: float
    loss: float
    harm: float


@dataclass(frozen=True)
class Check:
    """Everything that a page says of trust on one set of frames.

    Attributes
    ----------
    errors
        Deciles by expected error: expected and true root mean square error, share within the bound.
    gains
        By confidence: mean confidence and true share of gains.
    risks
        By abstention, the least confident first.
    tiles_covered, regions_covered
        Share of true errors below the bound; each tile, and each region, counting the same.
        Their 95 % intervals are over specimen groups; None where there is only one.
    groups
        Number of specimen groups.
    rejected
        Share of tiles below the confidence asked for or unlike the training.
    """

    tiles: int
    regions: int
    errors: tuple[Bin, ...]
    gains: tuple[Bin, ...]
    risks: tuple[Risk, ...]
    groups: int
    tiles_covered: float
    tiles_interval: Interval | None
    regions_covered: float
    regions_interval: Interval | None
    told_apart: float
    novel: float
    rejected: float


def check(trust: Trust, tiles: Tiles, *, min_confidence: float) -> Check:
    """Believed against true.

    Parameters
    ----------
    min_confidence
        As in the settings: what is below it counts as rejected.
    """
    beliefs = [trust.belief(figures) for figures in tiles.figures]
    expected, bound = _column(beliefs, "expected_error"), _column(beliefs, "error_bound")
    confidence, novelty = _column(beliefs, "confidence"), _column(beliefs, "novelty")
    within = tiles.error <= bound
    regions_covered, group = _regions_covered(beliefs, tiles)
    return Check(
        tiles=len(beliefs),
        regions=len(np.unique(tiles.region)),
        errors=_bins(expected, tiles.error, within, _rms, 10),
        gains=_bins(confidence, tiles.gained.astype(np.float64), within, _mean, 8),
        risks=tuple(_risk(share, confidence, tiles) for share in ABSTAINED),
        groups=len(np.unique(tiles.group)),
        tiles_covered=float(np.mean(within)),
        tiles_interval=_over_groups(within.astype(np.float64), tiles.group),
        regions_covered=float(np.mean(regions_covered)),
        regions_interval=_over_groups(regions_covered, group),
        told_apart=area_under_curve(confidence, tiles.gained),
        novel=float(np.mean(novelty > 1)),
        rejected=float(np.mean((confidence < min_confidence) | (novelty > 1))),
    )


def area_under_curve(score: Column, good: YesNo) -> float:
    """Probability that a good one scores above a bad one; NaN where there is only one kind."""
    if good.all() or not good.any():
        return float("nan")
    above = score[good][:, None] - score[~good][None, :]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def _regions_covered(beliefs: list[Belief], tiles: Tiles) -> tuple[Column, Column]:
    """Of each region whether the bound held, and its specimen group."""
    covered, group = [], []
    for region in np.unique(tiles.region):
        own = np.flatnonzero(tiles.region == region)
        covered.append(_rms(tiles.error[own]) <= of_region([beliefs[i] for i in own]).error_bound)
        group.append(tiles.group[own[0]])
    return np.array(covered, np.float64), np.array(group, np.float64)


def _over_groups(share: Column, group: Column) -> Interval | None:
    """Tiles and regions of one specimen are so alike that drawing them one by one would say nothing."""
    return mean_interval(share, group) if len(np.unique(group)) > 1 else None


def _bins(
    believed: Column,
    true: Column,
    within: YesNo,
    together: Callable[[Column], float],
    count: int,
) -> tuple[Bin, ...]:
    parts = [part for part in np.array_split(np.argsort(believed, kind="stable"), count) if part.size]
    return tuple(
        Bin(together(believed[p]), together(true[p]), float(np.mean(within[p])), len(p)) for p in parts
    )


def _risk(abstained: float, confidence: Column, tiles: Tiles) -> Risk:
    kept = np.argsort(confidence, kind="stable")[round(abstained * len(confidence)) :]
    return Risk(
        abstained,
        _rms(tiles.error[kept]),
        float(np.mean(~tiles.gained[kept])),
        float(np.mean(tiles.harmed[kept])),
    )


def _column(beliefs: list[Belief], name: str) -> Column:
    return np.array([getattr(belief, name) for belief in beliefs], np.float64)


def _rms(values: Column) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _mean(values: Column) -> float:
    return float(np.mean(values))
