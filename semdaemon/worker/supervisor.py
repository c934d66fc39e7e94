"""The parent's side of the worker: starts it, gives it jobs, and replaces it when it dies or hangs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import structlog

from semdaemon.errors import FrameError, WorkerError
from semdaemon.frame import Frame, Mask, Pixels
from semdaemon.settings import Settings
from semdaemon.worker.process import serve
from semdaemon.worker.shared import Block, Layout

_LONGEST_BACKOFF_S = 60.0
_log = structlog.get_logger("semdaemon.worker")


@dataclass(frozen=True)
class WorkerAnswer:
    """A frame that came back from the worker.

    Attributes
    ----------
    pixels, mask
        (height, width), the frame's dtype and bool; the caller owns them.
    regions
        One report a region (see `semdaemon.refocus.discriminative.RegionReport`).
    levels
        Grey levels at 0 and 1 of the network's input.
    weights
        ``name``, ``sha256``, ``sigma_max_px``.
    seconds
        Time in the worker.
    """

    pixels: Pixels
    mask: Mask
    regions: list[dict[str, Any]]
    levels: tuple[float, float]
    weights: dict[str, Any]
    device: str
    seconds: float


@dataclass
class _Health:
    state: str = "stopped"  # stopped, starting, ready, busy, degraded
    restarts: int = 0
    failures_in_a_row: int = 0
    retry_at: float = 0.0
    last_fault: str | None = None
    description: dict[str, Any] = field(default_factory=dict)


class Worker:
    """One worker process and its supervision; used from one thread, described from any."""

    def __init__(self, settings: Settings, *, target: Callable[[Connection, str], None] = serve) -> None:
        self._settings = settings.worker
        self._json = _told(settings)
        self._target = target
        self._context = get_context("spawn")
        self._block = Block()
        self._process: Any = None
        self._pipe: Connection | None = None
        self._health = _Health()
        self._job = 0
        self._stopping = threading.Event()
        # Held by whoever talks to the process, so that `stop` takes nothing from under a job.
        self._talking = threading.RLock()

    def configure(self, settings: Settings) -> None:
        """Work by these settings from the next job on: a process that was told others is replaced."""
        told = _told(settings)
        if told == self._json:
            return
        with self._talking:
            self._settings, self._json = settings.worker, told
            self._kill()
            # Other settings may be the remedy: they are tried at once, whatever failed before.
            self._health.state, self._health.retry_at, self._health.failures_in_a_row = "stopped", 0.0, 0

    def describe(self) -> dict[str, Any]:
        """State, device, weights, restarts; for status, page and metrics."""
        health = self._health
        return {
            "state": health.state,
            "restarts": health.restarts,
            "last_fault": health.last_fault,
            **health.description,
        }

    @property
    def available(self) -> bool:
        """False while it is degraded and the time to try again has not come."""
        return self._health.state != "degraded" or time.monotonic() >= self._health.retry_at

    def start(self) -> None:
        """Start the process and wait until its network is loaded; does nothing where it runs.

        Raises
        ------
        WorkerError
            What the worker says of its device and weights; ``worker_died`` or ``worker_timeout`` where it
            does not come up; ``worker_degraded`` while the pause after a failure lasts; ``worker_stopping``.
        """
        with self._talking:
            if self._stopping.is_set():
                raise WorkerError("worker_stopping", "The worker is being stopped.")
            if self._process is not None and self._process.is_alive():
                return
            if not self.available:
                raise WorkerError(
                    "worker_degraded",
                    f"Refocusing pauses after {self._health.failures_in_a_row} worker failures in a row; "
                    f"the last: {self._health.last_fault}.",
                    remedy="Scores go on. 'semdaemon doctor' checks device and weights.",
                )
            try:
                self._spawn()
            except WorkerError as error:
                self._kill()
                self._failed(str(error))
                raise

    def _spawn(self) -> None:
        self._health.state = "starting"
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=self._target, args=(theirs, self._json), name="semdaemon-worker", daemon=True
        )
        self._process.start()
        theirs.close()
        self._pipe = ours
        message = self._receive(self._settings.start_timeout_s, "load its network")
        if message["kind"] != "ready":
            raise WorkerError(message["code"], message["message"], remedy=message["remedy"])
        self._health.description = {key: message[key] for key in ("pid", "device", "weights")}
        self._health.state = "ready"
        _log.info("worker ready", **self._health.description)

    def refocus(self, frame: Frame, focus_blob: bytes, *, everywhere: bool = False) -> WorkerAnswer:
        """Refocus one frame; blocks until it is done.

        Raises
        ------
        FrameError
            The worker lives and says what is wrong with this frame.
        WorkerError
            ``worker_died``, ``worker_timeout``, ``worker_degraded``, ``worker_stopping``,
            or a start that failed.
        """
        with self._talking:
            return self._refocus(frame, focus_blob, everywhere)

    def _refocus(self, frame: Frame, focus_blob: bytes, everywhere: bool) -> WorkerAnswer:
        self.start()
        layout = Layout(frame.shape, frame.pixels.dtype.name)
        memory = self._block.fit(layout)
        pixels, refocused, mask = layout.arrays(memory)
        pixels[...] = frame.pixels
        self._health.state = "busy"
        answer = self._ask(
            {"memory": memory.name, "shape": frame.shape, "dtype": layout.dtype, "everywhere": everywhere},
            focus_blob,
        )
        self._health.state = "ready"
        self._health.failures_in_a_row = 0
        if answer["kind"] == "failed":
            raise FrameError(
                answer["code"], f"{answer['message']} (frame {frame.id})", remedy=answer["remedy"]
            )
        pixels_back, mask_back = refocused.copy(), mask.copy()
        # Nobody changes them any more, so the publisher need not copy them again.
        pixels_back.flags.writeable = mask_back.flags.writeable = False
        return WorkerAnswer(
            pixels=pixels_back,
            mask=mask_back,
            regions=answer["regions"],
            levels=(answer["levels"][0], answer["levels"][1]),
            weights=self._health.description["weights"],
            device=self._health.description["device"],
            seconds=answer["seconds"],
        )

    def stop(self) -> None:
        """End the process; a job in flight is given up within a fraction of a second."""
        self._stopping.set()
        with self._talking:
            self._kill()
            self._block.close()
            self._health.state = "stopped"

    def _ask(self, job: dict[str, Any], focus_blob: bytes) -> dict[str, Any]:
        self._job += 1
        pipe = self._pipe
        if pipe is None:
            raise WorkerError("worker_died", "The worker process is gone.")
        try:
            pipe.send_bytes(json.dumps({"job": self._job, **job}).encode())
            pipe.send_bytes(focus_blob)
            return self._receive(self._settings.timeout_s, "refocus a frame")
        except (WorkerError, OSError) as error:
            self._kill()
            if self._stopping.is_set():
                raise WorkerError("worker_stopping", "The worker is being stopped.") from error
            self._failed(str(error))
            if isinstance(error, WorkerError):
                raise
            raise WorkerError("worker_died", f"The worker process is gone: {error}.") from error

    def _receive(self, timeout_s: float, doing: str) -> dict[str, Any]:
        pipe = self._pipe
        if pipe is None:
            raise WorkerError("worker_died", "The worker process is gone.")
        deadline = time.monotonic() + timeout_s
        while not pipe.poll(0.2):
            if self._stopping.is_set():
                raise WorkerError("worker_stopping", "The worker is being stopped.")
            if time.monotonic() > deadline:
                raise WorkerError(
                    "worker_timeout",
                    f"The worker took longer than {timeout_s:g} s to {doing} and is killed.",
                    remedy="Raise worker.timeout_s for large frames, or lower worker.tile_px.",
                )
            # A dead process closes its end, and poll() then returns; this is for one that never opened it.
            if not self._process.is_alive() and not pipe.poll(0):
                break
        try:
            message = json.loads(pipe.recv_bytes())
        except (EOFError, OSError) as error:
            self._process.join(1.0)
            raise WorkerError(
                "worker_died",
                f"The worker process ended (exit code {self._process.exitcode}) before it could {doing}.",
                remedy="It is started again; a frame that kills it twice is set aside.",
            ) from error
        return dict(message)

    def _failed(self, fault: str) -> None:
        health = self._health
        health.last_fault = fault
        health.restarts += 1
        health.failures_in_a_row += 1
        pause_s = min(_LONGEST_BACKOFF_S, self._settings.backoff_s * 2 ** (health.failures_in_a_row - 1))
        too_often = health.failures_in_a_row > self._settings.max_restarts
        health.state = "degraded"
        health.retry_at = time.monotonic() + (_LONGEST_BACKOFF_S if too_often else pause_s)
        _log.warning("worker failed", fault=fault, in_a_row=health.failures_in_a_row, retry_in_s=pause_s)

    def _kill(self) -> None:
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.kill()
            process.join(5.0)


def _told(settings: Settings) -> str:
    """What the process is told of the settings."""
    sections = {"worker": settings.worker, "refocus": settings.refocus}
    return json.dumps({name: section.model_dump(mode="json") for name, section in sections.items()})
