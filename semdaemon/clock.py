"""Jumps of the system's clock: told apart from time that passes."""

from __future__ import annotations

import time
from collections.abc import Callable

_JUMP_S = 1.0


class ClockWatch:
    """Compares the clock that people set with the one that only goes forward.

    Parameters
    ----------
    wall, steady
        Seconds since 1970, and seconds since whenever; tests give their own.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._steady = wall, steady
        self._offset_s = self._first_s = self._now_s()

    def jump_s(self) -> float:
        """By how many seconds the clock was set since the last call, forward positive; 0 where it was not.

        Slow corrections, as time servers make them, are no jump; the time of a suspend counts as one.
        """
        before, self._offset_s = self._offset_s, self._now_s()
        jump_s = self._offset_s - before
        return jump_s if abs(jump_s) >= _JUMP_S else 0.0

    @property
    def set_by_s(self) -> float:
        """By how much the clock was set since the start, jumps and corrections together."""
        return self._now_s() - self._first_s

    def _now_s(self) -> float:
        while True:
            before, wall, after = self._steady(), self._wall(), self._steady()
            if after - before < _JUMP_S / 2:  # else this thread was held up in between
                return wall - before
