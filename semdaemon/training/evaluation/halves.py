"""Frames half sharp and half blurred, given to the network whole: does it leave the sharp half alone?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semdaemon.training import degrade
from semdaemon.training.evaluation.case import Degraded
from semdaemon.training.evaluation.conditions import generator_of
from semdaemon.training.evaluation.scenes import Scene, central

_SEAM_PX = 16


@dataclass(frozen=True)
class Halves:
    """The left half in focus, the right one defocused by ``radius_px``, a soft seam between them."""

    radius_px: float
    electrons_per_px: float

    @property
    def name(self) -> str:
        return f"half sharp, half R {self.radius_px:g}, {self.electrons_per_px:g} e/px"

    def degrade(self, scene: Scene, *, crop_px: int, seed: int) -> Degraded:
        window = central(scene.sharp.shape, crop_px)
        sharp, kernel = scene.sharp[window], degrade.probe_kernel(self.radius_px)
        blurred = degrade.blur(scene.sharp, kernel)[window]
        distance = np.arange(sharp.shape[1], dtype=np.float32) - sharp.shape[1] / 2
        share = np.clip(0.5 - distance / _SEAM_PX, 0, 1)[None]
        mixed = share * sharp + (1 - share) * blurred
        noisy = degrade.expose(mixed, self.electrons_per_px, generator_of(self.name, seed))
        in_focus = np.broadcast_to(distance < -_SEAM_PX / 2, sharp.shape)
        return Degraded(degrade.quantise(noisy, 8), sharp, kernel, in_focus=in_focus)


HALVES = (Halves(4, 10), Halves(4, 50), Halves(4, 400))
