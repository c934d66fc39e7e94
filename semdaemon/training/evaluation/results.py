"""Outcomes by condition and method, frame against frame, with the intervals that go with their means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from semdaemon.training.evaluation.measuring import INPUT, NETWORK, Outcome
from semdaemon.training.evaluation.plan import ORACLES
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.intervals import Drawn, Interval, drawn, mean_interval

Values = npt.NDArray[np.float64]
What = Literal["psnr_db", "ssim", "in_focus_rms"]


class Results:
    """Everything that was measured on one set of frames.

    Parameters
    ----------
    scenes
        The frames that were measured, for their specimen groups and whether they are soft; without them
        groups are not known and intervals are over frames.
    """

    def __init__(self, outcomes: Iterable[Outcome], scenes: Sequence[Scene] = ()) -> None:
        self.outcomes = list(outcomes)
        self.scenes = {scene.name: scene for scene in scenes}
        self.frames = list(dict.fromkeys(o.frame for o in self.outcomes))
        self.conditions = list(dict.fromkeys(o.condition for o in self.outcomes))
        self._by: dict[tuple[str, str], list[Outcome]] = {}
        for outcome in self.outcomes:
            self._by.setdefault((outcome.condition, outcome.method), []).append(outcome)

    def of_frames(self, names: Sequence[str]) -> Results:
        """The part measured on the named frames."""
        wanted = set(names)
        return Results((o for o in self.outcomes if o.frame in wanted), list(self.scenes.values()))

    def has(self, condition: str, method: str = NETWORK) -> bool:
        return (condition, method) in self._by

    def values(self, condition: str, method: str, what: What = "psnr_db") -> Values:
        """One figure a frame, in the order of `frames`."""
        return np.array([getattr(o, what) for o in self._by[condition, method]], np.float64)

    @property
    def groups(self) -> list[str] | None:
        """The specimen group of each frame, in the order of `values`; None where nobody knows them."""
        if not self.scenes or not self._by:
            return None
        return [self.scenes[o.frame].specimen for o in next(iter(self._by.values()))]

    @property
    def drawn(self) -> Drawn:
        """What intervals draw."""
        return drawn(len(self.frames), self.groups)

    def interval(self, values: Values) -> Interval:
        """The mean of one figure a frame, and how sure it is."""
        return mean_interval(values, self.groups)

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

    def frame_facts(self) -> list[dict[str, Any]]:
        """One mapping a frame, for JSON: its specimen group, and whether its truth is soft."""
        known = [(name, self.scenes.get(name)) for name in self.frames]
        return [
            {"frame": name, "group": scene and scene.specimen, "soft": scene and scene.soft}
            for name, scene in known
        ]

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
