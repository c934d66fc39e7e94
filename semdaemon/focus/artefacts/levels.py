"""How many grey levels a frame uses, and how far apart they stand."""

from __future__ import annotations

import numpy as np

from semdaemon.frame import Pixels

FEW = 32
TOO_FEW = 6
_SAMPLE_PX = 250_000


def grey_levels(image: Pixels) -> tuple[int, float | None]:
    """``(number of levels, smallest step)`` of a sample of the pixels; the step is None for floats."""
    stride = max(1, int(np.sqrt(image.size / _SAMPLE_PX)))
    sample = image[::stride, ::stride]
    if sample.dtype == np.uint8:
        used = np.flatnonzero(np.bincount(sample.ravel(), minlength=256))
    else:
        used = np.unique(sample)
    if not np.issubdtype(image.dtype, np.integer) or used.size < 2:
        return int(used.size), None
    return int(used.size), float(np.diff(used.astype(np.int64)).min())
