"""What is measured of a run, and what is known of it before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEEPNESS_PX_PER_UM = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame of a run: when, where, how blurred.

    ``z_um`` is 0 in all samples of a run whose coordinate is unknown; ``relative_sd`` is that of the blur.
    """

    at_s: float
    z_um: float
    sigma_px: float
    relative_sd: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Mean and standard deviation."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Belief:
    """What is known of a run before its window: ``ln sigma_0`` (px), ``ln k`` (px/um), and focus (um).

    ``focus_um`` is the place of focus at the window's first frame; None where it is not known.
    """

    ln_floor: Normal = Normal(math.log(0.8), 0.5)  # 0.6 px is a frame as sharp as its pixels, see focus.md
    ln_steepness: Normal = Normal(math.log(_STEEPNESS_PX_PER_UM), 3.0)  # three orders of magnitude each way
    focus_um: Normal | None = None


def mixed(parts: Sequence[tuple[float, Normal]]) -> Normal:
    """Mean and spread of a mixture of shares that add up to 1."""
    mean = sum(share * part.mean for share, part in parts)
    square = sum(share * (part.sd**2 + (part.mean - mean) ** 2) for share, part in parts)
    return Normal(mean, math.sqrt(square))
