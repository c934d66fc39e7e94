"""The parent's side of the worker: starts it, gives it jobs, replaces it when it dies, hangs or is ill."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import structlog

from semdaemon.errors import FrameError, WorkerError
from semdaemon.frame import Frame
from semdaemon.refocus import probe
from semdaemon.refocus.probe import ProbeResult
from semdaemon.settings import Settings
from semdaemon.worker.answer import WorkerAnswer
from semdaemon.worker.blame import DEATHS, LOSSES, SUSPICIOUS, blame
from semdaemon.worker.child import Child, StartRefused
from semdaemon.worker.exchange import Exchange, Patience, Reply, Tight
from semdaemon.worker.health import Health
from semdaemon.worker.probing import Prober
from semdaemon.worker.process import serve

_PROBE_S = 60.0
_MOST_GONE = 2
_log = structlog.get_logger("semdaemon.worker")


class Worker:
    """One worker process and its supervision.

    `start` and `refocus` are for one thread; `probe`, `describe` and `stop` for any.
    See docs/worker.md for states, probe, and who is to blame for what.
    """

    def __init__(self, settings: Settings, *, target: Callable[[Connection, str], None] = serve) -> None:
        self._settings = settings.worker
        self._json = _told(settings)
        self._target = target
        self._exchange, self._prober = Exchange(), Prober()
        self._child: Child | None = None
        self._silence_s: float | None = None
        self._tight = Tight()
        self._health = Health(self._settings.backoff_s, self._settings.max_restarts)
        self._stopping = threading.Event()
        # Held by whoever talks to the process, so that `stop` takes nothing from under a job.
        self._talking = threading.RLock()

    def configure(self, settings: Settings) -> None:
        """Work by these settings from the next job on: a process that was told others is replaced."""
        told = _told(settings)
        if told == self._json:
            return
        with self._talking:
            self._settings, self._json, self._prober = settings.worker, told, Prober()
            self._kill()
            # Other settings may be the remedy: they are tried at once, whatever failed before.
            self._health.begin_anew(self._settings.backoff_s, self._settings.max_restarts)

    # -- how it is -------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """State, job, probe, device, weights, restarts; for status, page and metrics."""
        return self._health.as_dict()

    @property
    def available(self) -> bool:
        """False while the pause after a failure lasts."""
        return not self._health.pausing

    @property
    def degraded(self) -> bool:
        """True from failing too often until it is known to work again."""
        return self._health.degraded

    @property
    def signs(self) -> int:
        """Signs of life in the middle of jobs, since the start: it counts up while a long job goes on."""
        return self._health.signs

    @property
    def quiet_s(self) -> float | None:
        """How long a job in the worker has given no sign of life, seconds; None where none is in it."""
        job = self._health.job
        return None if job is None else max(0.0, time.monotonic() - job.heard_at)

    @property
    def patience_s(self) -> float:
        """How long a job may give no sign of life before it is taken for hung, seconds."""
        return self._settings.timeout_s if self._silence_s is None else self._silence_s

    def wait_available(self) -> None:
        """Until the pause after a failure is over, or the worker is being stopped."""
        while self._health.pausing and not self._stopping.wait(0.05):
            pass

    def probe(self, timeout_s: float = _PROBE_S) -> bool:
        """False where an idle worker was asked for the test picture just now and got it wrong.

        Costs some milliseconds; for systemd's watchdog.
        One that is busy is left alone: its progress is watched anyway.
        One that is not up (not needed yet, or pausing after a failure: see `describe`) cannot be asked.
        One that fails is killed, and comes back by itself.
        """
        if not self._talking.acquire(blocking=False):
            return True
        try:
            if self._child is None:
                return True
            result = self._probe(timeout_s)
            if result.passed:
                self._health.recovered()
            elif not self._stopping.is_set():
                self._replace(_wrong(result), in_job=True)
            return result.passed
        finally:
            self._talking.release()

    # -- start -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the process, wait for its network and probe it; does nothing where it runs.

        Raises
        ------
        WorkerError
            What the worker says of its device and weights; ``probe_failed``; ``worker_died`` or
            ``worker_timeout`` where it does not come up; ``worker_degraded`` while the pause after a failure
            lasts; ``worker_stopping``.
        """
        with self._talking:
            if self._stopping.is_set():
                raise WorkerError("worker_stopping", "The worker is being stopped.")
            if self._child is not None and self._child.alive:
                return
            if not self.available:
                raise self._pause()
            try:
                self._start()
            except StartRefused as refused:
                self._replace(refused.error, lasting=refused.lasting)
                raise refused.error from None
            except WorkerError as error:
                self._replace(error)
                raise

    def _start(self) -> None:
        self._kill()
        self._health.phase = "starting"
        deadline = time.monotonic() + self._settings.start_timeout_s
        self._child = Child(self._target, self._json, self._stopping)
        known = self._child.ready(self._settings.start_timeout_s)
        self._prober.stored_is(known["probe"])
        self._silence_s = self._settings.silence_s if known["reports_progress"] else None
        self._health.description = {
            **{key: known[key] for key in ("pid", "device", "weights")},
            "chosen": known.get("chosen", ""),
        }
        result = self._probe(max(1.0, deadline - time.monotonic()))
        if not result.passed:
            raise _wrong(result)
        self._health.started()
        _log.info("worker ready", probe=result.as_dict(), **self._health.description)

    def _pause(self) -> WorkerError:
        health = self._health
        return WorkerError(
            "worker_degraded",
            f"Refocusing pauses after {health.failures_in_a_row} worker failures in a row; "
            f"the last: {health.last_fault}.",
            remedy="Scores go on. 'semdaemon doctor' checks device and weights.",
        )

    # -- the probe -------------------------------------------------------------------------------------

    def _probe(self, timeout_s: float) -> ProbeResult:
        frame, focus = probe.picture()
        phase, self._health.phase = self._health.phase, "busy"
        try:
            patience = Patience(timeout_s)
            result = self._prober.judge(self._job(frame, focus.to_bytes(), {"probe": True}, patience))
        except (WorkerError, FrameError) as error:
            result = ProbeResult(False, why=error.message)
        self._health.phase = phase
        self._health.probed(result)
        return result

    # -- jobs ------------------------------------------------------------------------------------------

    def refocus(self, frame: Frame, focus_blob: bytes, *, everywhere: bool = False) -> WorkerAnswer:
        """Refocus one frame; blocks until it is done.

        Raises
        ------
        FrameError
            The worker is well, and says what is wrong with this frame.
        WorkerError
            One of `semdaemon.worker.blame.LOSSES`: the process was lost over this frame.
            ``worker_gone``, ``worker_sick``, ``worker_degraded``, ``worker_stopping`` or a start that
            failed: no fault of this frame.
        """
        with self._talking:
            try:
                self.start()
            except WorkerError as error:
                raise _before_the_frame(error) from error
            self._health.begin(frame.id)
            patience = Patience(self._settings.timeout_s, self._silence_s)
            try:
                asked = {"everywhere": everywhere, "frugal": self._tight.is_for(frame)}
                reply = self._job(frame, focus_blob, asked, patience)
                if reply.failed:
                    raise self._fault_of(reply.said, frame)
            except WorkerError as error:
                if error.code == "out_of_memory":
                    self._tight.learn(frame)
                self._lost(error)
                raise
            except FrameError:
                self._health.served()
                raise
            self._health.served()
            if reply.said["ends"]:
                # It served this frame after a fault that may stay; the next frame gets a fresh process.
                self._kill()
                self._health.phase = "stopped"
            return self._answer(reply)

    def _job(self, frame: Frame, focus_blob: bytes, asked: Mapping[str, Any], patience: Patience) -> Reply:
        if self._child is None:
            raise WorkerError("worker_gone", "The worker process is gone.")
        return self._exchange.job(self._child, frame, focus_blob, asked, patience=patience, told=self._hear)

    def _answer(self, reply: Reply) -> WorkerAnswer:
        # Nobody changes them any more, so the publisher need not copy them again.
        reply.pixels.flags.writeable = reply.mask.flags.writeable = False
        said = reply.said
        return WorkerAnswer(
            pixels=reply.pixels,
            mask=reply.mask,
            regions=said["regions"],
            levels=(said["levels"][0], said["levels"][1]),
            weights=self._health.description["weights"],
            device=said["rung"]["device"],
            seconds=said["seconds"],
            rung=said["rung"],
        )

    def _hear(self, message: Mapping[str, Any]) -> None:
        self._health.hear(message.get("tiles_done"), message.get("tiles_total"))
        if message["kind"] == "step":
            frame = None if self._health.job is None else self._health.job.frame_id
            _log.warning("out of memory", frame=frame, rung=message["rung"], fault=message["why"])

    # -- faults ----------------------------------------------------------------------------------------

    def _fault_of(self, answer: Mapping[str, Any], frame: Frame) -> FrameError | WorkerError:
        """What a job that failed means, after asking the probe where that can tell."""
        code, remedy = answer["code"], answer["remedy"]
        message = f"{answer['message']} (frame {frame.id})"
        if code in DEATHS:
            return WorkerError(code, message, remedy=remedy)
        if answer["ends"]:
            # Out of memory, it says, and that it cannot be trusted any more: no probe can ask it.
            return WorkerError("accelerator_fault", message, remedy=remedy)
        passed = None
        if code in SUSPICIOUS:
            result = self._probe(_PROBE_S)
            passed = result.passed
            _log.info("probe after a fault", frame=frame.id, code=code, **result.as_dict())
        guilty = blame(code, passed)
        if guilty == "frame":
            return FrameError(code, message, remedy=remedy)
        why = self._health.probe.why if self._health.probe is not None else ""
        said = f"{message}; and the test picture fails too: {why}"
        if guilty == "undecided":
            return WorkerError(code, said, remedy="The frame is tried once more, in a fresh process.")
        return WorkerError(
            "worker_sick",
            said,
            remedy="It is started again; nothing counts against the frame. 'semdaemon doctor' checks it.",
        )

    def _lost(self, error: WorkerError) -> None:
        if self._stopping.is_set():
            self._kill()
            raise WorkerError("worker_stopping", "The worker is being stopped.") from error
        if error.code == "worker_gone" and self._health.failures_in_a_row < _MOST_GONE:
            # Killed while it was idle: nothing to learn from that, and no reason to pause.
            self._kill()
            self._health.gone(error.message)
            _log.warning("worker gone", fault=error.message)
            return
        self._replace(error, in_job=True)

    def _replace(self, error: WorkerError, *, lasting: bool = False, in_job: bool = False) -> None:
        """Kill the process; the next start comes after a pause."""
        self._kill()
        if self._stopping.is_set():
            return
        pause_s = self._health.failed(error.code, str(error), lasting=lasting, in_job=in_job)
        _log.warning(
            "worker failed",
            fault=str(error),
            code=error.code,
            in_a_row=self._health.failures_in_a_row,
            state=self._health.state,
            retry_in_s=pause_s,
        )

    # -- end -------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the process; a job in flight is given up within a fraction of a second."""
        self._stopping.set()
        with self._talking:
            self._kill()
            self._exchange.close()
            self._health.phase, self._health.job = "stopped", None

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()


def _wrong(result: ProbeResult) -> WorkerError:
    return WorkerError(
        "probe_failed",
        f"The worker does not refocus the test picture as it should: {result.why}.",
        remedy="'semdaemon doctor' checks device and weights; worker.device = \"cpu\" avoids the first.",
    )


def _before_the_frame(error: WorkerError) -> WorkerError:
    """A process that was lost since it was last seen, and does not start: no loss over the frame in hand."""
    if error.code not in LOSSES:
        return error
    return WorkerError("worker_gone", f"It took no frame: {error.message}", remedy=error.remedy)


def _told(settings: Settings) -> str:
    """What the process is told of the settings."""
    sections = {"worker": settings.worker, "refocus": settings.refocus}
    return json.dumps({name: section.model_dump(mode="json") for name, section in sections.items()})
