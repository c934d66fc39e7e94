"""What refocusing is measured against: classical methods that know more than the network does.

Each is told the probe and gets its own parameter chosen against the truth, frame by frame (an *oracle*), so
it stands for the best that its kind of method can do. The network is blind.
Images are (h, w) float32 in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from semdaemon.training.quality import psnr_db

Image = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complexfloating]

_MARGIN_PX = 24
"""Mirrored border around what is deconvolved: the circular transform sees no jump at the edge."""


_DIFFERENCE_DOWN = ((0, 0, 0), (0, -1, 0), (0, 1, 0))
_DIFFERENCE_RIGHT = ((0, 0, 0), (0, -1, 1), (0, 0, 0))


@dataclass(frozen=True)
class Degraded:
    """A degraded crop with everything an oracle may know of it.

    Attributes
    ----------
    seen, sharp
        What the microscope gave, and the truth.
    kernel
        The probe, odd and square, sum 1.
    """

    seen: Image
    sharp: Image
    kernel: Image


Method = Callable[[Degraded], Image]


def oracle_denoiser(case: Degraded) -> Image:
    """Total variation or Gaussian smoothing, whichever and however much is best; undoes no blur."""
    smoothed = (ndimage.gaussian_filter(case.seen, s) for s in (0.0, 0.4, 0.6, 0.8, 1.1, 1.5, 2.0, 3.0))
    best = _best(smoothed, case.sharp)
    sd = noise_sd(case.seen)
    flattened = (total_variation(case.seen, w * sd) for w in (0.3, 0.6, 1.0, 1.5, 2.2))
    return _best([best, *flattened], case.sharp)


def oracle_wiener(case: Degraded) -> Image:
    """``conj(H) / (|H|^2 + a |k|^p)`` with weight and smoothness (p = 2 or 4) chosen against the truth."""
    padded = _pad(case.seen)
    transfer, frequency = _transfer(case.kernel, padded.shape)
    spectrum = fft.rfft2(padded)

    def restored() -> Iterator[Image]:
        for power in (2, 4):
            for weight in np.geomspace(1e-4, 1e3, 29):
                gain = np.conj(transfer) / (np.abs(transfer) ** 2 + weight * frequency**power + 1e-9)
                yield _cut(fft.irfft2(spectrum * gain, padded.shape))

    return _best(restored(), case.sharp)


def oracle_richardson_lucy(case: Degraded, *, iterations: int = 60) -> Image:
    """Richardson-Lucy from a flat start, stopped where it is best (noise grows from there on)."""
    padded = np.clip(_pad(case.seen), 1e-4, None)
    transfer, _ = _transfer(case.kernel, padded.shape)

    def restored() -> Iterator[Image]:
        estimate: Image = np.full_like(padded, padded.mean())
        for _ in range(iterations):
            reblurred = np.clip(fft.irfft2(fft.rfft2(estimate) * transfer, padded.shape), 1e-4, None)
            ratio = fft.rfft2(padded / reblurred)
            correction = fft.irfft2(ratio * np.conj(transfer), padded.shape)
            estimate = np.asarray(np.clip(estimate * correction, 0, 2), np.float32)
            yield _cut(estimate)

    return _best(restored(), case.sharp)


def oracle_total_variation(case: Degraded, *, iterations: int = 12) -> Image:
    """Total variation deconvolution: ``|H u - seen|^2 / 2 + w TV(u)`` with ``w`` chosen against the truth.

    Alternating directions (Wang, Yang, Yin, Zhang 2008); each weight starts from the last one's result.
    """
    padded = _pad(case.seen)
    transfer, _ = _transfer(case.kernel, padded.shape)
    steps = [
        _transfer(np.array(k, np.float32), padded.shape)[0] for k in (_DIFFERENCE_DOWN, _DIFFERENCE_RIGHT)
    ]
    smoothness = sum(np.abs(step) ** 2 for step in steps)
    data = np.conj(transfer) * fft.rfft2(padded)

    def restored() -> Iterator[Image]:
        u = fft.rfft2(padded)
        dual = [np.zeros_like(padded), np.zeros_like(padded)]
        for weight in np.geomspace(0.1, 3e-4, 8):
            penalty = 5 * weight
            for _ in range(iterations):
                slope = [fft.irfft2(step * u, padded.shape) + b for step, b in zip(steps, dual, strict=True)]
                shrink = 1 - weight / penalty / np.maximum(np.hypot(*slope), weight / penalty)
                kept = [s * shrink for s in slope]
                dual = [s - k for s, k in zip(slope, kept, strict=True)]
                pull = sum(
                    np.conj(step) * fft.rfft2(k - b) for step, k, b in zip(steps, kept, dual, strict=True)
                )
                u = (data + penalty * pull) / (np.abs(transfer) ** 2 + penalty * smoothness + 1e-9)
            yield _cut(fft.irfft2(u, padded.shape))

    return _best(restored(), case.sharp)


def oracle_unsharp(case: Degraded) -> Image:
    """Unsharp mask: ``x + a (x - gauss(x))`` after a little smoothing, width and amount against the truth."""
    smooth = ndimage.gaussian_filter(case.seen, 1.0)
    details = [(_above(case.seen, s), _above(smooth, s)) for s in (1.5, 3.0)]

    def restored() -> Iterator[Image]:
        for amount in (0.0, 0.3, 0.6, 1.0, 1.5, 2.5):
            for plain, gentle in details:
                yield case.seen + amount * plain
                yield smooth + amount * gentle

    return _best(restored(), case.sharp)


def total_variation(image: Image, weight: float, *, iterations: int = 40) -> Image:
    """Total variation denoising (Chambolle 2004): the minimum of ``|u - image|^2 / 2 + weight TV(u)``."""
    if weight <= 0:
        return image
    down: Image = np.zeros_like(image)
    right: Image = np.zeros_like(image)
    for _ in range(iterations):
        u = _divergence(down, right) - image / weight
        step_down, step_right = np.zeros_like(image), np.zeros_like(image)
        step_down[:-1], step_right[:, :-1] = np.diff(u, axis=0), np.diff(u, axis=1)
        scale = 1 + 0.25 * np.hypot(step_down, step_right)
        down = np.asarray((down + 0.25 * step_down) / scale, np.float32)
        right = np.asarray((right + 0.25 * step_right) / scale, np.float32)
    return np.asarray(image - weight * _divergence(down, right), np.float32)


def noise_sd(image: Image) -> float:
    """Standard deviation of white noise (Immerkaer 1996): a filter blind to planes, averaged."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    inner = ndimage.convolve(image, mask)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) * np.abs(inner).mean() / 6)


METHODS: dict[str, Method] = {
    "oracle denoiser": oracle_denoiser,
    "oracle Wiener": oracle_wiener,
    "oracle Richardson-Lucy": oracle_richardson_lucy,
    "oracle total variation": oracle_total_variation,
    "oracle unsharp mask": oracle_unsharp,
}


def _best(candidates: Iterable[Image], sharp: Image) -> Image:
    return max(candidates, key=lambda image: psnr_db(image, sharp))


def _above(image: Image, sigma_px: float) -> Image:
    return np.asarray(image - ndimage.gaussian_filter(image, sigma_px), np.float32)


def _divergence(down: Image, right: Image) -> Image:
    out = down + right
    out[1:] -= down[:-1]
    out[:, 1:] -= right[:, :-1]
    return out


def _pad(image: Image) -> Image:
    return np.pad(image, _MARGIN_PX, mode="symmetric")


def _cut(padded: npt.NDArray[np.floating]) -> Image:
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    return np.asarray(padded[inner, inner], np.float32)


def _transfer(kernel: Image, shape: tuple[int, ...]) -> tuple[Spectrum, npt.NDArray[np.float64]]:
    """Transfer function of the probe and |k| in cycles per pixel, both on the half plane of ``rfft2``."""
    centred = np.zeros(shape, np.float32)
    centred[: kernel.shape[0], : kernel.shape[1]] = kernel
    centred = np.roll(centred, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    frequency = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None])
    return fft.rfft2(centred), frequency
