"""Classical restoration with a known probe: each method as a path from smooth to rough.

A path yields restored pictures in the order in which its parameter lets more detail and noise through.
Who chooses the place on the path decides what a method knows: the truth (`classical`) or the noise (`blind`).
Pictures are (h, w) float32 in [0, 1]; what a path yields still has the mirrored border of `Prepared`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from semdaemon.training.evaluation.case import Image

Spectrum = npt.NDArray[np.complex64]
Path = Iterator[Image]

_LEAST_MARGIN_PX = 20
_TINY = np.float32(1e-9)


@dataclass(frozen=True)
class Prepared:
    """A picture ready for circular deconvolution.

    Attributes
    ----------
    padded
        The picture within a mirrored border, so that the circular transform sees no jump at the edge;
        sides are sizes that the FFT is fast on.
    transfer, frequency
        Transfer function of the probe, and |k| in cycles per pixel, both on the half plane of ``rfft2``.
    corner, shape
        Where the picture begins in ``padded``, and its own shape.
    """

    padded: Image
    transfer: Spectrum
    frequency: Image
    corner: tuple[int, int]
    shape: tuple[int, int]

    def cut(self, padded: Image) -> Image:
        """The picture without its border."""
        (top, left), (h, w) = self.corner, self.shape
        return padded[top : top + h, left : left + w]

    def reblurred(self, padded: Image) -> Image:
        """A restored picture seen through the probe again."""
        return self.inverse(self.forward(padded) * self.transfer)

    def forward(self, padded: Image) -> Spectrum:
        return np.asarray(fft.rfft2(padded), np.complex64)

    def inverse(self, spectrum: Spectrum) -> Image:
        return np.asarray(fft.irfft2(spectrum, self.padded.shape), np.float32)

    def transfer_of(self, kernel: npt.NDArray[np.floating]) -> Spectrum:
        return _transfer(kernel, self.padded.shape)


def prepare(seen: Image, kernel: Image) -> Prepared:
    """Mirror the border out and transform the probe."""
    sizes = [fft.next_fast_len(n + 2 * _LEAST_MARGIN_PX, real=True) for n in seen.shape]
    pads = [((size - n) // 2, size - n - (size - n) // 2) for size, n in zip(sizes, seen.shape, strict=True)]
    padded = np.pad(seen, pads, mode="symmetric")
    frequency = np.hypot(fft.fftfreq(sizes[0])[:, None], fft.rfftfreq(sizes[1])[None])
    height, width = seen.shape
    return Prepared(
        padded,
        _transfer(kernel, padded.shape),
        np.asarray(frequency, np.float32),
        (pads[0][0], pads[1][0]),
        (height, width),
    )


def wiener(at: Prepared, *, power: int = 2) -> Path:
    """``conj(H) / (|H|^2 + a |k|^power)``, the weight ``a`` falling."""
    spectrum = at.forward(at.padded) * np.conj(at.transfer)
    strength = np.abs(at.transfer) ** 2 + _TINY
    roughness = at.frequency**power
    for weight in np.geomspace(1e3, 1e-4, 29, dtype=np.float32):
        yield at.inverse(spectrum / (strength + weight * roughness))


def richardson_lucy(at: Prepared, *, iterations: int = 300) -> Path:
    """Richardson-Lucy from a flat start, one picture an iteration: noise grows as they go on."""
    seen = np.clip(at.padded, 1e-4, None)
    estimate: Image = np.full_like(seen, seen.mean())
    back = np.conj(at.transfer)
    for _ in range(iterations):
        ratio = np.asarray(seen / np.clip(at.reblurred(estimate), 1e-4, None), np.float32)
        estimate = np.clip(estimate * at.inverse(at.forward(ratio) * back), 0, 2)
        yield estimate


def total_variation(at: Prepared, *, iterations: int = 12) -> Path:
    """Total variation deconvolution: ``|H u - seen|^2 / 2 + w TV(u)``, the weight ``w`` falling.

    Alternating directions (Wang, Yang, Yin, Zhang 2008); each weight starts from the last one's result.
    """
    steps = [at.transfer_of(np.array(k, np.float32)) for k in (_DIFFERENCE_DOWN, _DIFFERENCE_RIGHT)]
    smoothness = np.asarray(sum(np.abs(step) ** 2 for step in steps), np.float32)
    strength = np.abs(at.transfer) ** 2 + _TINY
    u = at.forward(at.padded)
    data = np.conj(at.transfer) * u
    dual = [np.zeros_like(at.padded), np.zeros_like(at.padded)]
    # what is best goes with the noise: from flat to where noise comes through, in steps of two
    for weight in noise_sd(at.padded) * np.geomspace(4, 4 / 2**9, 10, dtype=np.float32):
        penalty = 5 * weight
        for _ in range(iterations):
            slope = [at.inverse(step * u) + b for step, b in zip(steps, dual, strict=True)]
            kept = _shrunk(slope, weight / penalty)
            dual = [s - k for s, k in zip(slope, kept, strict=True)]
            pull = [at.forward(k - b) for k, b in zip(kept, dual, strict=True)]
            drawn = np.conj(steps[0]) * pull[0] + np.conj(steps[1]) * pull[1]
            u = (data + penalty * drawn) / (strength + penalty * smoothness)
        yield at.inverse(u)


def denoised(image: Image, weight: float, *, iterations: int = 40) -> Image:
    """Total variation denoising (Chambolle 2004): the minimum of ``|u - image|^2 / 2 + weight TV(u)``."""
    if weight <= 0:
        return image
    down: Image = np.zeros_like(image)
    right: Image = np.zeros_like(image)
    for _ in range(iterations):
        u = _divergence(down, right) - image / np.float32(weight)
        step_down, step_right = np.zeros_like(image), np.zeros_like(image)
        step_down[:-1], step_right[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
        scale = 1 + 0.25 * np.hypot(step_down, step_right)
        down = np.asarray((down + 0.25 * step_down) / scale, np.float32)
        right = np.asarray((right + 0.25 * step_right) / scale, np.float32)
    return np.asarray(image - np.float32(weight) * _divergence(down, right), np.float32)


def unsharp(seen: Image, sigma_px: float, amount: float) -> Image:
    """Unsharp mask: ``x + amount (x - gauss(x))``."""
    return np.asarray(seen + amount * (seen - ndimage.gaussian_filter(seen, sigma_px)), np.float32)


def noise_sd(image: Image) -> float:
    """Standard deviation of white noise (Immerkaer 1996): a filter blind to planes, averaged."""
    return float(np.sqrt(np.pi / 2) * np.abs(_without_planes(image)).mean() / 6)


def noise_rms(image: Image) -> float:
    """The same by the filter's mean square: right for noise that goes with the brightness.

    The mean of absolute values is too small there by some per cent, and a residual held against it is taken
    for unexplained picture; sharp texture in turn makes this one too large.
    """
    return float(np.sqrt(np.mean(_without_planes(image).astype(np.float64) ** 2)) / 6)


DECONVOLUTIONS: dict[str, tuple[Callable[[Prepared], Path], ...]] = {
    "Wiener": (wiener, lambda at: wiener(at, power=4)),
    "Richardson-Lucy": (richardson_lucy,),
    "total variation": (total_variation,),
}
"""The paths of each method; where there are several, the first is the customary one."""

_DIFFERENCE_DOWN = ((0, 0, 0), (0, -1, 0), (0, 1, 0))
_DIFFERENCE_RIGHT = ((0, 0, 0), (0, -1, 1), (0, 0, 0))


def _without_planes(image: Image) -> Image:
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return np.asarray(ndimage.convolve(image, mask)[1:-1, 1:-1], np.float32)


def _shrunk(slope: list[Image], threshold: np.floating) -> list[Image]:
    length = np.hypot(slope[0], slope[1])
    shrink = 1 - threshold / np.maximum(length, threshold)
    return [s * shrink for s in slope]


def _divergence(down: Image, right: Image) -> Image:
    out = down + right
    out[1:] -= down[:-1]
    out[:, 1:] -= right[:, :-1]
    return out


def _transfer(kernel: npt.NDArray[np.floating], shape: tuple[int, ...]) -> Spectrum:
    centred = np.zeros(shape, np.float32)
    centred[: kernel.shape[0], : kernel.shape[1]] = kernel
    centred = np.roll(centred, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    return np.asarray(fft.rfft2(centred), np.complex64)
