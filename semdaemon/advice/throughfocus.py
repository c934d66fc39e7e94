"""What the recent frames of a run say about its focus: the modes of a fit, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.advice.belief import Normal, mixed

_WIDENING_UM = 1.5
"""Of what is told in micrometres: linearised at a minimum, the uncertainty of a quotient is too narrow."""

RATE_FRAMES = 6
"""Steps of the drift that its rate is told from."""

_SHORTEST_S = 1e-3  # frames of one moment (a folder that was copied) tell no rate
_NEGLIGIBLE = 7.0

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mode:
    """One explanation of the samples.

    Attributes
    ----------
    values
        ``ln sigma_0``, ``ln k``, then q_i = k * (z_n - f_i) for each frame, pixels; n is the newest frame.
    covariance
        Of these.
    cost
        Minus the logarithm of its likelihood, but for a constant.
    recent_s
        Seconds that the last `RATE_FRAMES` steps took.
    """

    values: Array
    covariance: Array
    cost: float
    recent_s: float

    @property
    def ln_floor(self) -> Normal:
        return self._one(0)

    @property
    def ln_steepness(self) -> Normal:
        return self._one(1)

    @property
    def floor_px(self) -> float:
        return math.exp(self.values[0])

    @property
    def steepness_px_per_um(self) -> float:
        return math.exp(self.values[1])

    @property
    def defocus_px(self) -> Normal:
        """k * u_n: the newest frame's signed defocus in pixels of blur."""
        return self._one(-1)

    @property
    def defocus_um(self) -> Normal:
        """u_n, with its uncertainty from those of defocus and k."""
        slope = np.zeros_like(self.values)
        slope[-1] = 1
        return self._over_k(slope)

    @property
    def rate_um_per_s(self) -> Normal:
        """How fast the place of focus moves, over the last frames."""
        slope = np.zeros_like(self.values)
        back = min(RATE_FRAMES, len(self.values) - 3)
        if back < 1 or self.recent_s < _SHORTEST_S:
            return Normal(0.0, math.inf)
        slope[-1], slope[-1 - back] = -1, 1
        found = self._over_k(slope)
        return Normal(found.mean / self.recent_s, found.sd / self.recent_s)

    def _one(self, index: int) -> Normal:
        return Normal(float(self.values[index]), math.sqrt(self.covariance[index, index]))

    def _over_k(self, slope: Array) -> Normal:
        """``slope @ values / k``; ``slope`` is 0 for k itself."""
        scale = math.exp(-self.values[1])
        mean = float(slope @ self.values) * scale
        slope = slope * scale
        slope[1] = -mean
        return Normal(mean, _WIDENING_UM * math.sqrt(max(0.0, float(slope @ self.covariance @ slope))))


@dataclass(frozen=True)
class ThroughFocus:
    """What a run's recent frames say; the likeliest mode first, at least one."""

    modes: tuple[Mode, ...]

    @property
    def best(self) -> Mode:
        return self.modes[0]

    @property
    def probability_above(self) -> float:
        """That the newest frame's coordinate lies above focus (u_n > 0), 0 to 1."""
        return min(1.0, sum(share * _above(mode.defocus_px) for share, mode in self._shares(self.modes)))

    @property
    def ln_floor(self) -> Normal:
        """``ln sigma_0`` over all modes."""
        return mixed([(share, mode.ln_floor) for share, mode in self._shares(self.modes)])

    @property
    def ln_steepness(self) -> Normal:
        """``ln k`` over all modes."""
        return mixed([(share, mode.ln_steepness) for share, mode in self._shares(self.modes)])

    @property
    def defocus_px(self) -> Normal:
        """Size of the newest frame's defocus in pixels of blur, over all modes."""
        return mixed([(share, _size(mode.defocus_px)) for share, mode in self._shares(self.modes)])

    @property
    def defocus_um(self) -> Normal:
        """Size of u_n over all modes."""
        return mixed([(share, _size(mode.defocus_um)) for share, mode in self._shares(self.modes)])

    def on_side(self, *, above: bool) -> Normal | None:
        """u_n over the modes on one side of focus; None where no mode that counts is there."""
        modes = [
            mode
            for mode in self.modes
            if (mode.defocus_px.mean > 0) == above and mode.cost < self.best.cost + _NEGLIGIBLE
        ]
        return mixed([(share, mode.defocus_um) for share, mode in self._shares(modes)]) if modes else None

    def _shares(self, modes: Sequence[Mode]) -> list[tuple[float, Mode]]:
        # By likelihood at the maximum alone: Laplace's volumes mean nothing for modes that pass through
        # focus, where the blur does not depend on the defocus.
        weights = [math.exp(modes[0].cost - mode.cost) for mode in modes]
        return [(weight / sum(weights), mode) for weight, mode in zip(weights, modes, strict=True)]


def _above(value: Normal) -> float:
    return 0.5 * math.erfc(-value.mean / (value.sd * math.sqrt(2)))


def _size(value: Normal) -> Normal:
    return Normal(abs(value.mean), value.sd)
