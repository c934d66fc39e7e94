"""Feeds systemd's watchdog while the daemon is well, and keeps what was judged for the status."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import structlog

from semdaemon import systemd
from semdaemon.daemon.looking import WORKER_EXCUSED, ended, halves
from semdaemon.daemon.parts import Parts
from semdaemon.daemon.threads import WorkingThread
from semdaemon.daemon.watchdog import Verdict, Watchdog

_JUDGE_EVERY_S = 2.0
_STALE_S = 60.0
_PROBE_S = 20.0
_log = structlog.get_logger("semdaemon.daemon")


class Feeding:
    """The watchdog thread's work: a probe that hangs holds up this thread alone, and feeds nothing."""

    def __init__(self, parts: Parts, threads: Sequence[WorkingThread]) -> None:
        self._parts, self._threads = parts, threads
        self._watchdog = Watchdog(self._probe)
        self._every_s = min(systemd.watchdog_interval_s() or _JUDGE_EVERY_S, _JUDGE_EVERY_S)
        self._verdict = Verdict(True)
        self._judged_at = time.monotonic()

    def step(self) -> bool:
        """Judge and feed, where it is time to; never has more to do at once."""
        if time.monotonic() - self._judged_at < self._every_s:
            return False
        verdict = self._watchdog.judge(halves(self._parts, self._threads), ended(self._parts, self._threads))
        if verdict.well != self._verdict.well:
            told = _log.info if verdict.well else _log.error
            told("work goes on" if verdict.well else "work stands still", why=verdict.why)
        self._verdict, self._judged_at = verdict, time.monotonic()
        systemd.notify(f"STATUS={self._said()}" + "\nWATCHDOG=1" * verdict.well)
        return False

    def describe(self) -> dict[str, Any]:
        """The last verdict; an old one is no good news."""
        age_s = time.monotonic() - self._judged_at
        if age_s > _STALE_S:
            return {"well": False, "why": f"the watchdog's own thread stands still for {age_s:.0f} s"}
        return {"well": self._verdict.well, "why": self._verdict.why}

    def _probe(self) -> bool:
        worker = self._parts.worker
        if worker is None or worker.describe()["state"] in WORKER_EXCUSED:
            return True  # it is known to be ill and starts again by itself: no news, and nothing to restart
        return worker.probe(_PROBE_S)

    def _said(self) -> str:
        counts = self._parts.journal.counts()
        said = ", ".join(f"{number} {state}" for state, number in counts.items() if number) or "no frame yet"
        return f"{said}; {self._verdict.why}" if self._verdict.why else said
