"""Results as figures to compare: by radius and dose, one value a frame, always against the same input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.training.experiments.catalogue import LEVELS_PX

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """What one network measured, beside the input's own; each array has one value a frame."""

    measured: dict[str, Any]
    before: dict[str, Any]

    def psnr_db(self, radius_px: float, dose: str) -> Values:
        return _whole(self.measured, radius_px, dose, "psnr_db")

    def ssim(self, radius_px: float, dose: str) -> Values:
        return _whole(self.measured, radius_px, dose, "ssim")

    def error(self, radius_px: float, dose: str) -> Values:
        """In grey levels of 255."""
        return _whole(self.measured, radius_px, dose, "error")

    def gain_db(self, radius_px: float, dose: str) -> Values:
        """Over the input."""
        return self.psnr_db(radius_px, dose) - _whole(self.before, radius_px, dose, "psnr_db")

    def mean_gain_db(self, dose: str) -> Values:
        """Over the input, each frame's mean over the blurred conditions."""
        return np.asarray(np.mean([self.gain_db(radius_px, dose) for radius_px in LEVELS_PX], axis=0))

    def mean_ssim(self, dose: str) -> float:
        """Over frames and blurred conditions."""
        return float(np.mean([self.ssim(radius_px, dose) for radius_px in LEVELS_PX]))

    def half_error(self, half: str, dose: str) -> Values:
        """Error of the ``sharp`` or ``blurred`` half of half-blurred frames, in grey levels of 255."""
        return _half(self.measured, half, dose)

    def noise(self, dose: str) -> Values:
        """The input's own error in its sharp half: what the noise, or else the rounding, is."""
        return _half(self.before, "sharp", dose)


def _whole(measured: dict[str, Any], radius_px: float, dose: str, key: str) -> Values:
    row = next(r for r in measured["whole"] if r["radius_px"] == radius_px and r["dose"] == dose)
    return np.asarray(row[key], float)


def _half(measured: dict[str, Any], half: str, dose: str) -> Values:
    row = next(r for r in measured["halves"] if r["dose"] == dose)
    return np.asarray(row[f"{half}_error"], float)
