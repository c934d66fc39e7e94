"""The parent's side of the child: starts it, listens, kills it when it is silent, starts another.

A second child stands by, imported and waiting, whenever the first one may have to go:
it is silent for a while, or has looked so often that pycromanager's leak matters.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import structlog

from semdaemon.settings import MicroManager
from semdaemon.sources.micromanager.child import serve

WELL = ("idle", "live")
_UNUSABLE = "unusable"
_TICK_S = 0.05
_LONGEST_BACKOFF_S = 2.0
_UNUSABLE_BACKOFF_S = 30.0
_MOST_HEADER_BYTES = 2**22
_log = structlog.get_logger("semdaemon.micromanager")

OnImage = Callable[[dict[str, Any], bytes], None]
Target = Callable[[Connection, str], None]


@dataclass(frozen=True)
class State:
    """What is known of the camera: ``state`` is the child's last word, ``detail`` its reason."""

    state: str = "starting"
    detail: str = ""
    restarts: int = 0
    recycled: int = 0
    pid: int | None = None


class Child:
    """One child process and the thread that listens to it."""

    def __init__(
        self, settings: MicroManager, most_pixel_bytes: int, on_image: OnImage, target: Target
    ) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._on_image, self._most_pixel_bytes = on_image, most_pixel_bytes
        arguments = (theirs, json.dumps(settings.model_dump(mode="json")))
        self.process = context.Process(
            target=target, args=arguments, name="semdaemon-micromanager", daemon=True
        )
        self.process.start()
        theirs.close()
        self.state, self.detail, self.looks = "starting", "", 0
        self.was_well = self.going = False
        self._heard_at, self._busy = time.monotonic(), False
        self._thread = threading.Thread(target=self._listen, name="micromanager", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and self.process.is_alive()

    @property
    def silent_s(self) -> float:
        """Since its last word; 0 while we are the ones who are busy with what it said."""
        return 0.0 if self._busy else time.monotonic() - self._heard_at

    def go(self) -> None:
        """Let it have the camera."""
        self.going, self._heard_at = True, time.monotonic()
        try:
            self._pipe.send_bytes(b"go")
        except OSError:
            return  # it is gone; the next tick sees that

    def ask_to_end(self, timeout_s: float) -> None:
        """Let it close its camera, for so long; `kill` comes after."""
        try:
            self._pipe.send_bytes(b"end")
        except OSError:
            return
        self.process.join(timeout_s)

    def kill(self, timeout_s: float = 2.0) -> None:
        """End it, whatever it is doing."""
        self.process.kill()
        self.process.join(timeout_s)
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._pipe.close()

    def _listen(self) -> None:
        while True:
            try:
                message = json.loads(self._pipe.recv_bytes(_MOST_HEADER_BYTES))
                image = message["kind"] == "image"
                pixels = self._pipe.recv_bytes(self._most_pixel_bytes) if image else b""
            except (EOFError, OSError, ValueError):
                return
            self._heard_at = time.monotonic()
            self.looks = message["looks"]
            if not image:
                self.state, self.detail = message["state"], message["detail"]
                self.was_well = self.was_well or self.state in WELL
                continue
            self._busy = True
            try:
                self._on_image(message, pixels)
            finally:
                self._heard_at, self._busy = time.monotonic(), False


class Supervisor:
    """Keeps one child at the camera.

    Parameters
    ----------
    on_image
        Called from a listening thread with the child's message and the raw pixels; it must not raise.
    target
        What runs in the child; tests give their own.
    """

    def __init__(
        self,
        settings: MicroManager,
        most_pixel_bytes: int,
        on_image: OnImage,
        *,
        target: Target = serve,
    ) -> None:
        self._settings, self._most_pixel_bytes = settings, most_pixel_bytes
        self._on_image, self._target = on_image, target
        self._current: Child | None = None
        self._standby: Child | None = None
        self._state = State()
        self._failures, self._retry_at = 0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="micromanager-supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Within a fraction of a second, whatever the children do."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    @property
    def state(self) -> State:
        return self._state

    def _run(self) -> None:
        while not self._stop.wait(_TICK_S):
            try:
                self._tick()
            except Exception:  # noqa: BLE001 - the thread's edge: logged, the next tick goes on
                _log.exception("supervisor stumbled")
                self._stop.wait(1.0)
        if self._current is not None and self._settings.python_backend:
            self._current.ask_to_end(1.0)
        for child in (self._standby, self._current):
            if child is not None:
                child.kill()

    # -- one tick ------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._current = self._kept(self._current)
        self._standby = self._standby if self._standby is None or self._standby.alive else None
        if self._current is None:
            self._replace()
        else:
            self._prepare(self._current)
        if self._current is not None:
            self._tell(self._current)

    def _kept(self, child: Child | None) -> Child | None:
        """The child, or None where it ended or had to be killed."""
        if child is None:
            return None
        patience_s = self._patience_s(child)
        silent = child.silent_s > patience_s
        if child.alive and not silent:
            return child
        if silent:
            fault = "silent", f"no answer for {patience_s:g} s: Micro-Manager hangs or was closed in mid-call"
        else:
            fault = child.state, child.detail or "the process that talks to Micro-Manager ended"
        self._failed(child, *fault)
        return None

    def _patience_s(self, child: Child) -> float:
        # A camera of our own may take long to initialise; Micro-Manager answers at once or not at all.
        opening = child.state == "starting" or (self._settings.python_backend and not child.was_well)
        return self._settings.start_timeout_s if opening else self._settings.silence_s + self._pause_s

    @property
    def _pause_s(self) -> float:
        return max(self._settings.poll_s, self._settings.idle_poll_s)

    def _failed(self, child: Child, state: str, detail: str) -> None:
        child.kill()
        self._failures = 0 if child.was_well else self._failures + 1
        pause_s = min(_LONGEST_BACKOFF_S, self._settings.backoff_s * 2 ** min(self._failures, 10))
        if state == _UNUSABLE:
            pause_s = _UNUSABLE_BACKOFF_S
        self._retry_at = time.monotonic() + pause_s
        state = state if state in ("silent", _UNUSABLE) else "lost"
        self._state = State(state, detail, self._state.restarts + 1, self._state.recycled)
        _log.warning("Micro-Manager's process is replaced", state=state, detail=detail, after_s=pause_s)

    def _replace(self) -> None:
        if self._standby is not None:
            self._promote()
        elif time.monotonic() >= self._retry_at:
            self._current = self._spawn()
            self._current.go()

    def _promote(self) -> None:
        self._current, self._standby = self._standby, None
        if self._current is not None:
            self._current.go()

    def _prepare(self, child: Child) -> None:
        """Have another child ready in time, and change over where this one has looked often enough."""
        worn = child.looks >= self._settings.recycle_polls and not self._settings.python_backend
        doubtful = child.was_well and child.silent_s > self._settings.silence_s / 4 + self._pause_s
        if (worn or doubtful) and self._standby is None:
            self._standby = self._spawn()
        elif worn and self._standby is not None and self._standby.state == "ready":
            self._state = State(child.state, child.detail, self._state.restarts, self._state.recycled + 1)
            self._promote()
            child.kill()
        elif not (worn or doubtful) and self._standby is not None and self._standby.state == "ready":
            self._standby.kill()
            self._standby = None

    def _spawn(self) -> Child:
        return Child(self._settings, self._most_pixel_bytes, self._on_image, self._target)

    def _tell(self, child: Child) -> None:
        if not child.going or child.state in ("starting", "ready"):
            return  # what was said last of its forerunner still holds
        told = State(child.state, child.detail, self._state.restarts, self._state.recycled, child.process.pid)
        if told.state != self._state.state:
            _log.info("Micro-Manager", state=told.state, detail=told.detail)
        self._state = told
