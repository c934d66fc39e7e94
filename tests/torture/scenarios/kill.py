"""``kill -9`` of daemon and worker at random moments."""

from __future__ import annotations

import signal
import threading
import time
from random import Random

import psutil

from ..lab import Lab
from ..scenario import Plan, Scenario

KILLS = 1000
_DAEMON_SHARE = 0.4
_BACKLOG = 40
_DRAIN_SHARE = 0.15
_EARLY_SHARE = 0.45
_LONGEST_WAIT_S = 30.0


def act(lab: Lab, plan: Plan) -> None:
    """Frames come in all the time; daemon and worker are killed, also while they start, recover, drain."""
    rng, kills, ending = Random(lab.rng.random()), plan.number(KILLS), threading.Event()
    writer = threading.Thread(target=_write, args=(lab, ending))
    writer.start()
    try:
        while lab.did["kill -9 of the daemon"] + lab.did["kill -9 of the worker"] < kills:
            if not lab.running:
                lab.start(wait=False)
            _wait(lab, rng)
            (_kill_daemon if rng.random() < _DAEMON_SHARE else _kill_worker)(lab, rng)
    finally:
        ending.set()
        writer.join()


def _wait(lab: Lab, rng: Random) -> None:
    """Until a moment that is random in the daemon's start, or in the midst of refocusing."""
    if rng.random() < _EARLY_SHARE:
        time.sleep(rng.uniform(0.0, 0.8) * lab.pace)
        return
    deadline = time.monotonic() + _LONGEST_WAIT_S * lab.refocuses
    while lab.running and not lab.said_since_start("worker ready") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(rng.uniform(0.0, 1.5) * lab.pace)


def _write(lab: Lab, ending: threading.Event) -> None:
    while not ending.is_set():
        if lab.waiting() < _BACKLOG:
            lab.write("sharp")
            lab.write("blurred")
        ending.wait(0.4)


def _kill_daemon(lab: Lab, rng: Random) -> None:
    if not lab.running:
        lab.notes.append("the daemon ended by itself")
        return
    if rng.random() < _DRAIN_SHARE:  # asked to stop, and killed while it does
        lab.signal(signal.SIGTERM)
        time.sleep(rng.uniform(0.0, 0.5))
        lab.did["of these while it was stopping"] += lab.running
    lab.did["kill -9 of the daemon"] += lab.running
    lab.did["of these before it was ready"] += lab.running and not lab.said_since_start("daemon ready")
    lab.did["of these with a worker that refocuses"] += lab.running and lab.said_since_start("worker ready")
    lab.kill()


def _kill_worker(lab: Lab, rng: Random) -> None:
    worker = lab.worker()
    if worker is None:
        return
    try:
        worker.kill()
    except psutil.Error:
        return
    lab.did["kill -9 of the worker"] += 1


SCENARIO = Scenario(
    name="kill",
    title="kill -9",
    did="daemon and worker killed at random moments while frames come in: while starting, recovering, "
    "scoring, refocusing, saving, draining",
    not_shown="Power loss: what the operating system has taken over is on the disk sooner or later here.",
    act=act,
    kills=True,
    patience_s=600.0,
)
