"""What a scorer says about tiles, and the plug point that says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Array = npt.NDArray[np.float32]

_LEVELS_PX = np.geomspace(0.5, 16.0, 37).astype(np.float32)
"""Blurs at which a bell curve is told where a scorer names no levels of its own."""


@dataclass(frozen=True)
class Estimate:
    """What a scorer says about n tiles.

    Attributes
    ----------
    sigma_px
        (n,) float32: equivalent Gaussian blur in pixels; NaN where the scorer cannot tell.
    relative_sd
        (n,) float32: standard deviation of ``ln sigma_px``; NaN where it cannot tell.
    levels_px, cumulative
        Optional, for a scorer that knows more than a bell curve: (k,) increasing blurs in pixels and
        (n, k) float32, the probability that a tile's blur is below each.
    prior
        Optional, (k - 1,) float32: how likely the scorer holds a blur between two levels before it looks.
    """

    sigma_px: Array
    relative_sd: Array
    levels_px: Array | None = None
    cumulative: Array | None = None
    prior: Array | None = None

    def probability_below(self, sigma_px: float) -> Array:
        """(n,) float32 in [0, 1]: probability that the blur is below ``sigma_px``."""
        if self.levels_px is None or self.cumulative is None:
            return _bell(self, np.array([sigma_px]))[:, 0]
        levels = np.log(self.levels_px)
        column = float(np.interp(np.log(sigma_px), levels, np.arange(levels.size)))
        low = min(int(column), levels.size - 2)
        share = np.float32(column - low)
        below, above = self.cumulative[:, low], self.cumulative[:, low + 1]
        return np.asarray((1 - share) * below + share * above, np.float32)


class Scorer(Protocol):
    """Estimates blur from tiles: the plug point ``semdaemon.scorers``.

    The entry point is a callable that takes the settings section `Focus` and returns a scorer; it is
    called once, and again when settings change.
    `estimate` is then called from one thread, with at most 64 tiles a call, in any number of calls.
    It may raise `semdaemon.errors.SemdaemonError`, which is recorded as the fault of that frame.
    Each tile is judged by itself.
    A scorer may have an attribute ``smoothness`` (`semdaemon.focus.field.Smoothness`) that was fitted to how
    it errs; then a tile's neighbours are heard before the verdict, unless the settings say otherwise.
    """

    @property
    def name(self) -> str:
        """Name and version (or the sha256 of weights): recorded in provenance."""
        ...

    def estimate(self, tiles: Array) -> Estimate:
        """Blur of each tile.

        Parameters
        ----------
        tiles
            (n, h, w) float32 in grey levels of the frame, the last axis being the fast-scan one.
            ``h = w = tile_px`` unless the image area is smaller than a tile.
        """
        ...


def shares_of(estimate: Estimate) -> tuple[Array, npt.NDArray[np.float64]]:
    """Levels (k,) in pixels and each tile's probability between them (n, k - 1); NaN where it cannot tell."""
    if estimate.levels_px is not None and estimate.cumulative is not None:
        return estimate.levels_px, np.diff(estimate.cumulative.astype(np.float64), axis=1)
    below = _bell(estimate, _LEVELS_PX).astype(np.float64)
    below[:, 0], below[:, -1] = 0.0, 1.0
    below[~np.isfinite(estimate.sigma_px * estimate.relative_sd)] = np.nan
    return _LEVELS_PX, np.diff(below, axis=1)


def from_shares(
    shares: npt.NDArray[np.floating], levels_px: Array, *, prior: Array | None = None
) -> Estimate:
    """Median, spread and cumulative distribution from probabilities (n, k - 1) between k levels."""
    edges = np.log(levels_px)
    middles = (edges[1:] + edges[:-1]) / 2
    total = shares.sum(axis=1, keepdims=True)
    share = np.asarray(shares / total, np.float32)
    mean = share @ middles
    variance = share @ (middles * middles) - mean * mean
    cumulative = np.concatenate([np.zeros((len(share), 1), np.float32), np.cumsum(share, axis=1)], axis=1)
    cumulative /= cumulative[:, -1:]
    median = np.array([np.interp(0.5, row, edges) for row in cumulative])
    return Estimate(
        np.exp(median).astype(np.float32),
        np.sqrt(np.maximum(variance, 1e-8)).astype(np.float32),
        levels_px,
        cumulative.astype(np.float32),
        prior,
    )


def prior_of(estimate: Estimate, bins: int) -> npt.NDArray[np.float64]:
    """What the scorer held likely before it looked; even where it does not say."""
    if estimate.prior is None:
        return np.full(bins, 1.0 / bins)
    prior = np.maximum(estimate.prior.astype(np.float64), 1e-4)
    return np.asarray(prior / prior.sum(), np.float64)


def without_prior(estimate: Estimate) -> Estimate:
    """What the tiles alone say: the same with what the scorer held likely beforehand taken out."""
    levels_px, shares = shares_of(estimate)
    return from_shares(shares / prior_of(estimate, shares.shape[1]), levels_px)


def joined(parts: list[Estimate]) -> Estimate:
    """The estimates of several calls of one scorer as one."""
    first = parts[0]
    tails = [part.cumulative for part in parts if part.cumulative is not None]
    whole = len(tails) == len(parts)
    return Estimate(
        np.concatenate([part.sigma_px for part in parts]),
        np.concatenate([part.relative_sd for part in parts]),
        first.levels_px if whole else None,
        np.concatenate(tails) if whole else None,
        first.prior if whole else None,
    )


def _bell(estimate: Estimate, sigma_px: npt.NDArray[np.floating]) -> Array:
    """(n, k) probability to be below each of k blurs, for a bell curve in ``ln sigma``."""
    # Its width is kept off zero so that certain scorers divide well.
    width = np.maximum(estimate.relative_sd, 1e-6)[:, None]
    middle = np.log(estimate.sigma_px)[:, None]
    return np.asarray(ndtr((np.log(sigma_px)[None, :] - middle) / width), np.float32)
