"""The beam's half angle from a through-focus series: how fast blur grows with the distance from focus.

``sigma^2 = sigma0^2 + (alpha |z - z0| / (2 pixel))^2``: at a distance dz a beam of half angle alpha is a disc
of radius ``alpha |dz|``, and blurs like a Gaussian of half of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from semdaemon.errors import SemdaemonError

Array = npt.NDArray[np.float64]

FEWEST_FRAMES = 5
SYSTEMATIC = 0.07
"""Relative error of the blur itself, by material; see docs/focus.md. It does not average out."""

_OWN_SD = 0.03
_NEAR_FOCUS = 0.3
"""Error of ln sigma at 1 px, falling as its square: near focus blur is told by what a sample looks like."""

_SCALE = 2.0
_LEAST_RISE = 1.5
"""The most blurred frame must be this many times as blurred as the sharpest, or there is nothing to fit."""


@dataclass(frozen=True)
class Calibration:
    """What a series tells; each figure with its standard deviation.

    Attributes
    ----------
    aperture_rad, aperture_sd_rad
        Half angle of the beam; the deviation holds the scorer's own error too.
    focus_um, focus_sd_um
        Coordinate at which the sample is in focus.
    sigma0_px, sigma0_sd_px
        Blur in focus.
    z_um, sigma_px, fitted_px
        (n,) the frames' coordinates and blur, and the model's blur there.
    crossed
        Whether focus lies within the series.
    """

    aperture_rad: float
    aperture_sd_rad: float
    focus_um: float
    focus_sd_um: float
    sigma0_px: float
    sigma0_sd_px: float
    z_um: Array
    sigma_px: Array
    fitted_px: Array
    crossed: bool

    def model_px(self, z_um: Array, pixel_size_m: float) -> Array:
        """Blur at other coordinates."""
        steepness = self.aperture_rad * 1e-6 / (2 * pixel_size_m)
        return np.hypot(self.sigma0_px, steepness * (z_um - self.focus_um))


def calibrate(z_um: Array, sigma_px: Array, relative_sd: Array, pixel_size_m: float) -> Calibration:
    """Fit a series of at least five frames, robustly.

    Parameters
    ----------
    z_um
        (n,) working distance or stage height, micrometres.
    sigma_px, relative_sd
        (n,) the frames' blur and standard deviation of its logarithm.

    Raises
    ------
    SemdaemonError
        ``series_too_short`` or ``series_too_flat``.
    """
    _check(z_um, sigma_px)
    spread = float(np.ptp(z_um))
    own_sd = np.hypot(relative_sd, _OWN_SD)
    data = (z_um - float(z_um.mean())) / spread, np.log(sigma_px), np.hypot(own_sd, _NEAR_FOCUS / sigma_px**2)
    fits = [_fit(start, *data) for start in _starts(data[0], sigma_px)]
    best = min((fit for fit in fits if np.isfinite(fit.cost)), key=lambda fit: fit.cost)
    ln_sigma0, ln_k, place = (float(value) for value in best.x)
    sds = _deviations(best, z_um.size)
    # k in px per unit of the scaled coordinate; alpha = 2 k pixel / length.
    aperture = 2 * math.exp(ln_k) * pixel_size_m / (spread * 1e-6)
    focus = float(z_um.mean()) + place * spread
    sigma0 = math.exp(ln_sigma0)
    return Calibration(
        aperture_rad=aperture,
        aperture_sd_rad=aperture * math.hypot(sds[1], SYSTEMATIC),
        focus_um=focus,
        focus_sd_um=sds[2] * spread,
        sigma0_px=sigma0,
        sigma0_sd_px=sigma0 * sds[0],
        z_um=z_um,
        sigma_px=sigma_px,
        fitted_px=np.exp(_model(best.x, data[0])),
        crossed=bool(z_um.min() < focus < z_um.max()),
    )


def _check(z_um: Array, sigma_px: Array) -> None:
    if np.unique(z_um).size < FEWEST_FRAMES:
        raise SemdaemonError(
            "series_too_short",
            f"{np.unique(z_um).size} different coordinates with a known blur; {FEWEST_FRAMES} are needed.",
            remedy="Take more frames, of a sample with detail, through focus.",
        )
    rise = float(sigma_px.max() / sigma_px.min())
    if rise < _LEAST_RISE:
        raise SemdaemonError(
            "series_too_flat",
            f"The most blurred frame is {rise:.2f} times as blurred as the sharpest, not {_LEAST_RISE}.",
            remedy="Go further out of focus, or magnify more.",
        )


def _model(values: Array, place: Array) -> Array:
    defocus = np.exp(min(values[1], 60.0)) * (place - values[2])
    return np.asarray(0.5 * np.log(np.exp(2 * values[0]) + defocus * defocus))


def _fit(start: Array, place: Array, logs: Array, sd: Array) -> Any:
    def misfit(values: Array) -> Array:
        return np.asarray((logs - _model(values, place)) / sd)

    return optimize.least_squares(misfit, start, loss="soft_l1", f_scale=_SCALE, max_nfev=400)


def _starts(place: Array, sigma_px: Array) -> list[Array]:
    """Focus at the sharpest frame, in the middle and at either end."""
    low = float(sigma_px.min())
    rise = math.sqrt(max(float(sigma_px.max()) ** 2 - low**2, 1e-6))
    places = (float(place[np.argmin(sigma_px)]), 0.0, -0.5, 0.5)
    return [np.array([math.log(low), math.log(rise / max(0.3, np.abs(place - p).max())), p]) for p in places]


def _deviations(fit: Any, count: int) -> Array:
    """Of the three values, from the scatter about the curve: the frames share what else is uncertain."""
    scatter = 2 * float(fit.cost) / max(1, count - 3)
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * scatter
    return np.sqrt(np.clip(np.diag(covariance), 0, None))
