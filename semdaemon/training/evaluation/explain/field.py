"""How far a network looks: the filter that it is, on average, about one pixel of its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.training.evaluation.explain.network import Network, degraded
from semdaemon.training.evaluation.explain.returning import CROP_PX
from semdaemon.training.evaluation.scenes import Scene

Image = npt.NDArray[np.float32]

RADII_PX = (0.0, 2.0, 4.0, 6.0)
DOSE = 400.0
HOLDS = 0.9
_PER_SCENE = 4


@dataclass(frozen=True)
class Field:
    """Gradient of a pixel of the result with respect to the input, averaged over places.

    Attributes
    ----------
    filter
        (n, n) float32, n odd: mean gradient about the pixel. What the network does to its input, taken as one
        linear filter; for a denoiser a blob, for a refocuser a peak with a negative ring.
    share
        (n // 2 + 1,): share of the mean absolute gradient within each radius, pixels 0 to n // 2.
    radius_px
        Radius that holds 90 % of it: the effective receptive field (Luo, Li, Urtasun and Zemel 2016).
    """

    radius_px_of_blur: float
    electrons_per_px: float
    filter: Image
    share: npt.NDArray[np.float64]
    radius_px: float


def field(network: Network, scenes: Sequence[Scene], blur_radius_px: float, *, seed: int = 0) -> Field:
    """The average filter and how far it reaches, over scenes out of focus by one disc."""
    rng = np.random.default_rng(seed)
    signed, absolute = [], []
    for number, scene in enumerate(scenes):
        case = degraded(scene, blur_radius_px, DOSE, network.spec, crop_px=CROP_PX, seed=seed + number)
        half = (min(case.seen.shape) - 1) // 2 - 2 * network.spec.multiple
        for _ in range(_PER_SCENE):
            # A folded pyramid treats pixels of different phase differently: every phase has its turn.
            row, column = (
                side // 2 + int(rng.integers(-half // 8, half // 8 + 1)) for side in case.seen.shape
            )
            around = _about(network.gradient(case.seen, row, column), row, column, half - half // 8)
            signed.append(around)
            absolute.append(np.abs(around))
    share = share_within(np.mean(absolute, axis=0))
    return Field(
        blur_radius_px, DOSE, np.mean(signed, axis=0, dtype=np.float32), share, radius_holding(share, HOLDS)
    )


def share_within(weights: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Share of a square's sum that lies within each whole radius of its middle, up to its half side."""
    half = weights.shape[0] // 2
    distance = np.hypot(*np.mgrid[-half : half + 1, -half : half + 1])
    ring = np.ceil(distance - 1e-9).astype(int).ravel()
    sums = np.bincount(ring, weights.ravel().astype(np.float64))
    return np.asarray(np.cumsum(sums)[: half + 1] / sums.sum())


def radius_holding(share: npt.NDArray[np.float64], level: float) -> float:
    """Radius within which a cumulated share reaches a level, between whole pixels."""
    n = int(np.argmax(share >= level))
    if n == 0:
        return 0.0 if share[0] >= level else float(len(share) - 1)
    return float(n - 1 + (level - share[n - 1]) / (share[n] - share[n - 1]))


def _about(gradient: Image, row: int, column: int, half: int) -> Image:
    return gradient[row - half : row + half + 1, column - half : column + half + 1]
