"""One degraded crop with everything that an oracle may know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Degraded:
    """What is refocused, and what an oracle is told.

    Attributes
    ----------
    seen, sharp
        What the microscope gave, and the truth; (h, w) float32 in [0, 1].
    kernel
        The probe, odd and square, sum 1; of middling strength where it varies over the crop.
    parts
        Where the probe varies: probes, each with its share of every pixel (h, w); shares sum to 1.
    in_focus
        (h, w) bool where a part of the crop was left sharp, else None.
    """

    seen: Image
    sharp: Image
    kernel: Image
    parts: tuple[tuple[Image, Image], ...] = ()
    in_focus: npt.NDArray[np.bool_] | None = None


Method = Callable[[Degraded], Image]
