"""An electron probe by wave optics: what another generator than training's blurs with.

The pupil is a disc of the convergence angle with phase
``2 pi (W20 r^2 + W40 r^4 + W22 r^2 cos 2(phi - phi0))``: defocus, spherical aberration and two-fold
astigmatism, in waves at the pupil's edge. Its Fourier transform squared is the coherent probe (Born and Wolf,
Principles of Optics, chapter 9; Kirkland, Advanced Computing in Electron Microscopy, chapter 3).
The energy spread of the source mixes probes of neighbouring defocus; the source's image is a Gaussian.
Training knows even discs and Gaussians only: this probe has fringes, a bright edge or core by the sign of
the defocus, and a caustic where it is astigmatic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft, optimize

from semdaemon.training import degrade

Image = npt.NDArray[np.float32]

FIELD_PX = 64
_FINE = 6
"""Samples per pixel: the probe has no frequency beyond twice the pupil's edge, which is at most 2.6."""

_KERNEL_HALF_PX = 24
_MTF_LEVEL = 0.5
_MOST_WAVES = 40.0


@dataclass(frozen=True)
class Probe:
    """An electron probe.

    Attributes
    ----------
    cutoff
        Edge of the pupil, cycles per pixel: convergence angle over wavelength, times the pixel's side.
    defocus, spherical, astigmatism
        Waves at the pupil's edge (W20, W40, W22).
    azimuth_rad
        Direction of the astigmatism.
    energy_spread
        Standard deviation of the defocus by the source's energy spread, in waves.
    source_px
        Sigma of the source's image, pixels.
    """

    cutoff: float
    defocus: float
    spherical: float
    astigmatism: float
    azimuth_rad: float
    energy_spread: float
    source_px: float

    def kernel(self) -> Image:
        """The probe integrated over pixels: odd, square, sum 1."""
        size = FIELD_PX * _FINE
        frequency = fft.fftfreq(size, 1 / _FINE)
        x, y = frequency[None] / self.cutoff, frequency[:, None] / self.cutoff
        radius2 = x * x + y * y
        inside = radius2 <= 1
        angle = np.arctan2(y, x) - self.azimuth_rad
        steady = self.spherical * radius2**2 + self.astigmatism * radius2 * np.cos(2 * angle)
        fine = np.zeros((size, size))
        # three-point Gauss-Hermite rule over the energy spread
        for offset, weight in ((-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6)):
            waves = steady + (self.defocus + offset * self.energy_spread) * radius2
            field = np.where(inside, np.exp(2j * np.pi * waves), 0).astype(np.complex64)
            fine += weight * np.abs(fft.ifft2(field)) ** 2
        return self._on_pixels(fine)

    def _on_pixels(self, fine: npt.NDArray[np.float64]) -> Image:
        """The source's image and the pixel's area, both multiplied in the frequency domain."""
        frequency = fft.fftfreq(fine.shape[0], 1 / _FINE)
        line = np.exp(-2 * (np.pi * self.source_px * frequency) ** 2) * np.sinc(frequency)
        smooth = fft.ifft2(fft.fft2(fine) * line[:, None] * line[None]).real
        sampled = np.roll(smooth[::_FINE, ::_FINE], (_KERNEL_HALF_PX, _KERNEL_HALF_PX), (0, 1))
        side = 2 * _KERNEL_HALF_PX + 1
        kernel = np.clip(sampled[:side, :side], 0, None)
        return np.asarray(kernel / kernel.sum(), np.float32)


def drawn_probe(radius_px: float, rng: np.random.Generator) -> Probe:
    """A probe with drawn aberrations whose defocus gives it an equivalent radius (`equivalent_radius_px`)."""
    probe = Probe(
        cutoff=float(rng.uniform(0.7, 1.3)),
        defocus=0.0,
        spherical=float(rng.uniform(-0.35, 0.35)),
        astigmatism=float(rng.uniform(0, 0.12) * radius_px),
        azimuth_rad=float(rng.uniform(0, math.pi)),
        energy_spread=float(rng.uniform(0.02, 0.2)),
        source_px=float(rng.uniform(0.15, 0.45)),
    )
    side = 1.0 if rng.random() < 0.5 else -1.0

    def excess(waves: float) -> float:
        return equivalent_radius_px(replace(probe, defocus=side * waves).kernel()) - radius_px

    if excess(0.0) >= 0:
        return probe
    # geometrical optics: the disc of defocus has radius 2 W20 / cutoff
    geometric = radius_px * probe.cutoff / 2
    low, high = 0.0, geometric
    while excess(high) < 0 and high < _MOST_WAVES:
        low, high = high, 1.3 * high
    waves = float(optimize.brentq(excess, low, high, xtol=0.01))
    return replace(probe, defocus=side * waves)


def equivalent_radius_px(kernel: npt.NDArray[np.floating]) -> float:
    """Radius of the even disc that halves contrast at the same frequency (MTF50, mean over directions).

    The second moment would not do: a wave-optical probe has far, faint fringes that dominate it.
    """
    return _HALF_CONTRAST_OF_DISC / max(half_contrast_frequency(kernel), 1e-6)


def half_contrast_frequency(kernel: npt.NDArray[np.floating]) -> float:
    """Lowest frequency, cycles per pixel, at which the mean transfer over directions falls to a half."""
    size = 256
    transfer = np.abs(fft.fft2(np.asarray(kernel, np.float64), (size, size)))
    frequency = np.hypot(fft.fftfreq(size)[:, None], fft.fftfreq(size)[None])
    ring = np.rint(frequency * size).astype(int)
    mean = np.bincount(ring.ravel(), transfer.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    mean = mean[: size // 2 + 1]
    below = np.flatnonzero(mean < _MTF_LEVEL)
    if not below.size:
        return 0.5
    last = int(below[0])
    share = (mean[last - 1] - _MTF_LEVEL) / (mean[last - 1] - mean[last])
    return float((last - 1 + share) / size)


@lru_cache(maxsize=16)
def matched_kernel(radius_px: float) -> Image:
    """Training's own probe of an equivalent radius: a disc, whose pixels are areas and blur a little too."""

    def excess(disc_px: float) -> float:
        return equivalent_radius_px(degrade.probe_kernel(disc_px)) - radius_px

    return degrade.probe_kernel(float(optimize.brentq(excess, 0.5, radius_px + 1, xtol=0.01)))


_HALF_CONTRAST_OF_DISC = 0.35254
"""``2 J1(z) / z = 1/2`` at z = 2.2151: contrast of a disc of radius R is halved at z / (2 pi R)."""
