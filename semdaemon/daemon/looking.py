"""What the watchdog is shown: the state of both working threads, taken from the parts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from semdaemon.daemon.parts import Parts
from semdaemon.daemon.threads import WorkingThread
from semdaemon.daemon.watchdog import Half

SCORE, REFOCUS = "score", "refocus"
WORKER_EXCUSED = ("degraded", "restarting", "starting")
_NO_ROOM_BYTES = 16 * 2**20
# What a thread says that cannot write its journal: no restart makes room on a disk.
_JOURNAL_CODES = ("journal_write", "journal_unwritable")


def halves(parts: Parts, threads: Sequence[WorkingThread]) -> list[Half]:
    """Both halves of the journey, as far as there are threads for them."""
    return [_half(parts, thread) for thread in threads]


def ended(parts: Parts, threads: Sequence[WorkingThread]) -> list[str]:
    """Threads that should run and do not, in words."""
    gone = [f"thread {thread.name} has ended" for thread in threads if not thread.alive]
    if parts.publisher is not None and not parts.publisher.alive:
        gone.append("the publisher's thread has ended")
    return gone


def space(parts: Parts) -> dict[str, Any]:
    """Room left where the daemon writes."""
    settings = parts.live.newest.settings
    places = {"state": settings.daemon.state_dir, "output": settings.output.folder}
    return {
        name: {"folder": str(folder), "free_bytes": parts.free_space.of(folder)}
        for name, folder in places.items()
    }


def _half(parts: Parts, thread: WorkingThread) -> Half:
    settings = parts.live.newest.settings
    patience_s, still_for_s, advances = settings.daemon.stall_s, thread.still_for_s, thread.advances
    worker = parts.worker
    if thread.name == REFOCUS and worker is not None:
        patience_s += worker.patience_s + settings.worker.start_timeout_s
        # A large frame may take half an hour, and gives signs of life all the while.
        quiet_s = worker.quiet_s
        still_for_s = still_for_s if quiet_s is None else min(still_for_s, quiet_s)
        advances += worker.signs
    return Half(
        name=thread.name,
        still_for_s=still_for_s,
        advances=advances,
        waiting=_waiting(parts, thread.name),
        patience_s=patience_s,
        excuse=_excuse(parts, thread),
    )


def _waiting(parts: Parts, name: str) -> bool:
    if name == REFOCUS:
        return parts.journal.counts()["scored"] > 0
    due_at = parts.journal.next_check_at()
    return due_at is not None and due_at <= time.time()


def _excuse(parts: Parts, thread: WorkingThread) -> str:
    if thread.failing in _JOURNAL_CODES or parts.journal.fault:
        return "the journal cannot be written"
    free = parts.free_space.of(parts.live.newest.settings.daemon.state_dir)
    if free is not None and free < _NO_ROOM_BYTES:
        return "the state folder's disk is full"
    gone = [root.detail for source in parts.sources for root in source.health().roots if not root.ok]
    if gone:
        return gone[0]
    if thread.name != REFOCUS or parts.worker is None:
        return parts.pipeline.silent if thread.name == SCORE else ""
    if waits := parts.pipeline.output_fault or parts.pipeline.away:
        return waits
    state = str(parts.worker.describe()["state"])
    return f"the worker is {state}" if state in WORKER_EXCUSED else ""
