"""A working thread: one step called again and again, whatever it raises, until the daemon stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from semdaemon.errors import SemdaemonError
from semdaemon.metrics import Metrics

_IDLE_S = 0.5
_SHORTEST_S = 0.005
_log = structlog.get_logger("semdaemon.daemon")


class WorkingThread:
    """Calls ``step`` in a thread of its own.

    ``advances`` counts the steps that did something; ``failing`` is the code of what the last step raised.

    Parameters
    ----------
    step
        Answers True where it did something; after False the thread waits for `wake`.
    stopping
        Ends the thread once the step in hand is done.
    between
        Called before each step.
    due_at
        When the next step is due, seconds since 1970; None where nothing is known to come.
        It waits half a second at most, for what other processes put into the journal.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        *,
        stopping: threading.Event,
        metrics: Metrics,
        between: Callable[[], object] = lambda: None,
        due_at: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.name = name
        self._step, self._stopping, self._metrics = step, stopping, metrics
        self._between, self._due_at = between, due_at
        self._woken = threading.Event()
        self.advances = 0
        self.failing = ""
        self._turned_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to call the step."""
        self._turned_at = time.monotonic()
        self._thread.start()

    def wake(self) -> None:
        """Something may be to do now; any thread may call."""
        self._woken.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; True where it ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """True from its start to its end."""
        return self._thread.is_alive()

    @property
    def still_for_s(self) -> float:
        """How long ago it last began a step, seconds."""
        return time.monotonic() - self._turned_at

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turned_at = time.monotonic()
            try:
                self._between()
                worked = self._step()
                self.failing = ""
                self.advances += worked
                if not worked:
                    self._woken.wait(self._pause_s())
                    self._woken.clear()
            except SemdaemonError as error:
                self._failed(error.code, error)
            except Exception as error:  # noqa: BLE001 - the thread's edge: logged, counted, the next frame goes on
                self._failed("unexpected", error)

    def _pause_s(self) -> float:
        due_at = self._due_at()
        return _IDLE_S if due_at is None else min(max(due_at - time.time(), _SHORTEST_S), _IDLE_S)

    def _failed(self, code: str, error: Exception) -> None:
        self.failing = code
        self._metrics.faults.labels(code).inc()
        _log.error(
            "step failed", thread=self.name, code=code, error=str(error), exc_info=code == "unexpected"
        )
        self._stopping.wait(_IDLE_S)
