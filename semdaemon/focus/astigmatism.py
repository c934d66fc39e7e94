"""Blur along two axes: whether a region is out of focus, astigmatic, or smeared by drift or vibration.

A blur with variances sigma^2 + delta cos 2(theta - phi) along theta multiplies the power spectrum by
``exp(-(2 pi k)^2 (sigma^2 + delta cos 2(theta - phi)))``: its anisotropy grows as the square of frequency.
What a specimen shows is anisotropic too (fibres, scratches), but to first order alike at every scale; and
while the blur is common to a region, its content differs from tile to tile.
So each tile's anisotropy is split into a part without and a part with the square of frequency, and the latter
is averaged over the tiles; how far they disagree is its uncertainty.
Where the former is strong and the same all over the frame (machined grooves, aligned fibres), more is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from semdaemon.focus.median import median
from semdaemon.focus.spectra import frequencies

Array = npt.NDArray[Any]
Kind = Literal["round", "astigmatism", "smear", "cannot_tell"]

EDGES = (0.018, 0.03, 0.042, 0.056, 0.072, 0.09, 0.11, 0.135, 0.165, 0.2, 0.245, 0.3, 0.37)
"""Rings in cycles per pixel."""
SECTORS = 8
RINGS = len(EDGES) - 1

FEWEST_TILES = 6
_FEWEST_RINGS = 3
_SIGNAL = 3.0
_REACH = (0.8, 1.1, 1.3, 1.5)
"""Largest 2 pi k sigma read, from near to far: far tells most, near is for what is blurred along one axis."""
_FIRST_ZERO = 1.95
"""Largest 2 pi k times the blur along the long axis: a disc's spectrum is zero at 1.9, a line's at 1.8."""
_DISC = 0.7
"""Up to there a disc's spectrum falls faster than a Gaussian's of the same variance; see docs/focus.md."""

_SIGNIFICANT_SDS = 2.7
_FEW_TILES = 3.0
"""The disagreement of n tiles is known so badly that 1 + 3 / n times as much is asked."""

_LEAST_SHARE = 0.15
_LEAST_SHARE_OF_CONTENT = 0.1
"""Of the blur's square: asked at least, and besides for each unit of what content does at every scale."""

_LEAST_PX2 = 0.4
_LEAST_SHARP_PX2 = 1.1
"""Half the difference of the axes' squares: asked at least, and of a frame as sharp as can be."""

_ROUND_SHARE = 0.2
_SHARP_PX = 0.95
_AS_READ = 0.9
"""An axis counts as sharp where it would be if the blur were so much of what the scorer reads."""

_NEARLY_SHARP_PX = 1.3
_THIN = 0.36


@dataclass(frozen=True, slots=True)
class Astigmatism:
    """Blur of a region along its long and short axis.

    Attributes
    ----------
    kind
        ``round``: no difference above ``_ROUND_SHARE`` of the blur's square can hide; ``astigmatism``: the
        axes differ and both are blurred; ``smear``: one axis is blurred and the other as sharp as can be
        (drift, vibration, or a line of focus); ``cannot_tell``.
    sigma_long_px, sigma_short_px
        Blur along the axes; NaN unless the axes differ.
    direction_deg
        Of the long axis: 0 along the fast-scan axis, 90 along the slow one; NaN unless the axes differ.
    significance
        Difference of the axes in standard deviations.
    tiles
        How many tiles it was told from.
    """

    kind: Kind
    sigma_long_px: float = math.nan
    sigma_short_px: float = math.nan
    direction_deg: float = math.nan
    significance: float = 0.0
    tiles: int = 0

    @property
    def differs(self) -> bool:
        """True where the axes differ."""
        return self.kind in ("astigmatism", "smear")

    def as_json(self) -> dict[str, object]:
        """Plain values, null where the axes do not differ."""
        figures = {
            "sigma_long_px": self.sigma_long_px,
            "sigma_short_px": self.sigma_short_px,
            "direction_deg": self.direction_deg,
        }
        return {
            "kind": self.kind,
            **{name: round(value, 2) if math.isfinite(value) else None for name, value in figures.items()},
            "significance": round(self.significance, 1),
            "tiles": self.tiles,
        }


@lru_cache(maxsize=4)
def polar_bands(shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Weights (frequencies, RINGS * SECTORS) for `semdaemon.focus.spectra.band_power`, ring by ring.

    Frequencies on the axes are left out: detector lines and the frame's own borders lie there.
    """
    ky, kx = frequencies(shape)
    ring = np.digitize(np.hypot(ky, kx), EDGES) - 1
    sector = np.floor(np.mod(np.arctan2(ky, kx), np.pi) / np.pi * SECTORS).astype(int) % SECTORS
    inside = (ring >= 0) & (ring < RINGS) & (kx > 1.5 / shape[1]) & (np.abs(ky) > 1.5 / shape[0])
    number = np.where(inside, ring * SECTORS + sector, RINGS * SECTORS).ravel()
    masks = np.eye(RINGS * SECTORS + 1, dtype=np.float32)[number][:, :-1]
    return np.asarray(masks / np.maximum(masks.sum(axis=0), 1), np.float32)


@lru_cache(maxsize=4)
def _counts(shape: tuple[int, int]) -> Array:
    """(RINGS,) frequencies in each ring; 0 where a sector of it has none."""
    filled = (polar_bands(shape) > 0).sum(axis=0).reshape(RINGS, SECTORS)
    return np.where(filled.min(axis=1) > 0, filled.sum(axis=1), 0)


def astigmatism(
    polar: Array, noise: Array, sigma_px: Array, shape: tuple[int, int], scale: int = 1
) -> Astigmatism:
    """Blur along two axes from the tiles of one region.

    Parameters
    ----------
    polar
        (n, RINGS * SECTORS) power in the bands of `polar_bands`.
    noise
        (n,) power of white noise in the same units.
    sigma_px
        (n,) blur of the tiles; NaN where unknown.
    shape
        Rows and columns of a tile.
    scale
        How often the tiles are binned; ``sigma_px`` and ``shape`` are in binned pixels, the answer is not.
    """
    known = np.isfinite(sigma_px)
    told = Astigmatism("cannot_tell", tiles=int(known.sum()))
    if known.sum() < FEWEST_TILES:
        return told
    sigma = float(np.median(sigma_px[known]))
    second, loud = _second_harmonic(polar[known], noise[known])
    best: _Anisotropy | None = None
    for reach in _REACH:
        if best is not None and best.clear and reach / sigma * best.axes_px(sigma)[0] > _FIRST_ZERO:
            break
        best = _pooled_anisotropy(second, loud, reach / sigma, shape) or best
    return told if best is None else _told(sigma, best, scale)


@dataclass(frozen=True)
class _Anisotropy:
    """Of some tiles together: delta in square pixels, its standard deviation, and what `_split` gave."""

    delta: Array
    sd: float
    levels: Array
    squares: Array
    lever: Array

    @property
    def tiles(self) -> int:
        return len(self.lever)

    @property
    def content(self) -> float:
        """Size of the anisotropy that is the same at every frequency."""
        blur = self.delta / _DISC * np.average(self.squares, weights=self.lever)
        return float(np.hypot(*(_pooled(self.levels, self.lever)[0] - blur)))

    @property
    def size(self) -> float:
        return float(np.hypot(*self.delta))

    @property
    def significance(self) -> float:
        return self.size / self.sd

    @property
    def clear(self) -> bool:
        return self.significance >= _SIGNIFICANT_SDS * self.doubt

    @property
    def doubt(self) -> float:
        """By how much more is asked of few tiles."""
        return 1 + _FEW_TILES / self.tiles

    def axes_px(self, sigma_px: float) -> tuple[float, float]:
        """Blur along the long and the short axis, whose product is ``sigma_px ** 2``."""
        # long^2 - short^2 = 2 delta
        root = math.hypot(self.size, sigma_px**2)
        return math.sqrt(root + self.size), math.sqrt(root - self.size)


def _pooled_anisotropy(
    second: Array, loud: Array, reach: float, shape: tuple[int, int]
) -> _Anisotropy | None:
    """None where too few tiles have enough readable rings."""
    slopes, levels, squares, lever = _split(second, loud, reach, shape)
    if len(slopes) < FEWEST_TILES:
        return None
    delta, sd = _pooled(slopes, lever)
    return _Anisotropy(delta * _DISC, sd * _DISC, levels, squares, lever)


def _second_harmonic(polar: Array, noise: Array) -> tuple[Array, Array]:
    """Anisotropy of the logarithm of each tile's spectrum, by ring (n, RINGS, 2), and where it is signal."""
    power = polar.reshape(-1, RINGS, SECTORS).astype(np.float64)
    loud = power.mean(axis=2) > _SIGNAL * noise[:, None]
    signal = np.log(np.maximum(power - noise[:, None, None], 0.15 * noise[:, None, None] + 1e-9))
    angle = (np.arange(SECTORS) + 0.5) * 2 * np.pi / SECTORS
    return signal @ np.stack([np.cos(angle), np.sin(angle)], axis=1) * (2 / SECTORS), loud


def _split(
    second: Array, loud: Array, reach: float, shape: tuple[int, int]
) -> tuple[Array, Array, Array, Array]:
    """Each tile's anisotropy in two parts.

    Returns
    -------
    slopes, levels, squares, lever
        (m, 2) ``delta (cos 2 phi, sin 2 phi)`` in square pixels; (m, 2) its anisotropy in the middle of the
        rings; (m,) where that is, as minus the square of the angular frequency; (m,) weight of a slope.
    """
    k = (np.array(EDGES[1:]) + np.array(EDGES[:-1])) / 2
    readable = (_counts(shape) > 0) & (2 * math.pi * k < reach)
    lowest = int(np.argmax(_counts(shape) > 0))
    used = np.zeros(loud.shape, bool)
    used[:, lowest:] = np.cumprod(loud[:, lowest:] & readable[lowest:], axis=1).astype(bool)
    weight = used * _counts(shape)
    square = -((2 * np.pi * k) ** 2)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    middle = (weight * square).sum(axis=1, keepdims=True) / total
    centred = square - middle
    lever = (weight * centred**2).sum(axis=1)
    slope = ((weight * centred)[:, :, None] * second).sum(axis=1) / np.maximum(lever, 1e-12)[:, None]
    level = (weight[:, :, None] * second).sum(axis=1) / total
    enough = used.sum(axis=1) >= _FEWEST_RINGS
    return slope[enough], level[enough], middle[enough, 0], lever[enough]


def _pooled(deltas: Array, lever: Array) -> tuple[Array, float]:
    """Robust mean over tiles, and its standard deviation along its own direction."""
    # No tile counts for more than its neighbours, however much contrast it has: content is what errs.
    weight = lever / (1 + lever / median(lever))
    pull = weight
    mean = pull @ deltas / pull.sum()
    # Called for every region and reach of a frame, on few tiles: what costs is the number of calls.
    for _ in range(10):
        away = deltas - mean
        distance = np.hypot(away[:, 0], away[:, 1])
        scale = median(distance) / 1.18 + 1e-9
        pull = weight / np.maximum(1, distance / (1.5 * scale))
        mean = pull @ deltas / pull.sum()
    scatter = (deltas - mean) * pull[:, None]
    covariance = scatter.T @ scatter / pull.sum() ** 2
    unit = mean / max(float(np.hypot(*mean)), 1e-12)
    return mean, math.sqrt(float(unit @ covariance @ unit) + 1e-12)


def _told(sigma: float, found: _Anisotropy, scale: int) -> Astigmatism:
    share = _LEAST_SHARE + _LEAST_SHARE_OF_CONTENT * found.content
    least_px2 = _LEAST_PX2 if sigma * scale >= _SHARP_PX else _LEAST_SHARP_PX2
    if not found.clear or found.size < max(share * sigma**2, least_px2 * _DISC / scale**2):
        certain = found.size + 2 * found.sd * found.doubt < _ROUND_SHARE * sigma**2
        kind: Kind = "round" if certain else "cannot_tell"
        return Astigmatism(kind, significance=found.significance, tiles=found.tiles)
    long_px, short_px = (scale * axis for axis in found.axes_px(sigma))
    direction = math.degrees(0.5 * math.atan2(float(found.delta[1]), float(found.delta[0]))) % 180
    least_px = scale * found.axes_px(sigma * _AS_READ)[1]
    sharp_across = least_px < _SHARP_PX or least_px < min(_NEARLY_SHARP_PX, _THIN * long_px)
    kind = "smear" if sharp_across else "astigmatism"
    return Astigmatism(kind, long_px, short_px, direction, found.significance, found.tiles)
