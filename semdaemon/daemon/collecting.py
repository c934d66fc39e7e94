"""Metrics that only the parts know, read when Prometheus asks."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from semdaemon import __version__
from semdaemon.daemon.looking import space
from semdaemon.daemon.parts import Parts
from semdaemon.daemon.reload import Reloading
from semdaemon.health import alive, answer, ready
from semdaemon.worker import Worker

_WORKER_STATES = ("stopped", "starting", "ready", "busy", "restarting", "degraded", "disabled")


class PartsCollector(Collector):
    """Asks every part at each scrape.

    Parameters
    ----------
    status
        As the page tells it: health is judged by the same rules.
    """

    def __init__(self, parts: Parts, reloading: Reloading, started_at: datetime, status: Any) -> None:
        self._parts, self._reloading, self._status = parts, reloading, status
        self._started_at = started_at

    def collect(self) -> Iterator[Metric]:
        """Every family, with its present values."""
        status = self._status()
        yield from _about_daemon(status, self._started_at)
        yield from _about_journal(self._parts)
        yield from _about_sources(status)
        yield from _about_worker(status["worker"], self._parts.worker)
        yield from _about_spool(status["spool"])
        yield from _about_settings(self._reloading)
        yield from _about_room(self._parts)
        yield from _about_memory(status["worker"].get("pid"))


def _about_daemon(status: dict[str, Any], started_at: datetime) -> Iterator[Metric]:
    build = GaugeMetricFamily("semdaemon_build_info", "Always 1.", labels=("version", "python", "instrument"))
    build.add_metric((__version__, platform.python_version(), status["instrument"]), 1)
    yield build
    yield _gauge("semdaemon_start_time_seconds", "When it started, since 1970.", started_at.timestamp())
    yield _gauge("semdaemon_alive", "1 as /healthz says 200.", answer(alive(status))[1])
    yield _gauge("semdaemon_ready", "1 as /readyz says 200.", answer(ready(status))[1])


def _about_journal(parts: Parts) -> Iterator[Metric]:
    frames = GaugeMetricFamily(
        "semdaemon_journal_frames",
        "Frames in the journal, earlier runs included.",
        labels=("state",),
    )
    for state, number in parts.journal.counts().items():
        frames.add_metric((state,), number)
    yield frames
    oldest_s = parts.journal.oldest_waiting_s() or 0.0
    yield _gauge("semdaemon_oldest_waiting_seconds", "Age of the oldest frame under way.", oldest_s)
    size = sum(_size(f"{parts.journal.path}{suffix}") for suffix in ("", "-wal"))
    yield _gauge("semdaemon_journal_bytes", "The journal's files.", size)


def _about_sources(status: dict[str, Any]) -> Iterator[Metric]:
    up = GaugeMetricFamily("semdaemon_source_up", "1 while the source is well.", labels=("source",))
    waits = GaugeMetricFamily(
        "semdaemon_source_waiting", "1 while it waits for a program that nobody started.", labels=("source",)
    )
    events = CounterMetricFamily(
        "semdaemon_source_events", "What a source took and what it could not, since the start.",
        labels=("source", "event"),
    )  # fmt: skip
    files = GaugeMetricFamily(
        "semdaemon_source_files", "Files that the last scan found.", labels=("source", "folder")
    )
    scans = GaugeMetricFamily(
        "semdaemon_source_scan_seconds", "What the last scan took.", labels=("source", "folder")
    )
    for source in status["sources"]:
        name = source["name"]
        up.add_metric((name,), float(source["ok"]))
        waits.add_metric((name,), float(source["waiting"]))
        for event, number in source["counters"].items():
            events.add_metric((name, event), number)
        for root in source["roots"]:
            files.add_metric((name, root["path"]), root["files"])
            if root["last_scan_s"] is not None:
                scans.add_metric((name, root["path"]), root["last_scan_s"])
    yield from (up, waits, events, files, scans)


def _about_worker(worker: dict[str, Any], asked: Worker | None) -> Iterator[Metric]:
    state = GaugeMetricFamily("semdaemon_worker_state", "1 for the state it is in.", labels=("state",))
    for name in _WORKER_STATES:
        state.add_metric((name,), float(worker["state"] == name))
    yield state
    if asked is not None:
        available, degraded = asked.available, asked.degraded
        yield _gauge("semdaemon_worker_available", "0 while it pauses after a failure.", available)
        yield _gauge("semdaemon_worker_degraded", "1 from failing too often until it works again.", degraded)
    yield _counter("semdaemon_worker_restarts", "Worker processes replaced.", worker.get("restarts", 0))
    failed = worker.get("probes_failed", 0)
    yield _counter("semdaemon_worker_probes_failed", "Probes that the worker did not pass.", failed)


def _about_spool(spool: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("semdaemon_spool_waiting_bytes", "Frames from memory that wait.", spool["waiting_bytes"])
    yield _gauge("semdaemon_spool_waiting_frames", "How many they are.", spool["waiting"])
    yield _gauge("semdaemon_spool_kept_bytes", "Finished ones kept for the page.", spool["kept_bytes"])
    yield _counter(
        "semdaemon_spool_dropped", "Frames from memory given up for want of room.", spool["dropped"]
    )


def _about_settings(reloading: Reloading) -> Iterator[Metric]:
    told = reloading.describe()
    settings = GaugeMetricFamily("semdaemon_settings_info", "Always 1.", labels=("fingerprint",))
    settings.add_metric((told["fingerprint"],), 1)
    yield settings
    yield _counter("semdaemon_settings_reloads", "Reloads that took effect.", told["reloads"])
    failed = float(told["reload_error"] is not None)
    yield _gauge("semdaemon_settings_reload_failed", "1 while the last reload failed.", failed)
    waiting = len(told["restart_needed"])
    yield _gauge("semdaemon_settings_restart_needed", "Changed keys that wait for a restart.", waiting)


def _about_room(parts: Parts) -> Iterator[Metric]:
    free = GaugeMetricFamily("semdaemon_free_bytes", "Room left where it writes.", labels=("place",))
    for place, left in space(parts).items():
        if left["free_bytes"] is not None:
            free.add_metric((place,), left["free_bytes"])
    yield free


def _about_memory(worker_pid: int | None) -> Iterator[Metric]:
    memory = GaugeMetricFamily("semdaemon_resident_memory_bytes", "Memory in use.", labels=("process",))
    for name, pid in (("daemon", os.getpid()), ("worker", worker_pid)):
        if pid is not None:
            with suppress(psutil.Error):
                memory.add_metric((name,), psutil.Process(pid).memory_info().rss)
    yield memory


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=float(value))


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value=float(value))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a name with a suffix, no path to build
    except OSError:
        return 0
