"""Faults that outlast a frame (a full disk, say): told once, waited out, and told again when over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class StandingFault:
    """One thing that does not work just now, and when it is worth another try. Any thread may call.

    Parameters
    ----------
    first_s, longest_s
        The pause before the next try, seconds: doubled by each try that fails, until `over`.
    clock
        Monotonic seconds; a wall clock that jumps must not lengthen a pause.
    """

    def __init__(
        self, first_s: float = 1.0, longest_s: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._first_s, self._longest_s, self._clock = first_s, longest_s, clock
        self._lock = threading.Lock()
        self._text, self._since, self._pause_s, self._due = "", 0.0, 0.0, 0.0

    @property
    def text(self) -> str:
        """What is wrong; empty where nothing is."""
        return self._text

    @property
    def due(self) -> bool:
        """Whether another try is worth it now; always where nothing is wrong."""
        return not self._text or self._clock() >= self._due

    def stands(self, text: str) -> bool:
        """It does not work (still); True where it worked before, so that an outage is told once."""
        with self._lock:
            news = not self._text
            if news:
                self._since, self._pause_s = self._clock(), 0.0
            self._text = text
            if not news and self._clock() < self._due:
                return False  # others who fail in the meantime put the next try off no further
            self._pause_s = min(max(2 * self._pause_s, self._first_s), self._longest_s)
            self._due = self._clock() + self._pause_s
            return news

    def over(self) -> float | None:
        """It works (again); how long it did not, seconds, where that is news."""
        if not self._text:
            return None
        with self._lock:
            lasted_s = self._clock() - self._since if self._text else None
            self._text = ""
            return lasted_s
