"""What runs in the worker process: load the network, then one job after the other until the pipe closes.

Parent and worker speak JSON over a pipe; pixels and focus maps go beside it, through shared memory.
The module imports torch only inside `serve`, so that the parent can import it to name the entry point.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.allocator import keep_big_blocks

if TYPE_CHECKING:
    from semdaemon.worker.job import Bench

ENDED_ITSELF = 70
"""Exit code after a fault of the accelerator, which stays until the process is gone."""


def serve(pipe: Connection, settings_json: str) -> None:
    """Entry point of the worker process.

    Parameters
    ----------
    pipe
        This end of the pipe to the parent.
    settings_json
        ``{"worker": {...}, "refocus": {...}}``.
    """
    # Ctrl-C in a terminal reaches every process of the group; the parent decides when the worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    keep_big_blocks()
    bench = _start(pipe, json.loads(settings_json))
    if bench is not None:
        _send(pipe, {"kind": "ready", **_description(bench)})
        _loop(pipe, bench)


def _start(pipe: Connection, settings: dict[str, Any]) -> Bench | None:
    from semdaemon.worker.faults import kind_of
    from semdaemon.worker.job import make_bench, said

    try:
        return make_bench(settings, partial(_send, pipe))
    except SemdaemonError as error:
        _send(pipe, {"kind": "start_failed", "lasting": True, **said(error)})
    except Exception as error:  # noqa: BLE001 - the process edge: told to the parent, which counts it
        traceback.print_exc(file=sys.stderr)
        message = f"The worker could not load its network: {type(error).__name__}: {error}."
        _send(pipe, {"kind": "start_failed", "lasting": False, "code": kind_of(error), "message": message,
                     "remedy": "'semdaemon doctor' checks device and weights."})  # fmt: skip
    return None


def _description(bench: Bench) -> dict[str, Any]:
    card = bench.card
    return {
        "pid": os.getpid(),
        "device": bench.engine.device,
        "weights": {"name": card.name, "sha256": card.sha256, "sigma_max_px": card.sigma_max_px},
        "chosen": card.chosen,
        "probe": dict(card.probe),
        "reports_progress": hasattr(bench.engine, "watch"),
    }


def _loop(pipe: Connection, bench: Bench) -> None:
    while True:
        try:
            job = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            bench.attached.close()
            return
        # From here on the frame is what this process works on; before, nothing can be its fault.
        _send(pipe, {"kind": "begun", "job": job["job"]})
        answer = bench.answer(job)
        _send(pipe, answer)
        if answer["ends"]:
            pipe.close()
            # Not the usual way out: torch's own clean-up would call the faulty device again, and may hang.
            os._exit(ENDED_ITSELF)


def _send(pipe: Connection, message: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(message).encode())


def _die_with_parent() -> None:
    """A daemon that is killed must not leave a process behind that holds the GPU."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
