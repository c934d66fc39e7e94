"""Whether a run's sample is tilted so far that a part of every frame is out of focus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from semdaemon.advice.alarm import Standing, alarm_after
from semdaemon.advice.belief import Normal
from semdaemon.focus import BEYOND_REPAIR, BLURRED, FocusMap
from semdaemon.focus.plane import Plane

_SIGNIFICANT_SDS = 2.0


@dataclass(frozen=True, slots=True)
class TiltAdvice:
    """How a frame's sample is tilted against the plane of focus.

    Attributes
    ----------
    tilt_px
        Change of blur over 1000 px of the frame.
    direction_deg
        Where blur rises: 0 to the right, 90 down.
    tilt_deg
        Of the sample; None where the beam's half angle is not set.
    """

    tilt_px: Normal
    direction_deg: float
    tilt_deg: float | None


@dataclass
class TiltAlarm:
    """Hysteresis over the frames of a run.

    Attributes
    ----------
    alarm, streak
        Whether the sample counts as tilted, and how many frames in a row speak against that.
    told_px
        The tilt of the newest frame in which it was significant.
    """

    alarm: bool = False
    streak: int = 0
    told_px: float = math.inf

    @classmethod
    def recalled(cls, told_px: object) -> TiltAlarm:
        """As the journal knows it: the tilt that was told, or None where there was no alarm."""
        known = isinstance(told_px, (int, float)) and not isinstance(told_px, bool)
        return cls(alarm=True, told_px=float(told_px)) if known else cls()  # type: ignore[arg-type]

    def see(self, focus: FocusMap) -> None:
        """Take the run's newest frame in."""
        self.alarm, self.streak = alarm_after(self.alarm, self.streak, tilt_standing(focus, self.told_px))
        plane = focus.survey.plane
        if plane is not None and plane.tilted:
            self.told_px = plane.tilt_px


def tilt_standing(focus: FocusMap, told_px: float = math.inf) -> Standing:
    """Whether a frame shows a tilt that matters, or that there is none.

    A tilt matters where it is significant and tiles are out of focus.
    One that is not significant speaks for a level sample only where it is surely less than what was told
    before: a frame that tells little must not end an alarm.
    """
    plane = focus.survey.plane
    if plane is None or plane.step is not None:
        return "between"
    if plane.tilted:
        lost = np.isin(focus.verdict, (BLURRED, BEYOND_REPAIR)).any()
        return "out" if lost else "in"
    return "in" if plane.tilt_px + _SIGNIFICANT_SDS * plane.tilt_sd_px < told_px else "between"


def tilt_advice(plane: Plane, aperture_rad: float | None) -> TiltAdvice:
    """What is said of a frame's plane of focus."""
    degrees = plane.sample_tilt_deg(aperture_rad) if aperture_rad else None
    return TiltAdvice(Normal(plane.tilt_px, plane.tilt_sd_px), plane.direction_deg, degrees)
