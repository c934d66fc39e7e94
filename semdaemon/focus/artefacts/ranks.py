"""A median filter: it puts out values of its own input, so neighbours are often equal, and only neighbours.

How often two pixels are equal is compared with how often they are nearly equal, next to each other against
three apart, where the windows of a 3 x 3 filter no longer share a pixel.
Content, noise of any colour, dose and rounding change all of these alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semdaemon.focus.artefacts.periods import some_lines
from semdaemon.frame import Pixels

_LINES = 128
_LONGEST_PX = 1024
_SHORTEST_PX = 32
_APART = 3
_LEVELS = 64
"""Larger differences are counted together."""

_LEAST_SHARE = 1e-3
"""Of equal pixels; fewer are too few to compare."""

_REPEATED = 1.6
"""The 91 training frames as they are reach 1.29, at 10 to 4000 electrons per pixel 1.09; after a 3 x 3 median
all but two are above 2.4."""


def median_filtered(image: Pixels) -> bool:
    """True where a rank filter put out the pixels, (h, w) of whole numbers of 8 or 16 bits; else false."""
    if image.dtype not in (np.uint8, np.uint16) or min(image.shape) < _SHORTEST_PX:
        return False
    return min(repetition(some_lines(each[:, :_LONGEST_PX], _LINES)) for each in (image, image.T)) > _REPEATED


def repetition(lines: Pixels) -> float:
    """How much oftener neighbours along the last axis are equal than near equality explains; about 1."""
    signed = lines.astype(np.int32)
    near = _shares(signed[:, 1:] - signed[:, :-1])
    far = _shares(signed[:, _APART:] - signed[:, :-_APART])
    # Up to where differences three apart are three times as frequent as equality: the levels beside it,
    # however far apart the detector's electrons or a stretched contrast put them.
    wide = int(np.searchsorted(np.cumsum(far), 3 * max(float(far[0]), _LEAST_SHARE))) + 1
    if wide > _LEVELS:
        return 1.0  # hardly anything but flat areas, or but noise of many levels
    beside = far[1:wide].sum(), near[1:wide].sum()
    equal = float(near[0]) / max(float(far[0]), _LEAST_SHARE)
    return equal * float(beside[0]) / max(float(beside[1]), 1e-3 * float(beside[0]), 1e-12)


def _shares(differences: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Share of each size of difference, 0 to `_LEVELS`."""
    counts = np.bincount(np.minimum(np.abs(differences), _LEVELS).ravel(), minlength=_LEVELS + 1)
    return np.asarray(counts / differences.size, np.float64)
