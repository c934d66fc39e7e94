"""Outcomes by condition and method, frame against frame, with the intervals that go with their means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from semdaemon.training.evaluation.measuring import INPUT, NETWORK, Outcome
from semdaemon.training.evaluation.plan import ORACLES

Values = npt.NDArray[np.float64]
What = Literal["psnr_db", "ssim", "in_focus_rms"]

CONFIDENCE = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean over frames and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def rounded(self, digits: int) -> list[float]:
        """``[low, high]``, rounded outwards so that it still holds what it held."""
        unit = 10.0**-digits
        low, high = np.floor(self.low / unit) * unit, np.ceil(self.high / unit) * unit
        return [round(float(low), digits), round(float(high), digits)]


def mean_interval(values: npt.ArrayLike) -> Interval:
    """Bootstrap over frames (percentiles of 2000 resamples, Efron 1979), always with the same seed."""
    data = np.asarray(values, np.float64)
    mean = float(data.mean())
    if data.size < 2 or np.ptp(data) == 0:
        return Interval(mean, mean, mean)
    found = stats.bootstrap(
        (data,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


class Results:
    """Everything that was measured on one set of frames."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.outcomes = list(outcomes)
        self.frames = list(dict.fromkeys(o.frame for o in self.outcomes))
        self.conditions = list(dict.fromkeys(o.condition for o in self.outcomes))
        self._by: dict[tuple[str, str], list[Outcome]] = {}
        for outcome in self.outcomes:
            self._by.setdefault((outcome.condition, outcome.method), []).append(outcome)

    def of_frames(self, names: Sequence[str]) -> Results:
        """The part measured on the named frames."""
        wanted = set(names)
        return Results(o for o in self.outcomes if o.frame in wanted)

    def has(self, condition: str, method: str = NETWORK) -> bool:
        return (condition, method) in self._by

    def values(self, condition: str, method: str, what: What = "psnr_db") -> Values:
        """One figure a frame, in the order of `frames`."""
        return np.array([getattr(o, what) for o in self._by[condition, method]], np.float64)

    def gain(self, condition: str, method: str = NETWORK, what: What = "psnr_db") -> Values:
        """One difference to the input a frame."""
        return self.values(condition, method, what) - self.values(condition, INPUT, what)

    def best_oracle(self, condition: str, what: What = "psnr_db") -> str:
        """The classical method with the highest mean among those told probe and truth."""
        there = [name for name in ORACLES if self.has(condition, name)]
        return max(there, key=lambda name: float(self.values(condition, name, what).mean()))

    def margin(self, condition: str, what: What = "psnr_db") -> Values:
        """The network less the best classical method, one difference a frame."""
        best = self.best_oracle(condition, what)
        return self.values(condition, NETWORK, what) - self.values(condition, best, what)

    def band_gain_db(self, condition: str, method: str = NETWORK) -> Values:
        """Error of the input over that of a method in each band, decibels, (frames, bands)."""
        before, after = (
            np.array([o.error_by_band for o in self._by[condition, name]]) for name in (INPUT, method)
        )
        return np.asarray(10 * np.log10(np.maximum(before, 1e-12) / np.maximum(after, 1e-12)))

    def worst(self, condition: str, method: str = NETWORK) -> tuple[str, float]:
        """The frame that gained least over its input, and its gain in decibels."""
        gain = self.gain(condition, method)
        frames = [o.frame for o in self._by[condition, method]]
        return frames[int(np.argmin(gain))], float(gain.min())

    def as_facts(self) -> list[dict[str, Any]]:
        """One mapping an outcome, rounded, for JSON."""
        return [
            {
                "condition": o.condition,
                "method": o.method,
                "frame": o.frame,
                "psnr_db": round(o.psnr_db, 3),
                "ssim": round(o.ssim, 4),
                "in_focus_rms": None if o.in_focus_rms is None else round(o.in_focus_rms, 5),
            }
            for o in self.outcomes
        ]
