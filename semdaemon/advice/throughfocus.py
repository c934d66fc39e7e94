"""How blur depends on the focus coordinate: a robust fit of one run's recent frames.

The model, for frame i at coordinate z_i (micrometres)::

    sigma_i^2 = sigma_0^2 + (k * u_i)^2,    u_i = z_i - f_i

sigma_0 (px) is the blur in focus, k (px/um) how fast defocus blurs, and f_i (um) the place where focus lay
when frame i was taken; it wanders, by a random walk whose steps resemble each other.
The derivation stands in ``docs/advice.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

MODEL_SD = 0.05
"""Of ln sigma, beside what the frame says of itself: scorers and specimens are no better than this."""

STEP_PX, _BEND_PX = 0.4, 0.1
"""What focus drifts from frame to frame, and how much that changes: standard deviations, pixels of blur."""

_OUTLIER_SDS = 2.0
_WIDENING, _WIDENING_UM = 1.4, 1.5
"""Linearised at a minimum, uncertainties come out too narrow (tests/unit/advice measures by how much).

The first factor is the samples', the second belongs to what is told in micrometres, the quotient of two fits.
"""
_DEFOCUS_PX = 20.0
_STEEPNESS_PX_PER_UM = 0.5
_SAME = 0.1
_MOST_MIRRORED = 2
_TELLING = 8
_NEGLIGIBLE = 7.0
_LARGEST_LOG = 60.0
_RATE_FRAMES = 6
_SHORTEST_S = 1e-3  # frames of one moment (a folder that was copied) tell no rate

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame of a run: when, where, how blurred.

    ``z_um`` is 0 in all samples of a run whose coordinate is unknown; ``relative_sd`` is that of the blur.
    """

    at_s: float
    z_um: float
    sigma_px: float
    relative_sd: float


@dataclass(frozen=True, slots=True)
class Normal:
    """Mean and standard deviation."""

    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Belief:
    """What is known of a run before its window: ``ln sigma_0`` (px), ``ln k`` (px/um), and focus (um).

    ``focus_um`` is the place of focus at the window's first frame; None where it is not known.
    """

    ln_floor: Normal = Normal(math.log(0.8), 0.5)  # 0.6 px is a frame as sharp as its pixels, see focus.md
    ln_steepness: Normal = Normal(math.log(_STEEPNESS_PX_PER_UM), 3.0)  # three orders of magnitude each way
    focus_um: Normal | None = None


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
        Seconds that the last `_RATE_FRAMES` steps took.
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
        back = min(_RATE_FRAMES, len(self.values) - 3)
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
        return _mixed([(share, mode.ln_floor) for share, mode in self._shares(self.modes)])

    @property
    def ln_steepness(self) -> Normal:
        """``ln k`` over all modes."""
        return _mixed([(share, mode.ln_steepness) for share, mode in self._shares(self.modes)])

    @property
    def defocus_px(self) -> Normal:
        """Size of the newest frame's defocus in pixels of blur, over all modes."""
        return _mixed([(share, _size(mode.defocus_px)) for share, mode in self._shares(self.modes)])

    @property
    def defocus_um(self) -> Normal:
        """Size of u_n over all modes."""
        return _mixed([(share, _size(mode.defocus_um)) for share, mode in self._shares(self.modes)])

    def on_side(self, *, above: bool) -> Normal | None:
        """u_n over the modes on one side of focus; None where no mode that counts is there."""
        modes = [
            mode
            for mode in self.modes
            if (mode.defocus_px.mean > 0) == above and mode.cost < self.best.cost + _NEGLIGIBLE
        ]
        return _mixed([(share, mode.defocus_um) for share, mode in self._shares(modes)]) if modes else None

    def _shares(self, modes: Sequence[Mode]) -> list[tuple[float, Mode]]:
        # By likelihood at the maximum alone: Laplace's volumes mean nothing for modes that pass through
        # focus, where the blur does not depend on the defocus.
        weights = [math.exp(modes[0].cost - mode.cost) for mode in modes]
        return [(weight / sum(weights), mode) for weight, mode in zip(weights, modes, strict=True)]


def _above(value: Normal) -> float:
    return 0.5 * math.erfc(-value.mean / (value.sd * math.sqrt(2)))


def _size(value: Normal) -> Normal:
    return Normal(abs(value.mean), value.sd)


def _mixed(parts: Sequence[tuple[float, Normal]]) -> Normal:
    mean = sum(share * part.mean for share, part in parts)
    square = sum(share * (part.sd**2 + (part.mean - mean) ** 2) for share, part in parts)
    return Normal(mean, math.sqrt(square))


def fit(samples: Sequence[Sample], belief: Belief) -> ThroughFocus | None:
    """Fit the model to samples in order of time, at least one; None where nothing explains them.

    A sum of squares has a mode on each side of focus wherever the samples do not tell the sign, so it is
    minimised from several starts, and every mode that is found is kept.
    """
    from scipy.optimize import leastsq  # imported late: commands that never fit need not wait for it

    problem = _Problem(samples, belief)
    modes: list[Mode] = []

    def descend(start: Array) -> None:
        # With full_output it does not warn where it stops early: `mode` judges what it found.
        options = {"maxfev": 300, "xtol": 1e-4, "ftol": 1e-5, "full_output": True}
        values = leastsq(problem.residuals, start, Dfun=problem.slopes, **options)[0]
        mode = problem.mode(values)
        if mode is not None and not any(_same(mode, other) for other in modes):
            modes.append(mode)
            modes.sort(key=lambda mode: mode.cost)

    for start in problem.starts():
        descend(start)
    for start in problem.mirrored(modes[0]) if modes else ():
        descend(start)
    return ThroughFocus(problem.widened(modes)) if modes else None


def _same(one: Mode, other: Mode) -> bool:
    return bool(np.abs(one.values - other.values).max() < _SAME)


class _Problem:
    """Residuals of samples and beliefs, in standard deviations.

    Rows: a sample each (robust), a bend and a step of the drift each, beliefs.
    """

    def __init__(self, samples: Sequence[Sample], belief: Belief) -> None:
        self._count, self._belief = len(samples), belief
        self._logs = np.log([sample.sigma_px for sample in samples])
        self._sds = _WIDENING * np.hypot([sample.relative_sd for sample in samples], MODEL_SD)
        self._newest_um = samples[-1].z_um
        self._dz = np.array([sample.z_um for sample in samples]) - self._newest_um
        back = min(_RATE_FRAMES, len(samples) - 1)
        self._recent_s = samples[-1].at_s - samples[-1 - back].at_s
        self._linear = self._constant_slopes()

    def _constant_slopes(self) -> Array:
        """Jacobian of the rows that are linear in the values: bends, steps, beliefs."""
        size = self._count
        steps = np.diff(np.eye(size), axis=0)
        bends = np.diff(steps, axis=0)
        rows = np.vstack([bends / _BEND_PX, steps / STEP_PX, np.eye(size)[-1:] / _DEFOCUS_PX])
        return np.hstack([np.zeros((len(rows), 2)), rows])

    def starts(self) -> list[Array]:
        """The newest frame on either side of focus; the others where they fit it best, or as far off."""
        square = np.exp(2 * self._logs)
        floor = 0.98 * math.sqrt(float(square.min()))
        size = np.sqrt(square - floor**2)
        found = [
            np.array([math.log(floor), b, *_smoothest(size, math.exp(b) * self._dz, side)])
            for b in self._steepnesses(float(square.max() - square.min()))
            for side in (1, -1)
        ]
        a, b = self._belief.ln_floor.mean, self._belief.ln_steepness.mean
        found += [np.array([a, b, *np.full(self._count, side * size[-1])]) for side in (1, -1)]
        focus = self._belief.focus_um
        if focus is not None:
            found.append(
                np.array([a, b, *np.full(self._count, math.exp(b) * (self._newest_um - focus.mean))])
            )
        return found

    def _steepnesses(self, spread: float) -> list[float]:
        """``ln k`` as it is believed; where nothing is known of it, from how blur and coordinate range.

        A focus in the middle of the range, or at its end.
        """
        reach = float(np.ptp(self._dz))
        if self._belief.ln_steepness.sd <= 1 or reach <= 0 or spread <= 0:
            return [self._belief.ln_steepness.mean]
        return [0.5 * math.log(spread) - math.log(reach) + extra for extra in (0.0, math.log(2))]

    def mirrored(self, mode: Mode) -> list[Array]:
        """The mode with everything after a passage close to focus on the other side of it.

        There the samples do not tell whether focus was crossed or turned back from.
        """
        near = _exp(mode.values[0])
        defocus = _exp(mode.values[1]) * self._dz + mode.values[2:]
        size = np.abs(defocus)
        passages = [
            i
            for i in range(self._count)
            if size[i] < near
            and size[i] <= size[max(i - 1, 0)]
            and size[i] <= size[min(i + 1, self._count - 1)]
        ]
        found = []
        for i in passages[-_MOST_MIRRORED:]:
            turned = mode.values.copy()
            turned[2 + i :] -= 2 * defocus[i:]
            found.append(turned)
        return found

    def residuals(self, values: Array) -> Array:
        raw = self._raw(values)
        raw[: self._count] = _soft(raw[: self._count])
        return raw

    def slopes(self, values: Array) -> Array:
        """Jacobian of `residuals`."""
        raw, rows = self._raw(values), self._raw_slopes(values)
        rows[: self._count] *= _soft_slope(raw[: self._count])[:, None]
        return rows

    def mode(self, values: Array) -> Mode | None:
        """The mode at a minimum; None where its covariance is none."""
        residuals, rows = self.residuals(values), self.slopes(values)
        try:
            covariance = np.asarray(np.linalg.inv(rows.T @ rows), np.float64)
        except np.linalg.LinAlgError:
            return None
        if not np.isfinite(covariance).all() or not (np.diag(covariance) > 0).all():
            return None
        cost = 0.5 * float(residuals @ residuals)
        return Mode(np.asarray(values, np.float64), covariance, cost, self._recent_s)

    def widened(self, modes: list[Mode]) -> tuple[Mode, ...]:
        """The modes for samples that scatter more than they say; how much, the best mode tells."""
        own = self.residuals(modes[0].values)[: self._count]
        excess = max(1.0, float(own @ own) / self._count) if self._count >= _TELLING else 1.0
        return tuple(
            replace(mode, covariance=mode.covariance * excess, cost=mode.cost / excess) for mode in modes
        )

    def _raw(self, values: Array) -> Array:
        floor, k = _exp(values[0]), _exp(values[1])
        defocus = k * self._dz + values[2:]
        samples = (0.5 * np.log(floor**2 + defocus**2) - self._logs) / self._sds
        return np.concatenate([samples, self._linear @ values, self._believed(values)])

    def _raw_slopes(self, values: Array) -> Array:
        floor, k = _exp(values[0]), _exp(values[1])
        defocus = k * self._dz + values[2:]
        square = floor**2 + defocus**2
        samples = np.zeros((self._count, len(values)))
        samples[:, 0], samples[:, 1] = floor**2 / square, defocus * k * self._dz / square
        samples[:, 2:] = np.diag(defocus / square)
        samples /= self._sds[:, None]
        return np.vstack([samples, self._linear, self._believed_slopes(values)])

    def _believed(self, values: Array) -> Array:
        floor, steepness, focus = self._belief.ln_floor, self._belief.ln_steepness, self._belief.focus_um
        found = [(values[0] - floor.mean) / floor.sd, (values[1] - steepness.mean) / steepness.sd]
        if focus is not None:
            found.append((self._newest_um - values[2] / _exp(values[1]) - focus.mean) / focus.sd)
        return np.array(found)

    def _believed_slopes(self, values: Array) -> Array:
        rows = np.zeros((3 if self._belief.focus_um is not None else 2, len(values)))
        rows[0, 0], rows[1, 1] = 1 / self._belief.ln_floor.sd, 1 / self._belief.ln_steepness.sd
        if self._belief.focus_um is not None:
            scale = 1 / (_exp(values[1]) * self._belief.focus_um.sd)
            rows[2, 1], rows[2, 2] = values[2] * scale, -scale
        return rows


def _smoothest(size: Array, shifts: Array, side: int) -> Array:
    """Offsets that give every frame its defocus ``size`` with the least steps, from the newest one back."""
    found = np.empty_like(size)
    found[-1] = side * size[-1]
    for i in range(len(size) - 2, -1, -1):
        ahead, behind = size[i] - shifts[i], -size[i] - shifts[i]
        found[i] = ahead if abs(ahead - found[i + 1]) < abs(behind - found[i + 1]) else behind
    return found


def _exp(value: float) -> float:
    return math.exp(min(value, _LARGEST_LOG))


def _soft(residuals: Array) -> Array:
    """So that the sum of squares is a robust loss: beyond `_OUTLIER_SDS` a sample pulls ever less.

    With x = r / c the loss is ``2 c^2 (sqrt(1 + x^2) - 1)``: r^2 for small r, 2 c r for large ones.
    """
    x = residuals / _OUTLIER_SDS
    # sqrt(1 + x^2) - 1 without cancellation near 0.
    return np.asarray(residuals * np.sqrt(2 / (1 + np.sqrt(1 + x**2))), np.float64)


def _soft_slope(residuals: Array) -> Array:
    root = np.sqrt(1 + (residuals / _OUTLIER_SDS) ** 2)
    return np.asarray(np.sqrt((1 + root) / 2) / root, np.float64)
