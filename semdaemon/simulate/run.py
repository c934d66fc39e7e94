"""How focus goes over a run: a mix for demonstrations, a drift as overnight runs have it, a focus series."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from semdaemon.simulate.optics import Defocus

_CYCLE = (
    "sharp",
    "step",
    "tilt",
    "sharp",
    "blurred",
    "corner",
    "sharp",
    "tilt",
    "step",
    "sharp",
    "corner",
    "beyond_repair",
)
"""Twelve frames: four sharp, six in part out of focus, one wholly, one beyond repair."""

SERIES_FRAMES = 11
"""Of a series through focus."""

_SHARP_RADIUS_PX = 0.4
_REPAIRABLE_PX = (4.0, 7.0)
_BEYOND_REPAIR_PX = (32.0, 40.0)


def mixed(index: int, rng: np.random.Generator, metres_per_px: float) -> tuple[str, Defocus]:
    """Focus of frame ``index`` of a mixed run.

    Parameters
    ----------
    metres_per_px
        Defocus that makes a disc of 1 px radius: pixel size over aperture angle.

    Returns
    -------
    condition, defocus
        ``sharp``, ``step``, ``tilt``, ``corner``, ``blurred`` or ``beyond_repair``.
    """
    condition = _CYCLE[index % len(_CYCLE)]
    return condition, _CONDITIONS[condition](rng, metres_per_px)


def drifting(
    index: int, rng: np.random.Generator, metres_per_px: float, drift_m: float
) -> tuple[str, Defocus]:
    """Focus of frame ``index`` where the stage creeps by ``drift_m`` a frame on a slightly tilted sample."""
    jitter_m = 0.05 * abs(drift_m) * float(rng.standard_normal())
    level_m = drift_m * index + jitter_m
    defocus = Defocus(level_m=level_m, rise_m=metres_per_px, direction_rad=math.pi / 2)
    return _condition(abs(level_m) / metres_per_px), defocus


def through_focus(index: int, metres_per_px: float, step_m: float, frames: int) -> tuple[str, Defocus]:
    """Focus of frame ``index`` of a series through focus: its middle frame is sharp, and the sample level."""
    level_m = step_m * (index % frames - (frames - 1) / 2)
    return _condition(abs(level_m) / metres_per_px), Defocus(level_m=level_m)


def _condition(radius_px: float) -> str:
    if radius_px < 1.5:
        return "sharp"
    return "blurred" if radius_px < _BEYOND_REPAIR_PX[0] else "beyond_repair"


def _side(rng: np.random.Generator) -> float:
    return float(rng.integers(0, 4)) * math.pi / 2


def _sharp(rng: np.random.Generator, metres_per_px: float) -> Defocus:
    return Defocus(level_m=float(rng.uniform(-1, 1)) * _SHARP_RADIUS_PX * metres_per_px)


def _step(rng: np.random.Generator, metres_per_px: float) -> Defocus:
    height_m = float(rng.uniform(*_REPAIRABLE_PX)) * metres_per_px
    return Defocus(step_m=height_m, step_at=float(rng.uniform(0.4, 0.6)), direction_rad=_side(rng))


def _tilt(rng: np.random.Generator, metres_per_px: float) -> Defocus:
    return _ramp(rng, metres_per_px, rise_from=0.3, direction_rad=_side(rng))


def _corner(rng: np.random.Generator, metres_per_px: float) -> Defocus:
    return _ramp(rng, metres_per_px, rise_from=0.45, direction_rad=_side(rng) + float(rng.uniform(0.5, 0.9)))


def _ramp(rng: np.random.Generator, metres_per_px: float, rise_from: float, direction_rad: float) -> Defocus:
    """In focus up to ``rise_from``, from there down to a repairable blur at the far end."""
    end_m = float(rng.uniform(6.0, 9.0)) * metres_per_px
    return Defocus(rise_m=end_m, rise_from=rise_from, direction_rad=direction_rad)


def _blurred(rng: np.random.Generator, metres_per_px: float) -> Defocus:
    return Defocus(level_m=float(rng.uniform(*_REPAIRABLE_PX)) * metres_per_px)


def _beyond_repair(rng: np.random.Generator, metres_per_px: float) -> Defocus:
    return Defocus(level_m=float(rng.uniform(*_BEYOND_REPAIR_PX)) * metres_per_px)


_CONDITIONS: dict[str, Callable[[np.random.Generator, float], Defocus]] = {
    "sharp": _sharp,
    "step": _step,
    "tilt": _tilt,
    "corner": _corner,
    "blurred": _blurred,
    "beyond_repair": _beyond_repair,
}
