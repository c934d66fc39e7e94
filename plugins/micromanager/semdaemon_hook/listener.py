"""A SUB socket and the thread that owns it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable

import zmq

from semdaemon_hook.advised import MOST_BYTES

_POLL_MS = 50
_QUEUED = 64
_log = logging.getLogger("semdaemon_hook")


class Listener:
    """One SUB socket and the thread that owns it; both end with the script."""

    def __init__(
        self,
        endpoint: str,
        topic: str,
        curve: tuple[bytes, bytes, bytes] | None,
        heard: Callable[[list[bytes]], None],
    ) -> None:
        self.pid = os.getpid()
        self._endpoint, self._topic, self._curve, self._heard = endpoint, topic, curve, heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="semdaemon advice", daemon=True)
        _at_exit.add(self)
        self._thread.start()

    def close(self) -> None:
        """Hang up; returns when the thread has ended."""
        self._stop.set()
        if self.pid == os.getpid():
            self._thread.join(1.0)

    def _listen(self) -> None:
        context = zmq.Context()
        socket = context.socket(zmq.SUB)
        try:
            for option, value in (
                (zmq.LINGER, 0),
                (zmq.RCVHWM, _QUEUED),
                (zmq.MAXMSGSIZE, MOST_BYTES),
                (zmq.RECONNECT_IVL_MAX, 2000),
            ):
                socket.setsockopt(option, value)
            if self._curve is not None:
                socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = self._curve
            socket.setsockopt(zmq.SUBSCRIBE, self._topic.encode())
            socket.connect(self._endpoint)
            while not self._stop.is_set():
                if socket.poll(_POLL_MS):
                    self._heard(socket.recv_multipart())
        except zmq.ZMQError as error:
            _log.warning("no advice from semdaemon at %s: %s", self._endpoint, error)
        finally:
            socket.close(0)
            context.term()


_at_exit: weakref.WeakSet[Listener] = weakref.WeakSet()


def _hang_up_all() -> None:
    # A context that is collected while its thread still polls would keep the script from ending.
    for listener in list(_at_exit):
        listener.close()


atexit.register(_hang_up_all)
