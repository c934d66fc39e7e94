"""One worker process and the pipe to it, seen from the parent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from semdaemon.errors import WorkerError

_LOOK_S = 0.2
_KILL_S = 5.0


class Child:
    """Started when made; used by one thread at a time.

    Parameters
    ----------
    target
        Runs in the new process, see `semdaemon.worker.process.serve`.
    stopping
        Once set, waiting ends with ``worker_stopping`` within a fraction of a second.

    Raises
    ------
    WorkerError
        ``worker_died`` where the system starts no process.
    """

    def __init__(
        self, target: Callable[[Connection, str], None], settings_json: str, stopping: threading.Event
    ) -> None:
        self._stopping = stopping
        context = get_context("spawn")
        try:
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(
                target=target, args=(theirs, settings_json), name="semdaemon-worker", daemon=True
            )
            self._process.start()
        except OSError as error:  # the machine has no process, descriptor or memory left
            raise WorkerError(
                "worker_died",
                f"The worker process could not be started: {error}.",
                remedy="It is tried again. Look at the machine's limits on processes, open files and memory.",
            ) from error
        theirs.close()
        self._job = 0

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def ready(self, timeout_s: float) -> dict[str, Any]:
        """What the process says once its network is loaded.

        Raises
        ------
        WorkerError
            What it says of its device and weights; `lasting` tells whether a person has to change something.
        """
        message = self._receive(time.monotonic() + timeout_s, timeout_s, "load its network")
        if message["kind"] == "ready":
            return message
        error = WorkerError(message["code"], message["message"], remedy=message["remedy"])
        raise StartRefused(error, lasting=bool(message["lasting"])) from error

    def ask(
        self,
        job: dict[str, Any],
        *,
        timeout_s: float,
        silence_s: float | None,
        told: Callable[[dict[str, Any]], None],
    ) -> dict[str, Any]:
        """Give it a job and wait for the answer (kind ``done`` or ``failed``).

        The job must be short, as text:
        a pipe takes some 60 kB and then waits for the other side, which may hang.

        Parameters
        ----------
        silence_s
            It is taken for hung after this long without a word; None where it cannot report progress.
        told
            Called with each word on the way (kinds ``begun``, ``progress``, ``step``).

        Raises
        ------
        WorkerError
            ``worker_gone``: it died or hung before it took the job, which is no fault of the frame;
            ``worker_died``, ``worker_silent``, ``worker_timeout``: in the middle of it; ``worker_stopping``.
        """
        self._job += 1
        begun, deadline = False, time.monotonic() + timeout_s
        try:
            self._pipe.send_bytes(json.dumps({"job": self._job, **job}).encode())
            while True:
                message = self._receive(deadline, timeout_s, "refocus a frame", silence_s)
                if message["kind"] in ("done", "failed"):
                    return message
                begun = True
                told(message)
        except (OSError, WorkerError) as error:
            known = _as_worker_error(error)
            if begun or known.code == "worker_stopping":
                raise known from error
            raise WorkerError(
                "worker_gone",
                f"The worker process did not take the frame: {known.message}",
                remedy="It is started again; nothing counts against the frame.",
            ) from error

    def kill(self) -> None:
        """End the process, whatever it does; a stopped one (SIGSTOP) too."""
        self._pipe.close()
        self._process.kill()
        self._process.join(_KILL_S)

    def _receive(
        self, deadline: float, timeout_s: float, doing: str, silence_s: float | None = None
    ) -> dict[str, Any]:
        heard_at = time.monotonic()
        try:
            # A dead process closes its end: poll() then returns, and on Windows raises.
            while not self._pipe.poll(_LOOK_S):
                if self._stopping.is_set():
                    raise WorkerError("worker_stopping", "The worker is being stopped.")
                now = time.monotonic()
                if now > deadline:
                    raise _too_long(timeout_s, doing)
                if silence_s is not None and now - heard_at > silence_s:
                    raise _silent(silence_s, doing)
                # This is for one that never opened its end.
                if not self._process.is_alive() and not self._pipe.poll(0):
                    break
            return dict(json.loads(self._pipe.recv_bytes()))
        except (EOFError, OSError, ValueError) as error:
            raise WorkerError(
                "worker_died",
                f"The worker process ended (exit code {self._exit_code()}) before it could {doing}.",
                remedy="It is started again; a frame that loses it twice is set aside.",
            ) from error

    def _exit_code(self) -> int | None:
        self._process.join(1.0)
        return self._process.exitcode


class StartRefused(Exception):  # noqa: N818 - carries the error that callers see
    """The process lives and says why it cannot work."""

    def __init__(self, error: WorkerError, *, lasting: bool) -> None:
        super().__init__(str(error))
        self.error, self.lasting = error, lasting


def _as_worker_error(error: OSError | WorkerError) -> WorkerError:
    if isinstance(error, WorkerError):
        return error
    return WorkerError("worker_died", f"The pipe to the worker process broke: {error}.")


def _too_long(timeout_s: float, doing: str) -> WorkerError:
    return WorkerError(
        "worker_timeout",
        f"The worker took longer than {timeout_s:g} s to {doing} and is killed.",
        remedy="Raise worker.timeout_s for large frames, or lower worker.tile_px.",
    )


def _silent(silence_s: float, doing: str) -> WorkerError:
    return WorkerError(
        "worker_silent",
        f"The worker made no progress for {silence_s:g} s when it was to {doing}, and is killed.",
        remedy="Raise worker.silence_s where a single tile takes that long, or lower worker.tile_px.",
    )
