"""Who is to blame for a job that went wrong, the frame or the worker: the probe decides, no guess."""

from __future__ import annotations

from typing import Literal

Blame = Literal["frame", "worker", "undecided"]

DEATHS = frozenset({"worker_died", "worker_timeout", "worker_silent", "accelerator_fault"})
"""The process was lost in the middle of a job. The frame is tried once more, in a fresh process that passed
its probe; a frame that loses the worker twice is set aside."""

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
    ``undecided``: ask the probe first.
    """
    if code in DEATHS | SUSPICIOUS:
        return "undecided" if probe_passed is None else "frame" if probe_passed else "worker"
    return "frame"
