"""An example scorer for semdaemon: blur from the slow-axis F4n measure."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.errors import SettingsError
from semdaemon.focus import Estimate
from semdaemon.focus.measures import f4n
from semdaemon.settings import Focus

VARIABLE = "SEMDAEMON_EXAMPLE_SCORER"


@dataclass(frozen=True)
class Line:
    """``ln sigma_px = intercept + slope * ln(raw blur)``, known to ``sd``."""

    intercept: float = -0.29
    slope: float = 0.63
    sd: float = 0.67


class F4nScorer:
    """Blur of tiles by F4n and a calibrated line; the plug point is `semdaemon.focus.Scorer`."""

    def __init__(self, line: Line) -> None:
        self.line = line

    @property
    def name(self) -> str:
        return f"example 0.1.0 f4n {self.line.intercept:g},{self.line.slope:g},{self.line.sd:g}"

    def estimate(self, tiles: npt.NDArray[np.float32]) -> Estimate:
        raw = np.array([raw_blur_px(tile) for tile in tiles])
        sigma_px = np.exp(self.line.intercept + self.line.slope * np.log(raw))
        relative_sd = np.where(np.isfinite(raw), self.line.sd, np.nan)
        return Estimate(sigma_px.astype(np.float32), relative_sd.astype(np.float32))


def raw_blur_px(tile: npt.NDArray[np.float32]) -> float:
    """The Gaussian blur in pixels that would give structureless content this F4n; NaN without signal.

    The autocovariance of white content blurred by sigma is ``A(k) ~ exp(-k^2 / (4 sigma^2))``, hence
    ``F4n = 1 - exp(-3 / (4 sigma^2))``.
    """
    measured = f4n(tile)
    if not 0 < measured < 1:  # False for NaN too
        return math.nan
    return math.sqrt(-3 / (4 * math.log1p(-measured)))


def make(settings: Focus) -> F4nScorer:
    """What the entry point names: called once by semdaemon."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return F4nScorer(Line())
    try:
        return F4nScorer(Line(*(float(part) for part in text.split(","))))
    except (TypeError, ValueError) as error:
        raise SettingsError(
            "settings_invalid",
            f"{VARIABLE}={text!r}: expected up to three numbers: intercept,slope,sd.",
            remedy="'python -m semdaemon_example_scorer.calibrate FOLDER' prints a valid one.",
        ) from error
