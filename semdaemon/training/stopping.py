"""When a training stops before its end: asked to by a signal, or at the end of its slice of time."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

from semdaemon.errors import SemdaemonError


class TrainingStoppedError(SemdaemonError):
    """A training that was saved and stopped before its end.

    ``exit_code`` is 0 at the end of a slice of time; after a signal it is 128 and the signal's number.
    """

    exit_code = 0

    @classmethod
    def after(cls, iteration: int, done: float, exit_code: int) -> TrainingStoppedError:
        """Of a training that was saved at ``iteration``, ``done`` of its plan (0 to 1)."""
        why = "at the end of its slice of time" if exit_code == 0 else "by a signal"
        error = cls(
            "training_stopped",
            f"Stopped {why} at iteration {iteration} ({100 * done:.0f} % of the plan), saved.",
            remedy="The same command goes on from here.",
        )
        error.exit_code = exit_code
        return error


class Stop:
    """Tells whether to stop; between ``with``, SIGINT and SIGTERM only ask for it.

    A second signal of the kind does what it does without us: it ends the program at once.
    """

    def __init__(self, after_minutes: float | None = None) -> None:
        self.signal: int | None = None
        self._ends_at = time.monotonic() + 60 * after_minutes if after_minutes else None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, self._before[number])  # type: ignore[arg-type]

    @property
    def exit_code(self) -> int | None:
        """What the program is to end with; None while the training goes on."""
        if self.signal is not None:
            return 128 + self.signal
        return 0 if self._ends_at is not None and time.monotonic() >= self._ends_at else None
