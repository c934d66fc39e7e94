"""What an electron probe out of focus, a finite dose and a detector do to a sharp image.

Optics first, then noise, then rounding: ``quantise(expose(blur(image, kernel), ...), 8)``.
The out-of-focus probe is a disc of radius ``alpha * |dz| / pixel`` convolved with the in-focus probe
(a Gaussian); per axis ``sigma_tot^2 = sigma0^2 + (R/2)^2``.
Images are float32 in [0, 1], shape (h, w); the fast-scan axis is the last one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage, signal, special

Image = npt.NDArray[np.float32]

_CHORDS_PER_PX = 32
"""Scan lines per pixel on which the disc's area is integrated; along each line the integral is exact."""

_DIRECT_TAPS = 49
"""Kernels up to this many taps are convolved directly; beyond it the FFT is faster on every size tried."""


def disc_kernel(radius_px: float, *, ellipticity: float = 1.0, angle_rad: float = 0.0) -> Image:
    """Uniform disc (or ellipse) of light, each pixel weighted by the area the disc covers of it.

    Parameters
    ----------
    radius_px
        Radius in pixels, >= 0; of the circle of equal area where elliptic.
        0 gives the 1 x 1 identity.
    ellipticity
        Long over short half axis, >= 1 (astigmatism).
    angle_rad
        Direction of the long axis, from the fast axis towards increasing rows.

    Returns
    -------
    float32 array, odd and square, sum 1.
    """
    if radius_px < 0 or ellipticity < 1:
        raise ValueError(f"radius_px must be >= 0 and ellipticity >= 1, not {radius_px} and {ellipticity}")
    long_px, short_px = radius_px * math.sqrt(ellipticity), radius_px / math.sqrt(ellipticity)
    half = max(0, math.ceil(long_px - 0.5))
    if half == 0:
        return np.ones((1, 1), np.float32)
    rows = (np.arange((2 * half + 1) * _CHORDS_PER_PX) + 0.5) / _CHORDS_PER_PX - half - 0.5
    begin, end = _chords(rows, long_px, short_px, angle_rad)
    edges = np.arange(2 * half + 2) - half - 0.5
    covered = np.clip(np.minimum(end[:, None], edges[1:]) - np.maximum(begin[:, None], edges[:-1]), 0, None)
    kernel = covered.reshape(2 * half + 1, _CHORDS_PER_PX, -1).sum(axis=1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _chords(
    rows: npt.NDArray[np.float64], long_px: float, short_px: float, angle_rad: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where each scan line enters and leaves the ellipse ``a x^2 + 2 b x y + c y^2 = 1``."""
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    a = (cosine / long_px) ** 2 + (sine / short_px) ** 2
    b = cosine * sine * (long_px**-2 - short_px**-2)
    c = (sine / long_px) ** 2 + (cosine / short_px) ** 2
    inside = (b * rows) ** 2 - a * (c * rows**2 - 1)
    half = np.sqrt(np.clip(inside, 0, None)) / a
    middle = -b * rows / a
    return middle - half, middle + half


def gaussian_kernel(sigma_px: float) -> Image:
    """The discrete Gaussian (Lindeberg 1990): variance exactly ``sigma_px**2`` at every sigma, sum 1.

    A sampled Gaussian is too narrow below about 0.7 px, and in-focus probes are there.
    """
    if sigma_px < 0:
        raise ValueError(f"sigma_px must be >= 0, not {sigma_px}")
    if sigma_px == 0:
        return np.ones((1, 1), np.float32)
    half = math.ceil(4 * sigma_px) + 1
    line = special.ive(np.abs(np.arange(-half, half + 1)), sigma_px**2)
    line /= line.sum()
    return np.asarray(np.outer(line, line), np.float32)


def probe_kernel(
    radius_px: float, sigma0_px: float = 0.0, ellipticity: float = 1.0, angle_rad: float = 0.0
) -> Image:
    """The whole probe: disc of defocus convolved with the in-focus Gaussian; odd, square, sum 1."""
    disc = disc_kernel(radius_px, ellipticity=ellipticity, angle_rad=angle_rad)
    if sigma0_px == 0:
        return disc
    kernel = signal.convolve(disc.astype(np.float64), gaussian_kernel(sigma0_px).astype(np.float64))
    kernel = np.clip(kernel, 0, None)
    return np.asarray(kernel / kernel.sum(), np.float32)


def equivalent_sigma_px(radius_px: float, sigma0_px: float = 0.0) -> float:
    """Standard deviation per axis, in pixels, of the probe: ``sqrt(sigma0^2 + (R/2)^2)``."""
    return math.hypot(sigma0_px, radius_px / 2)


def blur(image: Image, kernel: npt.NDArray[np.floating]) -> Image:
    """Convolve with a kernel of odd sides; borders are mirrored, so flat stays flat.

    Returns
    -------
    float32, same shape as ``image``.
    """
    if kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0:
        raise ValueError(f"a kernel needs odd sides, not {kernel.shape}")
    if kernel.size == 1:
        return np.asarray(image * kernel[0, 0], np.float32)
    if kernel.size <= _DIRECT_TAPS:
        return np.asarray(ndimage.convolve(np.asarray(image, np.float32), kernel, mode="reflect"), np.float32)
    return _blur_fft(image, kernel)


def _blur_fft(image: Image, kernel: npt.NDArray[np.floating]) -> Image:
    down, right = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(np.asarray(image, np.float32), ((down, down), (right, right)), mode="symmetric")
    size = [fft.next_fast_len(n, real=True) for n in padded.shape]
    spectrum = fft.rfft2(padded, size) * fft.rfft2(np.asarray(kernel, np.float32), size)
    # the circular wrap only reaches rows and columns that are cut away here
    full = fft.irfft2(spectrum, size)
    return np.asarray(full[2 * down : padded.shape[0], 2 * right : padded.shape[1]], np.float32)


def blur_varying(
    image: Image,
    radius_map_px: npt.NDArray[np.floating],
    *,
    sigma0_px: float = 0.0,
    ellipticity: float = 1.0,
    angle_rad: float = 0.0,
    levels: int = 4,
) -> Image:
    """Blur by a defocus that varies over the frame (a tilted or stepped sample).

    The frame is blurred at ``levels`` radii spread evenly over the map, and each pixel interpolates
    between its two neighbours.

    Parameters
    ----------
    image
        (h, w) float32 in [0, 1].
    radius_map_px
        (h, w), >= 0: disc radius at each pixel.
    """
    low, high = float(radius_map_px.min()), float(radius_map_px.max())
    if high - low < 1e-3:
        return blur(image, probe_kernel(low, sigma0_px, ellipticity, angle_rad))
    steps = np.linspace(low, high, levels)
    position = (radius_map_px - low) / (high - low) * (levels - 1)
    out = np.zeros(image.shape, np.float32)
    for index, radius_px in enumerate(steps):
        share = np.clip(1 - np.abs(position - index), 0, 1)
        out += share * blur(image, probe_kernel(float(radius_px), sigma0_px, ellipticity, angle_rad))
    return np.asarray(out, np.float32)


def expose(
    image: Image,
    electrons_per_px: float,
    rng: np.random.Generator,
    *,
    amplifier: float = 0.0,
    fast_axis_correlation: float = 0.0,
) -> Image:
    """Count electrons: Poisson noise, amplifier noise, and a detector too slow for the dwell time.

    Parameters
    ----------
    image
        (h, w) float32 in [0, 1].
    electrons_per_px
        Electrons counted at a pixel of value 1, > 0; the noise variance is ``image / electrons_per_px``.
    amplifier
        Standard deviation of the amplifier's white noise, as a share of full scale.
    fast_axis_correlation
        Correlation of the noise between neighbours of one line, 0 <= rho < 1 (first-order
        autoregressive along the last axis); its variance stays what the dose says.

    Returns
    -------
    float32, same shape, expectation ``image``; not clipped, `quantise` does that.
    """
    noisy = rng.poisson(np.clip(image, 0, None) * electrons_per_px) / electrons_per_px
    noise = (noisy - np.clip(image, 0, None)).astype(np.float32)
    if amplifier > 0:
        noise += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(amplifier)
    if fast_axis_correlation > 0:
        noise = _correlate(noise, fast_axis_correlation)
    return np.asarray(image + noise, np.float32)


def _correlate(noise: Image, rho: float) -> Image:
    gain = math.sqrt(1 - rho * rho)
    start = (1 - gain) * noise[:, :1]  # the first column has the full variance too
    shaped, _ = signal.lfilter([gain], [1.0, -rho], noise, axis=1, zi=start)
    return np.asarray(shaped, np.float32)


def quantise(image: Image, bits: int) -> Image:
    """Clip to [0, 1] and round to ``2**bits`` levels, as a file with that many bits stores it; float32."""
    top = np.float32(2**bits - 1)
    return np.asarray(np.rint(np.clip(image, 0, 1) * top) / top, np.float32)
