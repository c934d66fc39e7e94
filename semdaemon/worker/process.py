"""What runs in the worker process: load the network, then one job after the other until the pipe closes.

Parent and worker speak JSON over a pipe; pixels and focus maps go beside it (shared memory, raw bytes).
The module imports torch only inside `serve`, so that the parent can import it to name the entry point.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.allocator import keep_big_blocks

if TYPE_CHECKING:
    from semdaemon.refocus.engine import Engine
    from semdaemon.refocus.weights import WeightsCard
    from semdaemon.worker.shared import Attached


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
    try:
        engine, card = _start(json.loads(settings_json))
    except SemdaemonError as error:
        _send(pipe, {"kind": "start_failed", **_said(error)})
        return
    _send(pipe, {"kind": "ready", **_description(engine, card)})
    _loop(pipe, engine, card, json.loads(settings_json))


def _start(settings: dict[str, Any]) -> tuple[Engine, WeightsCard]:
    from semdaemon.refocus.engines import make_engine

    return make_engine(settings["refocus"], settings["worker"])


def _description(engine: Engine, card: WeightsCard) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "device": engine.device,
        "weights": {"name": card.name, "sha256": card.sha256, "sigma_max_px": card.sigma_max_px},
    }


def _loop(pipe: Connection, engine: Engine, card: WeightsCard, settings: dict[str, Any]) -> None:
    from semdaemon.settings import Refocus
    from semdaemon.worker.shared import Attached

    attached, refocus = Attached(), Refocus(**settings["refocus"])
    while True:
        try:
            job = json.loads(pipe.recv_bytes())
            focus_blob = pipe.recv_bytes()
        except (EOFError, OSError):
            attached.close()
            return
        _send(pipe, _answer(job, focus_blob, engine, card, refocus, attached))


def _answer(
    job: dict[str, Any],
    focus_blob: bytes,
    engine: Engine,
    card: WeightsCard,
    refocus: Any,
    attached: Attached,
) -> dict[str, Any]:
    started = time.monotonic()
    try:
        regions, levels = _refocus(job, focus_blob, engine, card, refocus, attached)
    except SemdaemonError as error:
        return {"kind": "failed", "job": job["job"], **_said(error)}
    except MemoryError as error:
        return {
            "kind": "failed",
            "job": job["job"],
            "code": "out_of_memory",
            "message": f"The worker ran out of memory: {error}.",
            "remedy": 'Lower worker.tile_px, or set worker.device = "cpu".',
        }
    except Exception as error:  # noqa: BLE001 - the process edge: told to the parent, which counts it
        traceback.print_exc(file=sys.stderr)
        return {
            "kind": "failed",
            "job": job["job"],
            "code": "worker_exception",
            "message": f"The worker raised {type(error).__name__}: {error}.",
            "remedy": "The traceback is in the daemon's log; 'semdaemon requeue' tries the frame again.",
        }
    return {
        "kind": "done",
        "job": job["job"],
        "regions": regions,
        "levels": levels,
        "seconds": round(time.monotonic() - started, 4),
    }


def _refocus(
    job: dict[str, Any],
    focus_blob: bytes,
    engine: Engine,
    card: WeightsCard,
    refocus: Any,
    attached: Attached,
) -> tuple[list[dict[str, object]], list[float]]:
    from semdaemon.focus.map import FocusMap
    from semdaemon.refocus.discriminative import refocus_frame
    from semdaemon.worker.shared import Layout

    layout = Layout((job["shape"][0], job["shape"][1]), job["dtype"])
    frame, refocused, mask = layout.arrays(attached.open(job["memory"]))
    chosen = refocus.model_copy(update={"everywhere": True}) if job.get("everywhere") else refocus
    result = refocus_frame(
        frame, FocusMap.from_bytes(focus_blob), engine, chosen, sigma_max_px=card.sigma_max_px
    )
    refocused[...] = result.pixels
    mask[...] = result.mask
    return [report.as_dict() for report in result.regions], list(result.levels)


def _said(error: SemdaemonError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "remedy": error.remedy}


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
