"""Frames kept between scoring and refocusing, so that a file need not be read twice; bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from semdaemon.frame import Frame


class RecentFrames:
    """The newest frames that wait for the worker; what falls out is read again from its file."""

    def __init__(self, budget_bytes: int = 32 * 2**20) -> None:
        self._budget_bytes = budget_bytes
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._held_bytes = 0
        self._lock = threading.Lock()

    def keep(self, key: int, frame: Frame) -> None:
        """Keep a frame under its journal key, at the cost of the oldest kept; scored again it counts once."""
        with self._lock:
            self._drop(key)
            self._frames[key] = frame
            self._held_bytes += frame.pixels.nbytes
            while self._held_bytes > self._budget_bytes:
                self._drop(next(iter(self._frames)))

    def take(self, key: int) -> Frame | None:
        """The frame, no longer kept; None where it fell out."""
        with self._lock:
            return self._drop(key)

    def _drop(self, key: int) -> Frame | None:
        frame = self._frames.pop(key, None)
        if frame is not None:
            self._held_bytes -= frame.pixels.nbytes
        return frame
