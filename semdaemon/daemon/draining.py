"""How the working threads end: what they have in hand is finished within a bound, or given up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from semdaemon.daemon.threads import WorkingThread
from semdaemon.worker import Worker

GIVEN_UP_S = 2.0
_TURN_S = 0.05


def drain(
    threads: Sequence[WorkingThread], worker: Worker | None, drain_s: float, hurried: Callable[[], bool]
) -> bool:
    """Wait for threads that were told to stop; True where they ended what they had in hand.

    Parameters
    ----------
    drain_s
        Then the job in the worker is given up; its frame stays scored and is taken up at the next start.
    hurried
        True from when on nobody wants to wait.
    """
    for thread in threads:
        thread.wake()
    deadline = time.monotonic() + drain_s
    while not (drained := _ended(threads)) and not hurried() and time.monotonic() < deadline:
        time.sleep(_TURN_S)
    if not drained and worker is not None:
        worker.stop()
    given_up_at = time.monotonic() + GIVEN_UP_S
    for thread in threads:
        thread.join(max(0.0, given_up_at - time.monotonic()))
    return drained


def _ended(threads: Sequence[WorkingThread]) -> bool:
    return all(thread.join(0) for thread in threads)
