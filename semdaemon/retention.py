"""What the journal forgets: history and focus maps of old frames, and frames whose files are gone.

A row stays as long as its file does, because it is the frame's identity: without it the frame would be
taken for a new one. Everything is done in small steps, so that frames never wait for it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from semdaemon.clock import ClockWatch
from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal
from semdaemon.journal.keeping import Old

_DAY_S = 86_400.0
_AT_ONCE = 50
_BETWEEN_STEPS_S = 0.1
_BETWEEN_SWEEPS_S = 600.0
_CLOCK_TRUSTED_S = 3600.0
_log = structlog.get_logger("semdaemon.retention")


class Retention:
    """Drops what is older than ``keep_days``, from a thread of its own.

    Parameters
    ----------
    keep_days
        Asked anew before each sweep, so that a reload counts; 0 keeps everything.
    """

    def __init__(
        self,
        journal: Journal,
        keep_days: Callable[[], float],
        *,
        wall: Callable[[], float] = time.time,
        clock: ClockWatch | None = None,
    ) -> None:
        self._journal, self._keep_days, self._wall = journal, keep_days, wall
        self._clock = clock or ClockWatch()
        self._steady, self._forget_due = time.monotonic, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin; the first sweep comes at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def sweep(self) -> tuple[int, int]:
        """One whole sweep: how many frames lost their history, how many were forgotten."""
        keep_days = self._keep_days()
        if not keep_days:
            return (0, 0)
        if abs(self._clock.set_by_s) > _CLOCK_TRUSTED_S:
            # A clock that jumped a year ahead would make everything old; the next start looks again.
            _log.warning("nothing is forgotten: the clock was set", by_s=round(self._clock.set_by_s))
            return (0, 0)
        dropped = self._drop(self._wall() - keep_days * _DAY_S)
        forgotten = 0
        if self._steady() >= self._forget_due:  # it asks the disk for every old file: not all the time
            forgotten = self._forget()
            self._forget_due = self._steady() + _DAY_S
        if dropped or forgotten:
            _log.info("old history dropped", frames=dropped, forgotten=forgotten, keep_days=keep_days)
        return (dropped, forgotten)

    # -- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.sweep()
            except SemdaemonError as error:
                _log.error("retention failed", code=error.code, error=str(error))
            except Exception:  # noqa: BLE001 - the thread's edge: logged, the next sweep tries again
                _log.exception("retention failed")
            self._stop.wait(_BETWEEN_SWEEPS_S)

    def _drop(self, before: float) -> int:
        dropped = 0
        while not self._stop.is_set() and (some := self._journal.drop_history(before, _AT_ONCE)):
            dropped += some
            self._journal.give_back_space()
            self._stop.wait(_BETWEEN_STEPS_S)
        return dropped

    def _forget(self) -> int:
        forgotten = key = 0
        while not self._stop.is_set() and (some := self._journal.dropped_after(key, _AT_ONCE)):
            key = some[-1].key
            gone = [each.key for each in some if is_gone(each)]
            if gone:
                forgotten += self._journal.forget(gone)
                self._journal.give_back_space()
            self._stop.wait(_BETWEEN_STEPS_S)
        return forgotten


def is_gone(frame: Old) -> bool:
    """Whether a frame's file is gone for good; a share that is not mounted proves nothing."""
    parts = len(frame.relative.parts)
    if len(frame.path.parents) < parts:
        return False
    root = frame.path.parents[parts - 1]
    try:
        frame.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return _has_something(root)
    except OSError:
        return False
    return False


def _has_something(root: Path) -> bool:
    """An unmounted share leaves an empty folder behind."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
