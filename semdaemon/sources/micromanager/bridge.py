"""A Micro-Manager that somebody runs with its window, over pycromanager's bridge. Child process only.

Peeking removes nothing from Micro-Manager's buffer and registers nothing with it.
Never ``pop_next_tagged_image`` (it steals frames from the acquisition), and never ``register_core_callback``
(MMCore holds one callback, and the window's would be cut off).
"""

from __future__ import annotations

import socket
import zlib
from typing import Any

from semdaemon.sources.micromanager.camera import CameraFault, Image, Look, identity_of, number_of

_HOST = "127.0.0.1"
_PROBE_S = 0.3
_ANSWER_MS = 500
_STRANGE_IN_A_ROW = 5
_NO_IMAGE = ("buffer is empty", "buffer empty", "no image", "not been acquired")


class BridgeCamera:
    """Peeks at the last image of the running sequence."""

    def __init__(self, port: int) -> None:
        # pycromanager's own Core comes from here; the rest of pycromanager takes seconds to import.
        from mmpycorex import Core

        self._make_core, self._port = Core, port
        self._core: Any = None
        self._last = ""
        self._strange = 0

    def open(self) -> None:
        """Connect; within a second and a half it has done so or raised."""
        self._probe()
        try:
            self._core = self._make_core(port=self._port, timeout=_ANSWER_MS)
        except Exception as error:
            raise CameraFault(
                "no_answer",
                f"something listens at {_HOST}:{self._port} and does not answer as Micro-Manager: it hangs, "
                "or another program has the port",
            ) from error
        # What lies in the buffer from before is nobody's news; while a sequence runs it is.
        if not self._running():
            self._last = self._identity()

    def _probe(self) -> None:
        # pyjavaz waits a second and leaves a thread and a socket behind where nobody listens; this does not.
        try:
            with socket.create_connection((_HOST, self._port), _PROBE_S):
                return
        except OSError as error:
            raise CameraFault(
                "not_running",
                f"nothing listens at {_HOST}:{self._port}: Micro-Manager is closed, "
                f"or 'Run server on port {self._port}' is not ticked in its options",
            ) from error

    def look(self) -> Look:
        running = self._running()
        tagged = self._peek()
        if tagged is None:
            return Look(running, None)
        tags = dict(tagged.tags)
        identity = identity_of(tags)
        if identity and identity == self._last:
            return Look(running, None)
        pixels = tagged.pix  # fetched only now: an old image costs no transfer
        identity = identity or f"crc {zlib.crc32(pixels)}"
        if identity == self._last:
            return Look(running, None)
        self._last = identity
        return Look(running, Image(tags, pixels, identity, number_of(tags)))

    def close(self) -> None:
        """Nothing is held."""

    def _identity(self) -> str:
        tagged = self._peek()
        return "" if tagged is None else identity_of(tagged.tags)

    def _running(self) -> bool:
        return bool(self._asked(self._core.is_sequence_running))

    def _peek(self) -> Any:
        return self._asked(self._core.get_last_tagged_image)

    def _asked(self, question: Any) -> Any:
        """What the core answers; None where it has no image. pycromanager raises bare exceptions only."""
        try:
            answer = question()
        except Exception as error:
            said = str(error)
            if any(words in said for words in _NO_IMAGE):
                return None
            self._strange += 1
            if self._strange < _STRANGE_IN_A_ROW and "NullPointer" not in said:
                return None  # a camera may fail once while somebody changes its settings
            raise CameraFault("lost", f"Micro-Manager answers: {said.strip().splitlines()[0]}") from error
        self._strange = 0
        return answer
