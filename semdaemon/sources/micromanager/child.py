"""What runs in the child process: open the camera, look again and again, and never be waited for.

Child and parent speak JSON over a pipe; pixels follow their header as raw bytes.
The child says something at every look; silence means that it hangs, and then it is killed.
It leaves by ``os._exit`` alone, for pycromanager's exit handlers wait for a Micro-Manager that may be gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from semdaemon.sources.micromanager.camera import Camera, CameraFault, Image

_BEAT_S = 0.2
_LONGEST_PAUSE_S = 1.0
_MOST_TRIES = 20
"""Of connecting in one process: each that fails leaves a socket of pycromanager's behind."""


class _Told:
    """The child's end of the pipe; the number of looks goes with every word."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._said_at = 0.0
        self._state = ""
        self.looks = 0
        self.note = ""

    def state(self, state: str, detail: str = "") -> None:
        """A heartbeat; not more often than it is of use."""
        now = time.monotonic()
        if state == self._state and now - self._said_at < _BEAT_S:
            return
        self._said_at, self._state = now, state
        self._send({"kind": "state", "state": state, "detail": detail or self.note})

    def image(self, image: Image) -> None:
        pixels = np.ascontiguousarray(image.pixels)
        self._said_at = time.monotonic()
        self._send(
            {
                "kind": "image",
                "tags": dict(image.tags),
                "type": pixels.dtype.name,
                "identity": image.identity,
                "number": image.number,
            }
        )
        self._pipe.send_bytes(pixels.reshape(-1).view(np.uint8).data)

    def _send(self, message: dict[str, Any]) -> None:
        self._pipe.send_bytes(json.dumps({**message, "looks": self.looks}, default=str).encode())


def serve(pipe: Connection, settings_json: str) -> None:
    """Entry point; does not return.

    Parameters
    ----------
    settings_json
        Section ``micromanager``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    _die_with_parent()
    told, code = _Told(pipe), 0
    _quiet_pycromanager(told)
    try:
        _serve(pipe, told, json.loads(settings_json))
    except (EOFError, OSError):
        pass  # the parent closed the pipe
    except Exception as error:  # noqa: BLE001 - the process edge: told to the parent, which starts another
        code = 1
        traceback.print_exc(file=sys.stderr)
        _last_word(told, "lost", f"{type(error).__name__}: {error}")
    finally:
        sys.stderr.flush()
        os._exit(code)


def _serve(pipe: Connection, told: _Told, settings: dict[str, Any]) -> None:
    try:
        camera = _camera(settings)
    except ImportError as error:
        told.state("unusable", f"{error}; install the extra: pip install 'semdaemon[micromanager]'")
        return
    told.state("ready")
    pipe.recv_bytes()  # until then another child has the camera
    try:
        if _opened(camera, told, settings):
            _watch(pipe, camera, told, settings)
    except CameraFault as fault:
        told.state(fault.code, str(fault))


def _camera(settings: dict[str, Any]) -> Camera:
    if settings["python_backend"]:
        from semdaemon.sources.micromanager.owned import OwnedCamera

        return OwnedCamera(settings["config_file"], settings["adapter_path"], settings["exposure_ms"])
    from semdaemon.sources.micromanager.bridge import BridgeCamera

    return BridgeCamera(settings["port"])


def _opened(camera: Camera, told: _Told, settings: dict[str, Any]) -> bool:
    """Try until it opens; False where a fresh process had better go on."""
    failed = 0
    while failed < _MOST_TRIES:
        try:
            camera.open()
        except CameraFault as fault:
            if fault.code == "unusable":
                raise
            told.state(fault.code, str(fault))
            failed += fault.code != "not_running"
            time.sleep(min(settings["idle_poll_s"] * max(1, failed), _LONGEST_PAUSE_S))
        else:
            return True
    return False


def _watch(pipe: Connection, camera: Camera, told: _Told, settings: dict[str, Any]) -> None:
    while not pipe.poll(0):  # anything more that the parent says means: end
        look = camera.look()
        told.looks += 1
        if look.image is not None:
            told.image(look.image)
        state, pause_s = ("live", settings["poll_s"]) if look.running else ("idle", settings["idle_poll_s"])
        told.state(state)
        if look.image is not None:
            pause_s = max(pause_s, settings["interval_s"])
        _pause(pause_s, told, state)
    camera.close()


def _pause(seconds: float, told: _Told, state: str) -> None:
    """Sleep, with a heartbeat now and then."""
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0:
        time.sleep(min(left_s, _BEAT_S))
        told.state(state)


def _last_word(told: _Told, state: str, detail: str) -> None:
    try:
        told.state(state, detail)
    except OSError:
        return


def _quiet_pycromanager(told: _Told) -> None:
    """Its threads print tracebacks where Micro-Manager is closed; that is told in one sentence instead.

    Of its warnings one matters: the bridge's two ends are of different versions.
    """

    def showwarning(message: Warning | str, *_: Any, **__: Any) -> None:
        if "server version" in str(message):
            told.note = " ".join(f"{message} (pycromanager here, Micro-Manager there)".split())

    threading.excepthook = lambda _: None
    warnings.simplefilter("always")
    warnings.showwarning = showwarning


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
