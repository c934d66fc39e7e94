"""A real worker with the real network whose address space is limited once the network is loaded (POSIX)."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from typing import Any

import psutil

from semdaemon.refocus import probe
from semdaemon.worker import job, process

ROOM = "TEST_WORKER_ROOM_BYTES"
_make_bench = job.make_bench


def limited(settings: dict[str, Any], send: Any) -> job.Bench:
    import resource

    bench = _make_bench(settings, send)
    probe.answer_of(bench.engine, bench.card.sigma_max_px)  # what torch allocates once is allocated
    most = psutil.Process().memory_info().vms + int(os.environ[ROOM])
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    return bench


def serve(pipe: Connection, settings_json: str) -> None:
    """As `semdaemon.worker.process.serve`, in as many bytes more as the environment says."""
    job.make_bench = limited  # type: ignore[assignment]
    process.serve(pipe, settings_json)
