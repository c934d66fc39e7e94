"""How close a picture is to the truth; images are (h, w) float32 in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Image = npt.NDArray[np.float32]


def psnr_db(image: Image, sharp: Image) -> float:
    """Peak signal to noise ratio in decibels for a range of 1; ``image`` is clipped to [0, 1]."""
    error = float(np.mean((np.clip(image, 0, 1).astype(np.float64) - sharp) ** 2))
    return -10 * math.log10(max(error, 1e-12))


def ssim(image: Image, sharp: Image) -> float:
    """Structural similarity (Wang et al. 2004), Gaussian window of 1.5 px, range 1."""
    x, y = image.astype(np.float64), sharp.astype(np.float64)

    def mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(ndimage.gaussian_filter(values, 1.5, truncate=3.5))

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return float(np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))))
