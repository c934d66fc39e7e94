"""How the worker is: its state, its pauses after failures, its last probe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from semdaemon.refocus.probe import ProbeResult

LONGEST_PAUSE_S = 60.0

Phase = Literal["stopped", "starting", "ready", "busy", "restarting"]


@dataclass
class Job:
    """The frame in the worker now; tiles of all its passes so far."""

    frame_id: str
    began_at: float
    heard_at: float
    tiles_done: int = 0
    tiles_total: int = 0

    def as_dict(self, now: float) -> dict[str, Any]:
        return {
            "frame": self.frame_id,
            "tiles_done": self.tiles_done,
            "tiles_total": self.tiles_total,
            "running_s": round(now - self.began_at, 1),
            "quiet_s": round(now - self.heard_at, 1),
        }


@dataclass
class Health:
    """Written by the thread that talks to the worker, read by any.

    Up to ``max_restarts`` failures in a row the state is ``restarting`` and the pauses double;
    from then on, or where trying again at once cannot help, it is ``degraded`` and the pause the longest.
    """

    backoff_s: float
    max_restarts: int
    clock: Callable[[], float] = time.monotonic
    phase: Phase = "stopped"
    degraded: bool = False
    restarts: int = 0
    signs: int = 0
    failures_in_a_row: int = 0
    retry_at: float = 0.0
    failed_in_job: bool = False
    last_fault: str | None = None
    last_code: str | None = None
    job: Job | None = None
    probe: ProbeResult | None = None
    probed_at: datetime | None = None
    probes_failed: int = 0
    description: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The phase, or ``degraded`` until it is known that the worker works again."""
        return "degraded" if self.degraded and self.phase != "stopped" else self.phase

    @property
    def pausing(self) -> bool:
        """True while the pause after a failure lasts."""
        return self.phase == "restarting" and self.clock() < self.retry_at

    def failed(self, code: str, fault: str, *, lasting: bool = False, in_job: bool = False) -> float:
        """Count a failure; returns the pause before the next start, seconds.

        Parameters
        ----------
        lasting
            Missing weights, say: quick retries are useless, and a person should know at once.
        in_job
            It had started well.
        """
        self.failed_in_job = in_job
        self.last_code, self.last_fault, self.job = code, fault, None
        self.restarts += 1
        self.failures_in_a_row += 1
        too_often = self.failures_in_a_row > self.max_restarts
        doubled_s = self.backoff_s * 2 ** min(self.failures_in_a_row - 1, 30)
        pause_s = LONGEST_PAUSE_S if too_often else min(LONGEST_PAUSE_S, doubled_s)
        self.retry_at = self.clock() + pause_s
        self.degraded = self.degraded or too_often or lasting
        self.phase = "restarting"
        return pause_s

    def begin_anew(self, backoff_s: float, max_restarts: int) -> None:
        """By other settings: the next start is tried at once; ``degraded`` ends when that works."""
        self.backoff_s, self.max_restarts = backoff_s, max_restarts
        self.phase, self.job, self.retry_at, self.failures_in_a_row = "stopped", None, 0.0, 0

    def gone(self, fault: str) -> None:
        """It was lost while it was idle: started again without a pause, unless that goes on and on."""
        self.last_code, self.last_fault, self.job = "worker_gone", fault, None
        self.failed_in_job = True
        self.restarts += 1
        self.failures_in_a_row += 1
        self.phase = "stopped"

    def begin(self, frame_id: str) -> None:
        """A frame is given to the process."""
        now = self.clock()
        self.phase, self.job = "busy", Job(frame_id, now, now)

    def hear(self, tiles_done: int | None = None, tiles_total: int | None = None) -> None:
        """A sign of life from the process, with how far it is where it says so."""
        job = self.job
        if job is None:
            return
        self.signs += 1
        job.heard_at = self.clock()
        if tiles_done is not None and tiles_total is not None:
            job.tiles_done, job.tiles_total = tiles_done, tiles_total

    def probed(self, result: ProbeResult) -> None:
        """Note how a probe ended."""
        self.probe, self.probed_at = result, datetime.now(UTC)
        self.probes_failed += not result.passed

    def started(self) -> None:
        """The process is up and passed its probe.

        Where it failed in one job after the other that proves little: then only a job that ends, or a probe
        while nothing waits, ends ``degraded`` and the growing of pauses.
        """
        self.phase = "ready"
        if not self.failed_in_job:
            self.recovered()

    def recovered(self) -> None:
        """What failed before is over."""
        self.degraded, self.failures_in_a_row = False, 0

    def served(self) -> None:
        """A job came to its end."""
        self.phase, self.job = "ready", None
        self.recovered()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for status, page and metrics."""
        now, job, probe = self.clock(), self.job, self.probe
        return {
            "state": self.state,
            "restarts": self.restarts,
            "failures_in_a_row": self.failures_in_a_row,
            "last_fault": self.last_fault,
            "last_code": self.last_code,
            "retry_in_s": round(max(0.0, self.retry_at - now), 1) if self.pausing else None,
            "job": None if job is None else job.as_dict(now),
            "probed_at": None if self.probed_at is None else self.probed_at.isoformat(timespec="seconds"),
            "probe": None if probe is None else probe.as_dict(),
            "probes_failed": self.probes_failed,
            **self.description,
        }
