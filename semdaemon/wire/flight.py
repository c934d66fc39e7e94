"""What libzmq still holds for subscribers that do not read.

Measured on libzmq 4.3.5: the high-water mark counts messages, not bytes, and keeps the *oldest*; 64 full
frames for one stuck subscriber are most of a gigabyte. libzmq tells when it lets go of a buffer, so the bytes
in flight can be bounded here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import zmq

from semdaemon.wire.messages import Part

TRACKED_BYTES = 64 * 1024
"""Smaller parts are copied into libzmq, which is faster than tracking them."""

COPIED_BYTES = 8 * 1024
"""The same for answers, which may have hundreds of parts and all come from the replay store."""


class Flight:
    """Sends parts without copying the large ones and counts those that libzmq has not let go of."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.in_flight_bytes = 0
        self._tracked: deque[tuple[int, zmq.MessageTracker]] = deque()

    def has_room(self, size_bytes: int) -> bool:
        """True where so much more may be sent; one larger message may fly alone."""
        self._land()
        return self.in_flight_bytes == 0 or self.in_flight_bytes + size_bytes <= self.limit_bytes

    def send(self, socket: zmq.Socket[bytes], parts: Sequence[Part]) -> None:
        """Send one multipart message; an XPUB never blocks, it drops for whoever is full."""
        last = len(parts) - 1
        for index, part in enumerate(parts):
            more = zmq.SNDMORE if index < last else 0
            if len(part) < TRACKED_BYTES:
                socket.send(part, more, copy=True)
                continue
            tracker = socket.send(part, more, copy=False, track=True)
            self._tracked.append((len(part), tracker))
            self.in_flight_bytes += len(part)

    def send_whole(self, socket: zmq.Socket[bytes], parts: Sequence[Part], flags: int = 0) -> None:
        """Send one multipart message and count all of it until its last part is gone, small parts too."""
        socket.copy_threshold = 0  # else pyzmq copies a small last part, and calls it gone at once
        for part in parts[:-1]:
            socket.send(part, flags | zmq.SNDMORE, copy=len(part) < COPIED_BYTES)
        tracker = socket.send(parts[-1], flags, copy=False, track=True)
        size = sum(len(part) for part in parts)
        self._tracked.append((size, tracker))
        self.in_flight_bytes += size

    def _land(self) -> None:
        waiting = [(size, tracker) for size, tracker in self._tracked if not tracker.done]
        self._tracked = deque(waiting)
        self.in_flight_bytes = sum(size for size, _ in waiting)
