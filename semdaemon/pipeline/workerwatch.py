"""What the worker's faults mean for the frame in hand, and what is told of the worker; for one thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from semdaemon.errors import FrameError, SemdaemonError, WorkerError
from semdaemon.journal import Journal, Row
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.worker import LOSSES, MOST_LOSSES, Worker

MOST_ILLNESSES = 5
"""Losses that were excused are counted too: what always coincides is no accident."""

_log = structlog.get_logger("semdaemon.worker")


@dataclass
class WorkerWatch:
    """Stands between the journey of a frame and the worker."""

    worker: Worker
    journal: Journal
    outbound: Outbound
    metrics: Metrics
    changed: Callable[[], None] = lambda: None
    _suspect: int | None = None
    _said: set[str] = field(default_factory=set)  # codes told of the degraded state that lasts

    def is_up(self) -> bool:
        """Start the worker where it is down; one that does not come up is no fault of a frame."""
        try:
            self.worker.start()
        except WorkerError as error:
            self.metrics.faults.labels(error.code).inc()
            if self._suspect is not None and error.code not in ("worker_degraded", "worker_stopping"):
                # Not even the test picture is refocused now: the worker was ill, and the frame only there.
                self.journal.excuse(self._suspect, f"{error.code}: {error.message}")
                self._suspect = None
            return False
        finally:
            self.tell()
        self._suspect = None
        return True

    def verdict(self, row: Row) -> FrameError | None:
        """Why this frame is given to no worker any more; asked before each job, once the worker is up."""
        losses = self.journal.losses(row.key)
        if losses.counted < MOST_LOSSES and losses.in_all < MOST_ILLNESSES:
            return None
        if losses.last.startswith("out_of_memory"):
            return FrameError(
                "out_of_memory",
                f"{row.path}: two fresh workers had no memory for this frame; {losses.last}",
                remedy="Free memory, or bin the frame; then 'semdaemon requeue'.",
            )
        return FrameError(
            "quarantined",
            f"{row.path}: {losses.in_all} worker processes were lost over this frame; "
            f"the last time: {losses.last}.",
            remedy="'semdaemon refocus' tries the file alone; 'semdaemon requeue' gives it another chance.",
        )

    def lost(self, row: Row, error: WorkerError) -> None:
        """The worker gave no answer: what that means for the frame, on disk before anything else is done."""
        self.metrics.faults.labels(error.code).inc()
        detail = f"{error.code}: {error.message}"
        if error.code in LOSSES:
            losses = self.journal.worker_lost(row.key, detail)
            self._suspect = row.key
            _log.warning("worker lost", frame=row.frame_id, code=error.code, counted=losses.counted)
        elif error.code == "worker_sick":
            self.journal.worker_lost(row.key, detail)
            self.journal.excuse(row.key, "the test picture failed in the same process")
        else:
            # A stop, say: no fault of this frame, and its attempt does not count.
            self.journal.release(row.key)
        self.tell()

    def come_back(self) -> None:
        """Nothing waits: see whether a worker that failed works again, so that its state is true."""
        failed = self.worker.describe()["state"] in ("restarting", "degraded")
        if failed and self.worker.available and self.is_up():
            self.worker.probe()
            self.tell()

    def tell(self) -> None:
        """One fault when it becomes degraded, one for each other problem that comes in that time, one when
        it is over; none for each attempt between.
        """
        if not self.worker.degraded:
            if self._said:
                self._said.clear()
                recovered = SemdaemonError("worker_recovered", "The worker works again; refocusing goes on.")
                self._tell(recovered, self.worker.describe())
            return
        known = self.worker.describe()
        problem = str(known.get("last_code"))
        if problem not in self._said:
            self._said.add(problem)
            degraded = SemdaemonError(
                "worker_degraded",
                f"Refocusing pauses, scores go on: {known['last_fault']}",
                remedy="'semdaemon doctor' checks device and weights; it is tried again every minute.",
            )
            self._tell(degraded, known)

    def _tell(self, said: SemdaemonError, known: Mapping[str, Any]) -> None:
        self.metrics.faults.labels(said.code).inc()
        self.outbound.part_fault(said, part="worker")
        _log.warning("worker state", code=said.code, state=known["state"], fault=known["last_fault"])
        self.changed()
