"""Outcomes by condition and method, frame against frame, with the intervals that go with their means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from semdaemon.training.evaluation.measuring import INPUT, NETWORK, Outcome
from semdaemon.training.evaluation.plan import ORACLES

Values = npt.NDArray[np.float64]
What = Literal["psnr_db", "ssim", "in_focus_rms"]


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
