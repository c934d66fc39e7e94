"""The plane of focus across a frame: how far the sample is tilted out of it, and how far it is bent.

Over a tilted sample defocus is linear in position and blur is its magnitude, added to what the probe has in
focus: ``sigma^2 = sigma0^2 + d^2`` with ``d = d0 + g . p + c |p|^2 / 2``.
Where the line of focus runs through the frame, blur is V-shaped about it; both shapes are fitted.
A step in height is an explanation of its own (`semdaemon.focus.step`), and the likelier one is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.focus.planefit import SCALE, Problem
from semdaemon.focus.step import Step, fit_step

Array = npt.NDArray[Any]

FEWEST_TILES = 9
_FEWEST_ROWS = 3
_LENGTH_PX = 1000.0

_OWN_SD = 0.1
"""Spread of ln sigma among equally blurred tiles that no estimate's own uncertainty tells of."""

_TILES_ALIKE = 1.5
"""Neighbours share their material, and with it their error: so many tiles count as one."""

_SIGNIFICANT_SDS = 3.0
_LEAST_TILT_PX = 0.5
"""Change of blur over the frame below which no tilt is told."""

_SYSTEMATIC = 0.07
"""Of the tilt itself: by so much a scorer misreads one material as a whole, see docs/focus.md."""

_STEP_IS_BETTER = 1.5
_PLANE_IS_BETTER = 0.4
"""Differences of half the robust chi-squared between a step and a plane, which have as many parameters:
beyond the first it is a step, beyond the second in the other direction a plane, between them neither."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Defocus over a frame, as blur in pixels.

    Attributes
    ----------
    tilt_px, tilt_sd_px
        Change of blur over 1000 px of the frame along the steepest direction, and its standard deviation.
    direction_deg
        Where it rises fastest: 0 to the right, 90 down. Where the frame is sharp along a line within it, blur
        rises to both sides, and the side with more of it is told.
    curvature_px, curvature_sd_px
        Additional blur at 1000 px from the frame's centre, by field curvature or a bent sample.
    centre_px
        Defocus at the frame's centre; negative where the line of focus lies beyond it in ``direction_deg``.
    sigma0_px
        Blur in focus.
    tilted, curved
        Whether either is significant; neither is told where fewer than nine tiles are blurred so little that
        a scorer can say by how much.
    tiles
        How many tiles it was fitted to.
    step
        A step in height where that explains the tiles better; then neither ``tilted`` nor ``curved``, and the
        figures above are those of the best plane all the same.
    """

    tilt_px: float
    tilt_sd_px: float
    direction_deg: float
    curvature_px: float
    curvature_sd_px: float
    centre_px: float
    sigma0_px: float
    tilted: bool
    curved: bool
    tiles: int
    step: Step | None = None

    def as_json(self, aperture_rad: float | None = None) -> dict[str, object]:
        """Plain numbers; with the beam's half angle also the sample's tilt in degrees."""
        plain: dict[str, object] = {
            "tilted": self.tilted,
            "tilt_px": round(self.tilt_px, 3),
            "tilt_sd_px": round(self.tilt_sd_px, 3),
            "direction_deg": round(self.direction_deg, 1),
            "curved": self.curved,
            "curvature_px": round(self.curvature_px, 3),
            "curvature_sd_px": round(self.curvature_sd_px, 3),
            "centre_px": round(self.centre_px, 3),
            "sigma0_px": round(self.sigma0_px, 3),
            "tiles": self.tiles,
            "step": None if self.step is None else self.step.as_json(),
        }
        if aperture_rad:
            plain["tilt_deg"] = round(self.sample_tilt_deg(aperture_rad), 2)
        return plain

    def sample_tilt_deg(self, aperture_rad: float) -> float:
        """Tilt of the sample against the plane of focus.

        A beam of half angle alpha is a disc of radius alpha * dz at a distance dz from focus, and blurs by
        half of that: so the surface rises by ``2 tilt / alpha`` pixels a pixel, whatever a pixel's size.
        """
        return math.degrees(math.atan(2 * self.tilt_px / _LENGTH_PX / aperture_rad))


def fit_plane(x_px: Array, y_px: Array, sigma_px: Array, relative_sd: Array) -> Plane | None:
    """Robust least squares over tiles; None where they are too few or too much in one line.

    Parameters
    ----------
    x_px, y_px
        (n,) centres of the tiles from the frame's centre.
    sigma_px, relative_sd
        (n,) blur and standard deviation of its logarithm; NaN where unknown.
    """
    known = np.isfinite(sigma_px) & np.isfinite(relative_sd) & (sigma_px > 0)
    x, y = x_px[known] / _LENGTH_PX, y_px[known] / _LENGTH_PX
    if x.size < FEWEST_TILES or min(np.unique(x).size, np.unique(y).size) < _FEWEST_ROWS:
        return None
    problem = Problem(
        np.stack([np.ones_like(x), x, y, (x * x + y * y) / 2], axis=1).astype(np.float64),
        np.log(sigma_px[known].astype(np.float64)),
        np.hypot(relative_sd[known], _OWN_SD).astype(np.float64),
    )
    flat = min((problem.fit(start, curved=False) for start in problem.starts()), key=lambda fit: fit.cost)
    bowls = (np.append(flat.x[:3], 0.0), problem.bowl())
    bent = min((problem.fit(start, curved=True) for start in bowls), key=lambda fit: fit.cost)
    place = x_px[known], y_px[known]
    step = fit_step(*place, problem.ln_sigma, problem.sd, SCALE)
    told = _told(problem, flat, bent)
    if step is None or not step.step.plain:
        return told
    better = (float(min(flat.cost, bent.cost if told.curved else math.inf)) - step.cost) / _TILES_ALIKE
    if better > _STEP_IS_BETTER:
        return replace(told, tilted=False, curved=False, step=step.step)
    return told if better < -_PLANE_IS_BETTER else replace(told, tilted=False)


def _told(problem: Problem, flat: Any, bent: Any) -> Plane:
    """The plane from the fits without and with curvature."""
    curvature, curvature_sd = float(bent.x[3]), _deviation(bent, np.array([0, 0, 0, 1.0, 0, 0]))
    half = problem.span / 2
    told = problem.read >= FEWEST_TILES
    curved = (
        told
        and abs(curvature) > _SIGNIFICANT_SDS * curvature_sd
        and abs(curvature) * half**2 / 2 > _LEAST_TILT_PX
    )
    best = bent if curved else flat
    d0, gx, gy = (float(value) for value in best.x[:3])
    tilt = math.hypot(gx, gy)
    gradient = np.zeros(best.x.size)
    gradient[1:3] = (gx / tilt, gy / tilt) if tilt > 0 else (1.0, 0.0)
    sd = _deviation(best, gradient)
    # Only the magnitude of defocus shows: of the two signs take the one that rises to the more blurred side.
    defocus = problem.terms[:, : best.x.size - 2] @ best.x[:-2]
    if float(np.abs(defocus) @ np.sign(problem.terms[:, 1] * gx + problem.terms[:, 2] * gy)) < 0:
        d0, gx, gy, curvature = -d0, -gx, -gy, -curvature
    return Plane(
        tilt_px=tilt,
        tilt_sd_px=math.hypot(sd, _SYSTEMATIC * tilt),
        direction_deg=math.degrees(math.atan2(gy, gx)) % 360,
        curvature_px=curvature / 2,
        curvature_sd_px=curvature_sd / 2,
        centre_px=d0,
        sigma0_px=float(np.exp(best.x[-2])),
        tilted=told and tilt > _SIGNIFICANT_SDS * sd and tilt * problem.span > _LEAST_TILT_PX,
        curved=curved,
        tiles=len(problem.sd),
    )


def _deviation(fit: Any, direction: Array) -> float:
    """Standard deviation of a combination of parameters, from the curvature of the robust cost."""
    count, used = fit.jac.shape
    chi2 = max(1.0, 2 * float(fit.cost) / max(1, count - used))
    normal = fit.jac.T @ fit.jac + 1e-9 * np.eye(used)
    variance = float(direction @ np.linalg.solve(normal, direction))
    return math.sqrt(max(variance, 0.0) * chi2 * _TILES_ALIKE)
