"""A step and a line out of focus, and what is made of them: ringing and width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.training import degrade
from semdaemon.training.evaluation.explain.network import Restores

Image = npt.NDArray[np.float32]
Profile = npt.NDArray[np.float64]

RADIUS_PX, DOSE = 4.0, 2000.0
SIDE_PX = 256
_MIDDLE = SIDE_PX // 2
_LOW, _HIGH = 0.25, 0.75
_NEAR_PX, _FAR_PX = 24, 64
"""Ringing is looked for this near the edge; the plateau is measured from there to the second distance."""

LINE_PX = 2
_EXPOSURES = 2


@dataclass(frozen=True)
class Profiles:
    """Across the structure, averaged along it: position from its middle in pixels, and three profiles."""

    x_px: Profile
    sharp: Profile
    seen: Profile
    restored: Profile


@dataclass(frozen=True)
class EdgeResponse:
    """A step from 0.25 to 0.75.

    Attributes
    ----------
    overshoot
        How far the result goes beyond either plateau near the edge, over the step's height.
    width_seen_px, width_px
        From 10 % to 90 % of the step, of input and result.
    """

    radius_px: float
    electrons_per_px: float
    profiles: Profiles
    overshoot: float
    width_seen_px: float
    width_px: float


@dataclass(frozen=True)
class LineResponse:
    """A bright line of 2 px.

    Attributes
    ----------
    peak_seen, peak
        Height of input and result over the truth's.
    width_seen_px, width_px
        Full width at half of its own height, of input and result.
    undershoot
        How far the result falls below the ground beside the line, over the truth's height.
    """

    radius_px: float
    electrons_per_px: float
    profiles: Profiles
    peak_seen: float
    peak: float
    width_seen_px: float
    width_px: float
    undershoot: float


def edge_response(network: Restores, *, seed: int = 0) -> EdgeResponse:
    """Response to a step of contrast, upright and lying, averaged."""
    sharp = np.full((SIDE_PX, SIDE_PX), _LOW, np.float32)
    sharp[:, _MIDDLE:] = _HIGH
    profiles = _profiles(network, sharp, -0.5, seed)
    return EdgeResponse(
        RADIUS_PX,
        DOSE,
        profiles,
        overshoot(profiles.x_px, profiles.restored),
        rise_px(profiles.x_px, profiles.seen),
        rise_px(profiles.x_px, profiles.restored),
    )


def line_response(network: Restores, *, seed: int = 0) -> LineResponse:
    """Response to a thin line, upright and lying, averaged."""
    sharp = np.full((SIDE_PX, SIDE_PX), _LOW, np.float32)
    sharp[:, _MIDDLE : _MIDDLE + LINE_PX] = _HIGH
    profiles = _profiles(network, sharp, (LINE_PX - 1) / 2, seed)
    height = _HIGH - _LOW
    seen, restored = (p - _ground(profiles.x_px, p) for p in (profiles.seen, profiles.restored))
    near = np.abs(profiles.x_px) < _NEAR_PX
    return LineResponse(
        RADIUS_PX,
        DOSE,
        profiles,
        float(seen.max() / height),
        float(restored.max() / height),
        half_width_px(profiles.x_px, seen),
        half_width_px(profiles.x_px, restored),
        float(max(0.0, -restored[near].min()) / height),
    )


def overshoot(x_px: Profile, profile: Profile) -> float:
    """How far a rising step goes beyond its plateaus near the edge, over their difference."""
    low, high = _plateaus(x_px, profile)
    near = profile[np.abs(x_px) <= _NEAR_PX]
    return float(max(near.max() - high, low - near.min(), 0.0) / (high - low))


def rise_px(x_px: Profile, profile: Profile) -> float:
    """Distance from 10 % to 90 % of a rising step."""
    low, high = _plateaus(x_px, profile)
    near = np.abs(x_px) <= _NEAR_PX
    x, share = x_px[near], (profile[near] - low) / (high - low)
    return _crossing(x, share, 0.9) - _crossing(x, share, 0.1)


def half_width_px(x_px: Profile, profile: Profile) -> float:
    """Full width of a peak at half of its height above 0."""
    top = int(np.argmax(profile))
    share = profile / profile[top]
    right = _crossing(x_px[top:], -share[top:], -0.5)
    left = _crossing(x_px[: top + 1], share[: top + 1], 0.5)
    return right - left


def _profiles(network: Restores, sharp: Image, middle: float, seed: int) -> Profiles:
    kernel = degrade.disc_kernel(RADIUS_PX)
    seen, restored = [], []
    for number in range(_EXPOSURES):
        rng = np.random.default_rng([seed, number])
        for turn in _TURNS:
            frame = degrade.quantise(degrade.expose(degrade.blur(turn(sharp), kernel), DOSE, rng), 16)
            seen.append(_across(turn(frame)))
            restored.append(_across(turn(network.restore(np.ascontiguousarray(frame)))))
    x_px = np.arange(SIDE_PX, dtype=np.float64) - _MIDDLE - middle
    return Profiles(x_px, _across(sharp), _mean(seen), _mean(restored))


def _as_it_is(picture: Image) -> Image:
    return picture


def _turned(picture: Image) -> Image:
    return picture.T


_TURNS: tuple[Callable[[Image], Image], ...] = (_as_it_is, _turned)
"""Both undo themselves."""


def _across(picture: Image) -> Profile:
    inner = slice(_NEAR_PX, -_NEAR_PX)
    return np.asarray(picture[inner].mean(axis=0, dtype=np.float64))


def _mean(profiles: list[Profile]) -> Profile:
    return np.asarray(np.mean(profiles, axis=0))


def _plateaus(x_px: Profile, profile: Profile) -> tuple[float, float]:
    far = (np.abs(x_px) > _NEAR_PX) & (np.abs(x_px) <= _FAR_PX)
    return float(profile[far & (x_px < 0)].mean()), float(profile[far & (x_px > 0)].mean())


def _ground(x_px: Profile, profile: Profile) -> float:
    return float(np.mean(_plateaus(x_px, profile)))


def _crossing(x: Profile, rising: Profile, level: float) -> float:
    """Where a curve first rises to a level, between samples."""
    n = int(np.argmax(rising >= level))
    if n == 0:
        return float(x[0])
    share = (level - rising[n - 1]) / (rising[n] - rising[n - 1])
    return float(x[n - 1] + share * (x[n] - x[n - 1]))
