"""The field's classical focus measures, under their names.

Each takes one grey image, shape (h, w) with h, w >= 3, any real dtype, the last axis being the fast-scan
one, and gives one float.
All but `siraf_sigma_px` rise with sharpness; none is comparable between materials, and all but `f4n` and
`siraf_sigma_px` rise with noise too.
They are cross-checks beside the learned estimator (`semdaemon.focus.sigma`), and what plugins build on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage, optimize

Image = npt.NDArray[Any]
Profile = npt.NDArray[np.float64]

SLOW_AXIS = 0
FAST_AXIS = 1


def variance_of_laplacian(image: Image) -> float:
    """Variance of the four-neighbour Laplacian, in squared grey levels.

    Pech-Pacheco et al., *Diatom autofocusing in brightfield microscopy*, ICPR 2000.
    """
    grey = _float(image)
    middle = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle
    return float(laplacian.var())


def tenengrad(image: Image) -> float:
    """Mean squared Sobel gradient, in squared grey levels.

    Tenenbaum, thesis, Stanford 1970; Krotkov, *Focusing*, Int. J. Computer Vision 1, 1988.
    """
    grey = _float(image)
    rows, cols = ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1)
    return float(np.mean(rows * rows + cols * cols))


def brenner(image: Image) -> float:
    """Mean squared difference of pixels two apart along the fast axis, in squared grey levels.

    Brenner et al., *An automated microscope for cytologic research*, J. Histochem. Cytochem. 24, 1976.
    """
    grey = _float(image)
    step = grey[:, 2:] - grey[:, :-2]
    return float(np.mean(step * step))


def normalised_variance(image: Image) -> float:
    """Variance over mean, in grey levels; 0 for an image whose mean is not positive.

    Groen, Young and Ligthart, *A comparison of different focus functions for use in autofocus
    algorithms*, Cytometry 6, 1985.
    """
    grey = _float(image)
    mean = float(grey.mean())
    return float(grey.var()) / mean if mean > 0 else 0.0


def vollath_f4(image: Image, *, axis: int = SLOW_AXIS) -> float:
    """``mean(f(x) f(x+1)) - mean(f(x) f(x+2))`` along one axis, in squared grey levels.

    Vollath, *Automatic focusing by correlative methods*, J. Microscopy 147, 1987 (function F4).
    Lag 0 does not occur in it, so white noise cancels; along the slow axis correlated detector noise
    cancels too.
    The mean is taken off first: it cancels in the ideal and leaves rounding errors in practice.
    """
    near, far = _autocovariance(image, axis)
    return near - far


def f4n(image: Image, *, axis: int = SLOW_AXIS) -> float:
    """Vollath's F4 normalised: ``(A(1) - A(2)) / A(1)``, about 0 (blurred) to 1 (sharp).

    ``A(k)`` is the autocovariance at lag k pixels.
    Invariant to gain, offset and white noise; NaN where A(1) is not positive (no signal) or a value is not
    finite.
    """
    unit = _unit(image)
    if unit is None:
        return math.nan
    near, far = _autocovariance(unit, axis)
    return (near - far) / near if near > 0 else math.nan


def siraf_sigma_px(image: Image) -> float:
    """Equivalent Gaussian blur in pixels from the shape of the image's own spectrum.

    Fits the radial mean of ``log(1 + |FFT|)`` of the Hann-windowed image, k from 0.01 to 0.5 cycles/px, by
    ``c + ln(1 + b / (k sqrt(2 pi)) exp(-2 (pi sigma k)^2))``: content falling as 1/k, blurred by a
    Gaussian, over white noise.
    Brostrøm and Mølhave, *Spatial image resolution assessment by Fourier analysis (SIRAF)*, Microscopy
    and Microanalysis 28, 2022.

    Returns
    -------
    float
        Between 0.1 px and the image's shorter side; NaN for a constant image and for values that are not
        finite.
    """
    profile = _radial_log_spectrum(image)
    if profile is None:
        return math.nan
    frequency, height = profile
    floor, rise = float(height[-len(height) // 5 :].mean()), float(height[0] - height.min())
    largest = float(min(image.shape))
    best = min(
        (_siraf_fit(frequency, height, floor, rise, start, largest) for start in (0.7, 2.0, 6.0)),
        key=lambda fit: fit[0],
    )
    return best[1]


def _siraf_fit(
    k: Profile, height: Profile, floor: float, rise: float, sigma_px: float, largest_px: float
) -> tuple[float, float]:
    """``(cost, sigma_px)`` of a least-squares fit from one starting blur."""

    def misfit(parameters: Profile) -> Profile:
        level, log_b, log_sigma = parameters
        decay = -2 * (np.pi * np.exp(log_sigma) * k) ** 2
        content = np.logaddexp(0, log_b - np.log(k * math.sqrt(2 * math.pi)) + decay)
        return np.asarray(level + content - height)

    start = [floor, rise + math.log(k[0] * math.sqrt(2 * math.pi)), math.log(sigma_px)]
    limits = ([-np.inf, -60.0, math.log(0.1)], [np.inf, 60.0, math.log(largest_px)])
    fit = optimize.least_squares(misfit, start, bounds=limits, max_nfev=60)
    return float(fit.cost), float(np.exp(fit.x[2]))


def _radial_log_spectrum(image: Image) -> tuple[Profile, Profile] | None:
    """Radial mean of the log spectrum on 64 rings: frequencies in cycles/px, and heights."""
    unit = _unit(image)
    if unit is None:
        return None
    grey = _float(unit)
    spread = float(grey.std())
    # The scale is arbitrary in the model but for the 1 in log(1 + |FFT|): a large one makes that vanish.
    grey = (grey - grey.mean()) * (100 / spread)
    rows, cols = (np.hanning(n).astype(np.float32) for n in grey.shape)
    spectrum = np.log1p(np.abs(fft.rfft2(grey * rows[:, None] * cols)))
    k = np.hypot(fft.fftfreq(grey.shape[0])[:, None], fft.rfftfreq(grey.shape[1]))
    edges = np.linspace(0.01, 0.5, 65)
    ring = np.digitize(k, edges) - 1
    inside = (ring >= 0) & (ring < 64)
    count = np.bincount(ring[inside], minlength=64)
    total = np.bincount(ring[inside], weights=spectrum[inside], minlength=64)
    filled = count > 0
    return ((edges[:-1] + edges[1:]) / 2)[filled], total[filled] / count[filled]


def _autocovariance(image: Image, axis: int) -> tuple[float, float]:
    """Autocovariance at lags 1 and 2 along an axis."""
    grey = _float(image)
    grey = np.moveaxis(grey - grey.mean(), axis, 0)
    near, far = grey[1:] * grey[:-1], grey[2:] * grey[:-2]
    return float(near.mean(dtype=np.float64)), float(far.mean(dtype=np.float64))


def _unit(image: Image) -> Image | None:
    """Grey levels stretched to [0, 1]; None for a constant image and where a value is not finite.

    Squares and sums of the largest floats overflow, those of the smallest vanish.
    """
    low, high = float(image.min()), float(image.max())
    half = high / 2 - low / 2  # the span itself may be more than a float holds
    if not math.isfinite(low + half) or half == 0:
        return None
    return np.asarray((image.astype(np.float64) / 2 - low / 2) / half, np.float32)


def _float(image: Image) -> npt.NDArray[np.float32]:
    if image.ndim != 2 or min(image.shape) < 3:
        raise ValueError(f"a focus measure needs a grey image of at least 3 x 3 pixels, not {image.shape}")
    return image.astype(np.float32)
