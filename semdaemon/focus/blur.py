"""The blur of a frame as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_INDEPENDENT_TILES = 16


@dataclass(frozen=True, slots=True)
class Blur:
    """The blur of a frame as a whole, for comparing it with the frames before.

    Taken over every tile whose blur is known, the undecided ones between sharp and blurred among them:
    over the decided tiles alone a median would jump across the gap that the verdicts leave.

    Attributes
    ----------
    sigma_px
        Median over the tiles, pixels.
    relative_sd
        Standard deviation of its logarithm, from the spread over the tiles.
    tiles
        How many tiles it is the median of.
    """

    sigma_px: float
    relative_sd: float
    tiles: int


def frame_blur(
    sigma_px: npt.NDArray[np.float32], relative_sd: npt.NDArray[np.float32], max_relative_sd: float
) -> Blur | None:
    """Median blur of the tiles whose blur is known; None where there is none.

    Tiles of one frame are no independent samples (one specimen, one instrument), so at most
    `_INDEPENDENT_TILES` of them count towards its uncertainty.
    """
    known = np.isfinite(sigma_px) & (relative_sd <= max_relative_sd)
    if not known.any():
        return None
    logarithms = np.log(sigma_px[known])
    middle = float(np.median(logarithms))
    # 1.4826 turns the median deviation of a bell curve into its standard deviation, sqrt(pi / 2) that of
    # its mean into that of its median.
    spread = 1.4826 * float(np.median(np.abs(logarithms - middle)))
    own = float(np.median(relative_sd[known]))
    count = min(int(known.sum()), _INDEPENDENT_TILES)
    return Blur(float(np.exp(middle)), max(spread, own) * float(np.sqrt(np.pi / 2 / count)), int(known.sum()))
