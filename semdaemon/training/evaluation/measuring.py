"""One degraded crop refocused by every method, and measured against the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation import blind, classical
from semdaemon.training.evaluation.case import Degraded, Method
from semdaemon.training.evaluation.conditions import Condition
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.quality import psnr_db, ssim

Image = npt.NDArray[np.float32]

INPUT = "input"
NETWORK = "network"
"""What the weights are called while they are measured; tables show their own name."""

BAND_EDGES = (0.0, 0.03, 0.06, 0.12, 0.25, 0.5)
"""Cycles per pixel; each band is about an octave."""


@dataclass(frozen=True)
class Outcome:
    """One method on one frame under one condition.

    Attributes
    ----------
    error_by_band
        Power of the error in each of `BAND_EDGES`' bands, any unit.
    in_focus_rms
        Error in the part that was left sharp, root mean square, range 1; None where there is none.
    """

    condition: str
    method: str
    frame: str
    psnr_db: float
    ssim: float
    error_by_band: tuple[float, ...]
    in_focus_rms: float | None = None


def measure(
    scene: Scene,
    condition: Condition,
    methods: Mapping[str, Method],
    names: Sequence[str],
    *,
    crop_px: int,
    seed: int,
) -> list[Outcome]:
    """The named methods on the same degraded crop."""
    case = condition.degrade(scene, crop_px=crop_px, seed=seed)
    return [
        _outcome(condition.name, name, scene.name, case, np.clip(methods[name](case), 0, 1)) for name in names
    ]


def methods_of(card: WeightsCard, device: str = "auto") -> dict[str, Method]:
    """Everything that can be measured, by name: the input, the classical methods, the network."""
    return {
        INPUT: lambda case: case.seen,
        **classical.METHODS,
        **blind.METHODS,
        NETWORK: network_method(card, device),
    }


def network_method(card: WeightsCard, device: str = "auto") -> Method:
    """The weights behind a card, blind, by the engine that the daemon uses."""
    from semdaemon.refocus.engine import TorchEngine

    engine = TorchEngine(card, device, threads=1)
    return lambda case: engine.refocus(case.seen)


def s_per_megapixel(card: WeightsCard, *, size_px: int = 512) -> float:
    """CPU seconds of one thread for a million pixels, the best of three runs after a first."""
    method = network_method(card, "cpu")
    image = np.random.default_rng(0).random((size_px, size_px), dtype=np.float32)
    case = Degraded(image, image, np.ones((1, 1), np.float32))
    keep_big_blocks()
    method(case)
    spent = []
    for _ in range(3):
        began = time.process_time()
        method(case)
        spent.append(time.process_time() - began)
    return min(spent) / image.size * 1e6


def error_by_band(image: Image, sharp: Image) -> tuple[float, ...]:
    """Power of ``image - sharp`` in each band of spatial frequency, Hann-windowed."""
    error = np.asarray(image - sharp, np.float32)
    window = np.outer(np.hanning(error.shape[0] + 2)[1:-1], np.hanning(error.shape[1] + 2)[1:-1])
    power = np.abs(fft.fft2(error * window)) ** 2 / error.size
    frequency = np.hypot(fft.fftfreq(error.shape[0])[:, None], fft.fftfreq(error.shape[1])[None])
    band = np.digitize(frequency, BAND_EDGES[1:-1])
    return tuple(float(total) for total in np.bincount(band.ravel(), power.ravel(), len(BAND_EDGES) - 1))


def _outcome(condition: str, method: str, frame: str, case: Degraded, result: Image) -> Outcome:
    in_focus = None
    if case.in_focus is not None:
        error = (result - case.sharp)[case.in_focus]
        in_focus = float(np.sqrt(np.mean(error.astype(np.float64) ** 2)))
    return Outcome(
        condition,
        method,
        frame,
        psnr_db(result, case.sharp),
        ssim(result, case.sharp),
        error_by_band(result, case.sharp),
        in_focus,
    )
