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
from dataclasses import replace

import numpy as np

from semdaemon.advice.belief import Belief, Sample
from semdaemon.advice.throughfocus import RATE_FRAMES, Array, Mode, ThroughFocus

MODEL_SD = 0.05
"""Of ln sigma, beside what the frame says of itself: scorers and specimens are no better than this."""

STEP_PX, _BEND_PX = 0.4, 0.1
"""What focus drifts from frame to frame, and how much that changes: standard deviations, pixels of blur."""

_OUTLIER_SDS = 2.0
_WIDENING = 1.4
"""Of the samples: linearised at a minimum, uncertainties come out too narrow (see the tests)."""

_DEFOCUS_PX = 20.0
_SAME = 0.1
_MOST_MIRRORED = 2
_TELLING = 8
_LARGEST_LOG = 60.0


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
        back = min(RATE_FRAMES, len(samples) - 1)
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
