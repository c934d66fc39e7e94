"""Whether the daemon still does its work: what feeds systemd's watchdog.

It is well while frames advance, while what waits has an excuse that a restart would not cure,
or while nothing waits and the worker's probe passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PROBE_EVERY_S = 60.0


@dataclass(frozen=True)
class Half:
    """One half of a frame's journey, and the thread that works on it.

    Attributes
    ----------
    still_for_s
        Since its thread last began a step, seconds.
    advances
        Steps that moved a frame, since the start.
    waiting
        A frame is due now.
    patience_s
        What the longest honest step may take, seconds.
    excuse
        Why frames may wait however long: a share that is gone, a full disk, a degraded worker.
    """

    name: str
    still_for_s: float
    advances: int
    waiting: bool
    patience_s: float
    excuse: str = ""


@dataclass(frozen=True)
class Verdict:
    """``why`` says what stands still, or what a long wait is excused by."""

    well: bool
    why: str = ""


class Watchdog:
    """Judges again and again; remembers since when each half stands still.

    Parameters
    ----------
    probe
        Asked where nothing waits, at most once a minute: does the worker really work?
    """

    def __init__(self, probe: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._probe, self._clock = probe, clock
        self._advances: dict[str, int] = {}
        self._quiet_since: dict[str, float] = {}
        self._probed_at: float | None = None
        self._passed = True

    def judge(self, halves: Sequence[Half], others: Sequence[str] = ()) -> Verdict:
        """How it is now.

        Parameters
        ----------
        others
            What else has ended and cannot come back by itself, in words.
        """
        if others:
            return Verdict(False, "; ".join(others))
        problems = [(problem, half.excuse) for half in halves if (problem := self._problem(half))]
        if bad := [problem for problem, excuse in problems if not excuse]:
            return Verdict(False, "; ".join(bad))
        if problems:
            return Verdict(True, "; ".join(f"{problem} ({excuse})" for problem, excuse in problems))
        if any(half.waiting for half in halves):
            return Verdict(True)
        return Verdict(True) if self._probe_passes() else Verdict(False, "idle, and the worker's probe fails")

    def _problem(self, half: Half) -> str:
        now = self._clock()
        if not half.waiting or self._advances.get(half.name) != half.advances:
            self._quiet_since[half.name] = now
            self._advances[half.name] = half.advances
        if half.still_for_s > half.patience_s:
            return f"thread {half.name} is at one step for {half.still_for_s:.0f} s"
        quiet_s = now - self._quiet_since[half.name]
        return f"frames wait for {half.name}, none advanced for {quiet_s:.0f} s" * (quiet_s > half.patience_s)

    def _probe_passes(self) -> bool:
        now = self._clock()
        if self._probed_at is None or now - self._probed_at >= PROBE_EVERY_S or not self._passed:
            self._probed_at, self._passed = now, self._probe()
        return self._passed
