"""Hysteresis: an alarm is raised, and ends, when frames in a row agree about it."""

from __future__ import annotations

from typing import Literal

PATIENCE = 2
"""Frames in a row that must agree before an alarm is raised or ends."""

Standing = Literal["out", "between", "in"]
"""What one frame says about an alarm: raise it, leave it as it is, end it."""


def alarm_after(alarm: bool, streak: int, now: Standing) -> tuple[bool, int]:
    """The alarm and the count of frames that speak against it, after one more frame."""
    against = now == ("in" if alarm else "out")
    streak = streak + 1 if against else 0
    return (not alarm, 0) if streak >= PATIENCE else (alarm, streak)
