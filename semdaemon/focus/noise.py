"""How noisy a frame is, and how many electrons that speaks of, from the frame itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.focus.median import median
from semdaemon.frame import FloatImage, Pixels

_SD_OF_MEDIAN = 1.4826
_BRIGHTNESSES = 12
_MOST_PIXELS = 400_000
_LEAST_PIXELS = 2_000
_BLOCK_PX = 2**15
"""Lines of so many pixels are looked at together: what is computed from them stays in the cache."""

_LEAST_AGREEMENT = 0.75
_LEAST_UNSATURATED = 0.8

Figures = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Noise of one frame.

    Attributes
    ----------
    sd
        Standard deviation at middling brightness, in grey levels.
    electrons_per_px
        Electrons counted there in a pixel, from how the variance rises with brightness; None where it does
        not clearly rise, as in a frame of one brightness or one that was filtered.
    """

    sd: float
    electrons_per_px: float | None


def noise_of(image: Pixels) -> Noise | None:
    """Noise of an image area (h, w), any real dtype; None where it is too small or mostly saturated.

    Second differences along the slow axis, where a detector's noise is white: smooth content is gone from
    them and edges are few; their median size at each brightness is the noise there.
    """
    brightness, bend, unsaturated = _bends(image)
    if bend.size < _LEAST_PIXELS:
        return None
    rows = [
        (median(bright), median(bends))
        for bright, bends in _by_brightness(brightness, bend)
        if bright.size >= _LEAST_PIXELS / _BRIGHTNESSES / 4
    ]
    mean, size = np.array(rows).T
    variance = (_SD_OF_MEDIAN * size) ** 2 / 6
    electrons = counted(mean, variance) if unsaturated >= _LEAST_UNSATURATED else None
    return Noise(float(np.sqrt(np.median(variance))), electrons)


def counted(mean: Figures, variance: Figures) -> float | None:
    """Electrons per pixel at the median brightness, from noise variances at several brightnesses.

    Counting gives ``variance = gain * (brightness - black)``: the slope of the line through them (Theil and
    Sen's, so that one brightness full of texture does not tilt it) is the grey levels that an electron makes.
    """
    i, j = np.triu_indices(len(mean), 1)
    far = np.abs(mean[i] - mean[j]) > 0.25 * np.ptp(mean)
    if far.sum() < _BRIGHTNESSES or np.ptp(mean) < 2 * np.sqrt(np.median(variance)) / _BRIGHTNESSES:
        return None
    slopes = (variance[i] - variance[j])[far] / (mean[i] - mean[j])[far]
    gain = float(np.median(slopes))
    if gain <= 0 or float(np.mean(slopes > 0.3 * gain)) < _LEAST_AGREEMENT:
        return None
    return float(np.median(variance)) / gain**2


def _by_brightness(brightness: FloatImage, bend: FloatImage) -> Iterator[tuple[FloatImage, FloatImage]]:
    """Both by equal shares of brightness; pixels that are equally bright all go to the brighter one."""
    ordered = np.sort(brightness)
    shares = np.linspace(0, 1, _BRIGHTNESSES + 1)[1:-1]
    edges = ordered[np.ceil(shares * (ordered.size - 1)).astype(int)]
    share = np.zeros(brightness.size, np.uint8)
    for edge in edges:
        share += brightness >= edge
    ends = [0, *np.searchsorted(ordered, edges).tolist(), ordered.size]
    for number, (first, last) in enumerate(pairwise(ends)):
        yield ordered[first:last], bend[share == number]


def _bends(image: Pixels) -> tuple[FloatImage, FloatImage, float]:
    """Local brightness of unsaturated pixels, size of the second difference there, and their share."""
    if min(image.shape) < 3:
        return np.zeros(0, np.float32), np.zeros(0, np.float32), 0.0
    step = max(1, round((image.size / _MOST_PIXELS) ** 0.5))
    rows = np.arange(0, image.shape[0] - 2, step)
    at_once = max(1, _BLOCK_PX // image.shape[1])
    extremes = image.min(), image.max()
    blocks = [rows[start : start + at_once] for start in range(0, rows.size, at_once)]
    parts = [_bends_below(image, block, extremes) for block in blocks]
    brightness, bend = (np.concatenate(part) for part in zip(*parts, strict=True))
    share = bend.size / (rows.size * image.shape[1])
    return np.ascontiguousarray(brightness[::step]), np.ascontiguousarray(bend[::step]), share


def _bends_below(
    image: Pixels, rows: npt.NDArray[np.intp], extremes: tuple[Any, Any]
) -> tuple[FloatImage, FloatImage]:
    """The first two of `_bends` for the lines that begin with some rows."""
    grey = image[rows[:, None] + np.arange(3)].astype(np.float32)  # (rows, 3, w)
    bend = np.abs(grey[:, 0] - 2 * grey[:, 1] + grey[:, 2])
    # 1 1 1 does not feel 1 -2 1: where noise is white the brightness does not know of the bend.
    brightness = ndimage.uniform_filter1d(grey.mean(axis=1), 9, axis=1)
    low, high = extremes
    fit = ((grey > low) & (grey < high)).all(axis=1)
    return brightness[fit], bend[fit]


def noise_json(noise: Noise | None) -> dict[str, float | None]:
    """``noise_sd`` and ``electrons_per_px`` to three digits, as they are told everywhere."""
    figures = (None, None) if noise is None else (noise.sd, noise.electrons_per_px)
    rounded = (None if figure is None else float(f"{figure:.3g}") for figure in figures)
    return dict(zip(("noise_sd", "electrons_per_px"), rounded, strict=True))
