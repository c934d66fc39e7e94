"""The shape of the noise: white along the slow axis as a detector counts it, and not once worked over."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from semdaemon.focus.spectra import frequencies

Powers = npt.NDArray[np.float32]

BANDS = 7
CORNER, FAST, SLOW, ROWS, ROWS_BESIDE, FIELDS, FIELDS_BESIDE = range(BANDS)

_FILTERED = -0.4
_AVERAGED = -0.55
_ROUNDING = 1.5
_FOLDED = 0.11
"""Logarithm of the ratio; the highest of 91 sharp frames had 0.08."""
_FOLDED_BY_CHANCE = 0.3
"""What noise may add in a single tile; it falls with the root of their number. Without it, 1 to 10 % of sharp
and of blurred training frames cut to 256 pixels were named, with it none of 186."""
STREAKS = 6.5
"""Power of row means over power beside; 99 of 100 tiles of sharp frames stay below 2.8."""


@lru_cache(maxsize=4)
def bands(shape: tuple[int, int]) -> Powers:
    """Weights (frequencies, 7) for `semdaemon.focus.spectra.band_power`.

    The outermost corner; fast and slow frequencies near half a cycle per pixel, away from the axes (what
    stands along an axis lies on it); high slow frequencies of row means, and the same beside them; the slow
    frequencies next to half a cycle, to which two fields fold the picture, and those before them.
    """
    ky, kx = frequencies(shape)
    rows, cols = np.abs(ky), np.abs(kx)
    top = 0.499
    first = 1.5 / shape[1]
    masks = [
        (rows > 0.4) & (cols > 0.4) & (cols < top) & (rows < top),
        (cols > 0.42) & (cols < top) & (rows > 0.15) & (rows < 0.35),
        (rows > 0.42) & (rows < top) & (cols > 0.15) & (cols < 0.35),
        (rows > 0.35) & (cols < first),
        (rows > 0.35) & (cols > 0.1) & (cols < 0.4),
        (rows > 0.45) & (cols > 0.03) & (cols < 0.2),
        (rows > 0.3) & (rows < 0.4) & (cols > 0.03) & (cols < 0.2),
    ]
    flat = np.stack([mask.ravel() for mask in masks], axis=1).astype(np.float32)
    return np.asarray(flat / np.maximum(flat.sum(axis=0), 1), np.float32)


def noise_shape(power: Powers, step: float | None) -> list[str]:
    """Codes that follow from the noise of a frame.

    Parameters
    ----------
    power
        (n, 7) of the tiles that are not constant, in the bands of `bands`.
    step
        Smallest difference between grey levels, whose rounding has variance ``step**2 / 12``; None where
        there are too few levels to tell, or values are not rounded.
    """
    if not len(power):
        return []
    if step is not None and float(np.median(power[:, CORNER])) < _ROUNDING * step**2 / 12:
        return ["no_noise"]  # and nothing to say about its shape
    floor = np.log(np.maximum(power[:, :ROWS], 1e-30))
    if float(np.median(floor[:, SLOW] - floor[:, FAST])) < _AVERAGED:
        return ["lines_averaged"]
    if float(np.median(floor[:, CORNER] - floor[:, [FAST, SLOW]].min(axis=1))) < _FILTERED:
        return ["noise_filtered"]
    return []


def interlaced(power: Powers) -> bool:
    """True where the picture stands a second time at half a cycle per row, as two unlike fields make it."""
    if not len(power):
        return False
    folded = np.log(np.maximum(power[:, FIELDS], 1e-30) / np.maximum(power[:, FIELDS_BESIDE], 1e-30))
    return float(np.median(folded)) > _FOLDED + _FOLDED_BY_CHANCE / float(np.sqrt(folded.size))


def streaked(power: Powers) -> npt.NDArray[np.bool_]:
    """(n,) bool: row means jump from row to row by more than what stands beside them."""
    return np.asarray(power[:, ROWS] > STREAKS * np.maximum(power[:, ROWS_BESIDE], 1e-30))
