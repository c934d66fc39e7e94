"""The median of finite numbers, without what numpy spends on other cases."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt


def median(values: npt.NDArray[Any]) -> float:
    """As `numpy.median` of (n,) numbers, n at least 1, none of them NaN.

    numpy looks for NaN and for both middle values; one partition is several times faster, for few numbers
    and for many.
    """
    half = values.size // 2
    parted = values.copy()
    parted.partition(half)
    upper = float(parted[half])
    return upper if values.size % 2 else (float(parted[:half].max()) + upper) / 2
