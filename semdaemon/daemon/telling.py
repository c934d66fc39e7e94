"""What the daemon tells about itself: addresses, status, and metrics that are read when asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from semdaemon import __version__
from semdaemon.daemon.parts import Parts
from semdaemon.daemon.threads import WorkingThread
from semdaemon.metrics import Metrics
from semdaemon.sources import Source
from semdaemon.sources.pushed import PushedSource

_STALLED_S = 120.0


def addresses(parts: Parts) -> dict[str, str]:
    """Where the daemon can be reached; empty where it cannot."""
    publisher = parts.publisher
    return {
        "page": parts.page.url if parts.page is not None else "",
        "endpoint": publisher.endpoint if publisher is not None else "",
        "control": publisher.control_endpoint if publisher is not None else "",
        "pushed": next((each.endpoint for each in parts.sources if isinstance(each, PushedSource)), ""),
    }


def status(parts: Parts, threads: Sequence[WorkingThread], started_at: datetime) -> dict[str, Any]:
    """State of every part, plain JSON values."""
    worker, settings = parts.worker, parts.live.newest.settings
    return {
        "version": __version__,
        "pid": os.getpid(),
        "instrument": settings.daemon.instrument,
        "started_at": started_at.isoformat(),
        "settings_fingerprint": settings.fingerprint,
        "frames": parts.journal.counts(),
        "oldest_waiting_s": parts.journal.oldest_waiting_s(),
        "worker": {"state": "disabled"} if worker is None else worker.describe(),
        "sources": [_health(source) for source in parts.sources],
        "spool": parts.spool.describe(),
        "output": {"folder": str(settings.output.folder), "fault": parts.pipeline.output_fault},
        "threads_alive": not stalled(parts, threads),
        "addresses": addresses(parts),
    }


def stalled(parts: Parts, threads: Sequence[WorkingThread]) -> bool:
    """True where a working thread is at one step for longer than any step may take."""
    settings = parts.live.newest.settings
    if parts.publisher is not None and not parts.publisher.alive:
        return True
    # The supervisor bounds the worker's jobs, and only the thread that waits for them needs the patience.
    job_s = settings.worker.timeout_s + settings.worker.start_timeout_s
    patience_s = {"refocus": max(_STALLED_S, job_s)}
    return any(thread.still_for_s > patience_s.get(thread.name, _STALLED_S) for thread in threads)


def exposition(metrics: Metrics, parts: Parts) -> bytes:
    """Prometheus' text, with what only the parts know filled in."""
    metrics.oldest_waiting_seconds.set(parts.journal.oldest_waiting_s() or 0.0)
    if parts.worker is not None:
        worker = parts.worker.describe()
        metrics.worker_restarts.set(worker["restarts"])
        metrics.worker_probes_failed.set(worker["probes_failed"])
        metrics.worker_available.set(float(parts.worker.available))
        metrics.worker_degraded.set(float(parts.worker.degraded))
    if parts.publisher is not None:
        counters = parts.publisher.counters
        metrics.messages_dropped.set(sum(counters["shed"].values()) + sum(counters["withheld"].values()))
    return metrics.exposition()


def _health(source: Source) -> dict[str, Any]:
    return {str(key): _plain(value) for key, value in asdict(source.health()).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
