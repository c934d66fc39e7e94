"""The hook: callables for pycromanager that hand each image on and come back at once."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import zmq
from zmq.utils import garbage

from semdaemon_hook.keys import PathText, curve_keys
from semdaemon_hook.message import NotServedError, message

ENDPOINT = "tcp://127.0.0.1:5572"
_LOCK_S = 0.02
_log = logging.getLogger("semdaemon_hook")


@dataclass
class Counts:
    """What became of the images since the start.

    Attributes
    ----------
    sent
        Handed to ZeroMQ with a daemon connected.
    dropped
        The daemon was absent or still busy with those before.
    refused
        Colour images and types that semdaemon does not take.
    failed
        Something unexpected; the first one is told in the log.
    """

    sent: int = 0
    dropped: int = 0
    refused: int = 0
    failed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, name: str) -> int:
        """Count one; returns how many that makes."""
        with self._lock:
            number = int(getattr(self, name)) + 1
            setattr(self, name, number)
        return number


class Refocus:
    """Sends copies of images to semdaemon.

    Make it before the acquisition begins, so that it is connected when the first image comes.
    Its callables may be used from several threads; in a forked process, or in one to which it was pickled,
    it opens a connection of its own. None of them ever blocks or raises.

    Parameters
    ----------
    endpoint
        The daemon's setting ``pushed.endpoint``.
    server_key, key
        For a daemon on another machine that asks for keys (CURVE): the path of its ``server.key``, and of
        our own ``NAME.key_secret``, which ``semdaemon keys client NAME`` makes.
    """

    def __init__(
        self, endpoint: str = ENDPOINT, *, server_key: PathText | None = None, key: PathText | None = None
    ) -> None:
        self.endpoint = endpoint
        self._keys = None if server_key is None and key is None else (server_key, key)
        self.counts = Counts()
        self._line: _Line | None = None
        self._quietly(self._connected)

    # -- what pycromanager calls ---------------------------------------------------------------------------

    def image_saved_fn(self, axes: Mapping[str, Any], dataset: Any) -> None:
        """``Acquisition(..., image_saved_fn=Refocus().image_saved_fn)``: after an image was saved."""
        self._quietly(lambda: self._saved(axes, dataset))

    def image_process_fn(self, image: Any, metadata: Any) -> tuple[Any, Any]:
        """``Acquisition(..., image_process_fn=Refocus().image_process_fn)``: before an image is saved.

        For acquisitions that save nothing. Image and metadata are handed on as they came.
        """
        # A copy: whoever comes next may change the image while it is still being sent.
        self._quietly(lambda: self._send(np.array(image), metadata, vendor="micromanager"))
        return image, metadata

    def push(self, image: Any, metadata: Mapping[str, Any] | None = None, **told: Any) -> None:
        """Any other script's images.

        Parameters
        ----------
        image
            (height, width), one of `semdaemon_hook.message.PIXEL_TYPES`; not to be changed afterwards.
        metadata
            Anything worth keeping; shown with the frame.
        acquired_at
            Aware datetime; now where it is left out.
        pixel_size_m
            (y, x) in metres.
        """
        self._quietly(lambda: self._send(image, metadata, vendor="", **told))

    def close(self, wait_s: float = 0.5) -> None:
        """Hang up; the image that is on its way gets ``wait_s`` seconds to leave."""
        line, self._line = self._line, None
        if line is not None:
            self._quietly(lambda: line.close(wait_s))

    def __enter__(self) -> Refocus:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        server_key, key = self._keys or (None, None)
        return (partial(Refocus, self.endpoint, server_key=server_key, key=key), ())

    @property
    def name(self) -> str:
        """What the daemon knows this hook's frames by: the ``dataset`` of their run."""
        line = self._line
        return "" if line is None else line.name

    # -- within --------------------------------------------------------------------------------------------

    def _saved(self, axes: Mapping[str, Any], dataset: Any) -> None:
        if not self._connected().ready():
            self.counts.add("dropped")  # before the image is read back for nothing
            return
        metadata = dict(dataset.read_metadata(**axes) or {})
        metadata.setdefault("Axes", dict(axes))
        self._send(dataset.read_image(**axes), metadata, vendor="micromanager")

    def _send(self, image: Any, metadata: Any, **told: Any) -> None:
        line = self._connected()
        parts = message(image, metadata, sender=line.name, dropped=self.counts.dropped, **told)
        self.counts.add("sent" if line.send(parts) else "dropped")

    def _connected(self) -> _Line:
        """The connection of this process: a forked child must not touch its parent's sockets."""
        line = self._line
        if line is None or line.pid != os.getpid():
            if line is not None:
                line.abandon()
                self.counts = Counts()
            line = self._line = _Line(self.endpoint, curve_keys(*self._keys) if self._keys else None)
        return line

    def _quietly(self, work: Callable[[], object]) -> None:
        """Whatever goes wrong here, the acquisition goes on: pycromanager hangs where a callback raises."""
        try:
            work()
        except NotServedError as error:
            if self.counts.add("refused") == 1:
                _log.warning("not sent to semdaemon: %s", error)
        except Exception as error:  # noqa: BLE001 - see above; counted, and the first one told
            if self.counts.add("failed") == 1:
                _log.warning("not sent to semdaemon: %s: %s", type(error).__name__, error)


class _Line:
    """One process's PUSH socket."""

    _abandoned: list[_Line] = []  # noqa: RUF012 - of all hooks, see `abandon`

    def __init__(self, endpoint: str, curve: tuple[bytes, bytes, bytes] | None) -> None:
        self.pid = os.getpid()
        self.name = uuid.uuid4().hex[:12]
        self._lock = threading.Lock()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        for option, value in (
            (zmq.LINGER, 0),  # the script's end never waits for the daemon
            (zmq.SNDHWM, 1),  # what is not taken soon is dropped, not kept
            (zmq.IMMEDIATE, 1),  # without a daemon there is no queue either
            (zmq.RECONNECT_IVL_MAX, 2000),
        ):
            self._socket.setsockopt(option, value)
        if curve is not None:
            self._socket.curve_serverkey, self._socket.curve_publickey, self._socket.curve_secretkey = curve
        _at_exit.add(self)
        self._socket.connect(endpoint)

    def ready(self) -> bool:
        """Whether ZeroMQ would take an image now."""
        if not self._lock.acquire(timeout=_LOCK_S):
            return False
        try:
            return bool(self._socket.poll(0, zmq.POLLOUT))
        finally:
            self._lock.release()

    def send(self, parts: tuple[bytes, memoryview]) -> bool:
        """Whether ZeroMQ took it; never waits for it."""
        if not self._lock.acquire(timeout=_LOCK_S):
            return False
        try:
            if not self._socket.poll(0, zmq.POLLOUT):
                return False
            self._socket.send_multipart(parts, flags=zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return False
        finally:
            self._lock.release()
        return True

    def close(self, wait_s: float) -> None:
        if self.pid != os.getpid():
            self.abandon()
            return
        with self._lock:
            self._socket.close(int(1000 * wait_s))
        # Context.term() would wait without end where a peer hangs: give it the time, then leave it.
        ending = threading.Thread(target=self._context.term, daemon=True)
        ending.start()
        ending.join(wait_s + 0.2)

    def abandon(self) -> None:
        """Never touch it again: closing in a forked child would disturb the parent's connection."""
        self._abandoned.append(self)

    def __del__(self) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Drop what is still unsent; returns when ZeroMQ touches no image any more."""
        if self.pid == os.getpid() and not self._context.closed:
            self._socket.close(0)
            self._context.term()


_at_exit: weakref.WeakSet[_Line] = weakref.WeakSet()


def _hang_up_all() -> None:
    for line in list(_at_exit):
        line.hang_up()


# pyzmq gives the images back at the script's end, through a handler of its own, whether or not ZeroMQ still
# sends from them: then the script dies of an abort. Handlers run last in, first out, so this one comes first
# only if it is registered after that one, which importing `garbage` has done.
_PYZMQS_HANDLER = garbage.gc
atexit.register(_hang_up_all)
