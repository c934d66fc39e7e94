"""SIGSTOP: a worker that hangs, a daemon that stands still."""

from __future__ import annotations

import signal
import time

from ..lab import Lab, resume
from ..scenario import Plan, Scenario

TIMEOUT_S = 3.0


def act(lab: Lab, plan: Plan) -> None:
    """Worker stopped beyond its time-out or shortly, daemon stopped and continued, while frames come in."""
    until, turn = plan.until, 0
    while turn < 1 or time.monotonic() < until:
        turn += 1
        if lab.waiting() < 40:
            lab.write_many(10)
        what = lab.rng.random()
        if what < 0.35:
            _hang_worker(lab)
        elif what < 0.6:
            _pause_worker(lab)
        else:
            _pause_daemon(lab)
        lab.pause(0.2, 2.0)
    resume(lab.worker())


def _hang_worker(lab: Lab) -> None:
    """Stopped for good: it must be noticed, killed and replaced."""
    worker = lab.worker()
    if worker is not None:
        worker.suspend()
        lab.did["SIGSTOP of the worker, for good"] += 1
        # Until the daemon gave up on it; an idle one is noticed with the next frame that needs it.
        deadline = time.monotonic() + 3 * TIMEOUT_S
        while worker.is_running() and time.monotonic() < deadline:
            lab.write("blurred")
            time.sleep(0.5)


def _pause_worker(lab: Lab) -> None:
    worker = lab.worker()
    if worker is not None:
        worker.suspend()
        lab.pause(0.1, TIMEOUT_S / 2)
        resume(worker)
        lab.did["SIGSTOP of the worker, and on within its time"] += 1


def _pause_daemon(lab: Lab) -> None:
    lab.signal(signal.SIGSTOP)
    lab.write_many(3)
    lab.pause(0.1, 4.0)
    lab.signal(signal.SIGCONT)
    lab.did["SIGSTOP and SIGCONT of the daemon"] += 1


SCENARIO = Scenario(
    name="stop",
    title="SIGSTOP",
    did=f"worker stopped for good (its time-out set to {TIMEOUT_S:g} s) or shortly; daemon stopped for up to "
    "4 s while frames come in",
    not_shown="A GPU driver that hangs in the kernel, where kill -9 does not end the process either.",
    act=act,
    sections={"worker": {"timeout_s": TIMEOUT_S}},
)
