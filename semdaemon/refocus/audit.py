"""Does the frame support what the network made of it?

The refocused picture is blurred again with the estimated blur and compared with the frame.
What is left over must be the frame's own noise; structure in it was invented or lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from semdaemon.frame import FloatImage

# Blur is known to a few per cent only, and its shape lies between a disc and a Gaussian:
# the best of these is what the frame supports.
SIGMA_FACTORS = (0.8, 0.9, 1.0, 1.12, 1.25)
IN_FOCUS_SIGMA_PX = 0.6
_SMOOTH_PX = 5


@dataclass(frozen=True, slots=True)
class Audit:
    """Result for one tile or region.

    Attributes
    ----------
    unexplained
        Root of (structured residual power / structured power of the frame), at least 0;
        0 means that re-blurring explains the frame up to noise, 1 that it explains nothing.
    noise
        Standard deviation of the frame's noise, in units of its intensity range.
    """

    unexplained: float
    noise: float


def disc(radius_px: float) -> npt.NDArray[np.float32]:
    """Uniform disc, edge pixels by their covered share (approximated by distance), sum 1."""
    half = int(np.ceil(radius_px + 0.5))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    kernel = np.clip(radius_px + 0.5 - np.hypot(x, y), 0.0, 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def reblur(image: FloatImage, sigma_px: float, *, shape: str = "disc") -> FloatImage:
    """Blur a refocused picture as the frame was, by its equivalent Gaussian sigma.

    A defocused probe is a disc of radius ``R = 2 sqrt(sigma^2 - sigma0^2)`` over the in-focus probe
    (sigma0 about 0.6 px in a sharp frame, which the refocused picture still has).
    """
    added = float(np.sqrt(max(sigma_px**2 - IN_FOCUS_SIGMA_PX**2, 0.0)))
    if added < 0.2:
        return image
    if shape == "gaussian":
        return np.asarray(ndimage.gaussian_filter(image, added, mode="reflect"), np.float32)
    kernel = disc(2.0 * added)
    half = kernel.shape[0] // 2
    wide = np.pad(image, half, mode="symmetric" if min(image.shape) > half else "edge")
    return np.asarray(signal.fftconvolve(wide, kernel, mode="valid"), np.float32)


def noise_sd(image: FloatImage) -> float:
    """White-noise standard deviation of an image, by the median of its diagonal second differences.

    The mask [[1, -2, 1], [-2, 4, -2], [1, -2, 1]] cancels planes and most edges
    (Immerkaer, Computer Vision and Image Understanding 64, 300, 1996); the median instead of the mean
    absolute value keeps the edges that remain from counting as noise.
    """
    inner = image[:-2] - 2.0 * image[1:-1] + image[2:]
    response = inner[:, :-2] - 2.0 * inner[:, 1:-1] + inner[:, 2:]
    return float(np.median(np.abs(response)) / 0.6745 / 6.0)


def audit(frame: FloatImage, refocused: FloatImage, sigma_px: float, *, margin_px: int = 0) -> Audit:
    """Compare a frame with its refocused picture blurred again.

    Parameters
    ----------
    frame, refocused
        (h, w) float32 of the same place, in units of the frame's intensity range.
    sigma_px
        Estimated equivalent Gaussian blur of the frame there, pixels.
    margin_px
        Border left out of the comparison (context for the blur).

    Notes
    -----
    Both sides are smoothed by a 5-px box first: white noise falls to a fifth, structure as wide as the blur
    stays.  The noise that remains is known (``noise / 5``) and subtracted from both powers.
    """
    inner = (slice(margin_px, frame.shape[0] - margin_px), slice(margin_px, frame.shape[1] - margin_px))
    noise = noise_sd(frame[inner])
    floor = noise**2 / _SMOOTH_PX**2
    seen = _smooth(frame)[inner]
    contrast = max(float(np.var(seen)) - floor, 1e-8)
    best = min(
        float(np.mean((_smooth(reblur(refocused, sigma_px * factor, shape=shape))[inner] - seen) ** 2))
        for factor in SIGMA_FACTORS
        for shape in ("disc", "gaussian")
    )
    # A residual within a few standard errors of pure noise counts as noise: few samples are independent.
    independent = max(1.0, seen.size / _SMOOTH_PX**2)
    allowed = floor * (1.0 + 3.0 * np.sqrt(2.0 / independent))
    return Audit(float(np.sqrt(max(best - allowed, 0.0) / contrast)), noise)


def _smooth(image: FloatImage) -> FloatImage:
    return np.asarray(ndimage.uniform_filter(image, _SMOOTH_PX, mode="reflect"), np.float32)
