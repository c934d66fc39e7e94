"""Who is to blame for a job that went wrong, the frame or the worker: the probe decides, no guess."""

from __future__ import annotations

from typing import Literal

Blame = Literal["frame", "worker", "undecided"]

DEATHS = frozenset({"worker_died", "worker_timeout", "worker_silent", "accelerator_fault"})
"""The process was lost in the middle of a job. The frame is tried once more, in a fresh process that passed
its probe; a frame that loses the worker twice is set aside."""

LOSSES = DEATHS | {"out_of_memory"}
"""Codes of a `WorkerError` that count against the frame: also a process that has no memory left for the test
picture after a frame took it all. It is replaced, since its memory may be in pieces; a fresh one can tell."""

MOST_LOSSES = 2
"""So many worker processes may be lost over one frame; then it is set aside."""

SUSPICIOUS = frozenset({"worker_exception", "out_of_memory", "not_finite"})
"""The process lives and says that a job failed in a way that a sick device or a bad frame could cause."""


def blame(code: str, probe_passed: bool | None = None) -> Blame:
    """Decide.

    Parameters
    ----------
    code
        Of the fault that ended the job.
    probe_passed
        How the probe after it ended: in the same process after `SUSPICIOUS`, in the fresh one after `DEATHS`;
        None where none has run yet.

    Returns
    -------
    ``frame``: it is recorded with its code (after `DEATHS`, its death counts).
    ``worker``: the process is replaced after a pause, and nothing counts against the frame.
    ``undecided``: ask the probe first; where it failed already, the one of a fresh process.
    """
    if code not in DEATHS | SUSPICIOUS:
        return "frame"
    if probe_passed is None or (code == "out_of_memory" and not probe_passed):
        return "undecided"
    return "frame" if probe_passed else "worker"
