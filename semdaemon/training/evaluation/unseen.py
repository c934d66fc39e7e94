"""The same frame by a generator that training never used, and by training's own at matched blur and noise.

Both members of a pair have the same truth (the frame under a drawn gain and offset), the same equivalent
radius of the probe, and the same variance of the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import signal

from semdaemon.training import degrade
from semdaemon.training.evaluation.case import Degraded, Image
from semdaemon.training.evaluation.conditions import generator_of
from semdaemon.training.evaluation.detector import drawn_detector
from semdaemon.training.evaluation.optics import drawn_probe, matched_kernel
from semdaemon.training.evaluation.scenes import Scene, central

_MATCHING_ROUNDS = 4


@dataclass(frozen=True)
class Unseen:
    """Wave-optical probe and physical detector, both drawn anew for every frame.

    Attributes
    ----------
    radius_px
        Equivalent radius of the probe (`optics.equivalent_radius_px`).
    electrons_per_px
        Poisson dose whose noise at white this detector's counting noise equals.
    """

    radius_px: float
    electrons_per_px: float

    @property
    def name(self) -> str:
        return f"unseen generator R {self.radius_px:g}, {self.electrons_per_px:g} e/px"

    def degrade(self, scene: Scene, *, crop_px: int, seed: int) -> Degraded:
        return self.draw(scene, crop_px=crop_px, seed=seed)[0]

    def draw(self, scene: Scene, *, crop_px: int, seed: int) -> tuple[Degraded, float]:
        """The degraded crop, and the variance of its noise."""
        rng = generator_of(f"unseen {self.radius_px:g} {self.electrons_per_px:g}", seed)
        truth = _regraded(scene.sharp, rng)
        window = central(truth.shape, crop_px)
        kernel, detector = _kernel_of(self.radius_px, self.electrons_per_px, seed), drawn_detector(rng)
        blurred = degrade.blur(truth, kernel)[window]
        starts = detector.starts(blurred.shape[0], rng)
        seen = detector.records(blurred, self.electrons_per_px * detector.excess, starts, rng)
        variance = float(np.mean((seen - detector.expected(blurred, starts)) ** 2, dtype=np.float64))
        told = signal.convolve(kernel, detector.kernel()[None], mode="same")
        told = np.clip(told, 0, None)
        return Degraded(seen, truth[window], np.asarray(told / told.sum(), np.float32)), variance


@dataclass(frozen=True)
class Matched:
    """Training's own degradations of the same frame: a disc of the same equivalent radius, and Poisson
    noise of the variance that the unseen generator's frame has."""

    radius_px: float
    electrons_per_px: float

    @property
    def name(self) -> str:
        return f"training's own R {self.radius_px:g}, {self.electrons_per_px:g} e/px"

    @property
    def pair(self) -> Unseen:
        return Unseen(self.radius_px, self.electrons_per_px)

    def degrade(self, scene: Scene, *, crop_px: int, seed: int) -> Degraded:
        other, variance = self.pair.draw(scene, crop_px=crop_px, seed=seed)
        rng = generator_of(f"unseen {self.radius_px:g} {self.electrons_per_px:g}", seed)
        truth = _regraded(scene.sharp, rng)
        window = central(truth.shape, crop_px)
        kernel = matched_kernel(self.radius_px)
        blurred = degrade.blur(truth, kernel)[window]
        return Degraded(_exposed(blurred, variance, self.name, seed), other.sharp, kernel)


def _exposed(blurred: Image, variance: float, name: str, seed: int) -> Image:
    """Poisson noise that has a variance once the frame was clipped and rounded: white cuts noise off."""
    dose = float(np.mean(blurred, dtype=np.float64)) / max(variance, 1e-9)
    for _ in range(_MATCHING_ROUNDS):
        seen = degrade.quantise(degrade.expose(blurred, dose, generator_of(name, seed)), 8)
        dose *= float(np.mean((seen - blurred) ** 2, dtype=np.float64)) / max(variance, 1e-9)
    return degrade.quantise(degrade.expose(blurred, dose, generator_of(name, seed)), 8)


@lru_cache(maxsize=8)
def _kernel_of(radius_px: float, electrons_per_px: float, seed: int) -> Image:
    """The probe of one frame; kept, because its pair needs it too and drawing takes a search."""
    return drawn_probe(radius_px, generator_of(f"probe {radius_px:g} {electrons_per_px:g}", seed)).kernel()


def _regraded(image: Image, rng: np.random.Generator) -> Image:
    """Another brightness and contrast: the operator's two knobs."""
    gain = float(rng.uniform(0.55, 1.0))
    offset = float(rng.uniform(0, 1 - gain))
    return np.asarray(gain * image + offset, np.float32)


Pair = tuple[Matched, Unseen]


def pairs(places: npt.ArrayLike) -> list[Pair]:
    """Pairs at (equivalent radius in pixels, electrons per pixel)."""
    listed = [(float(r), float(n)) for r, n in np.asarray(places)]
    return [(Matched(r, n), Unseen(r, n)) for r, n in listed]


PAIRS = pairs([(2, 50), (4, 10), (4, 50), (4, 400), (6, 50)])
