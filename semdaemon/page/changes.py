"""'Something changed', told from any thread to every open page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

Listener = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class Changes:
    """A version that counts up; pages wait for it.

    `announce` and `close` may be called from any thread; changes while a page is busy become one.
    """

    def __init__(self) -> None:
        self.version = 0
        self.closed = False
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()

    def announce(self) -> None:
        """Something that the page shows has changed."""
        with self._lock:
            self.version += 1
        self._wake()

    def close(self) -> None:
        """Let every waiting page go, so that the server can stop."""
        self.closed = True
        self._wake()

    async def versions(self, keep_alive_s: float) -> AsyncIterator[int | None]:
        """The version now and after every change; None where nothing happened for ``keep_alive_s``."""
        listener = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._listeners.add(listener)
        try:
            told = -1
            while not self.closed:
                listener[1].clear()
                if told != self.version:
                    told = self.version
                    yield told
                    continue
                if not await _within(listener[1], keep_alive_s):
                    yield None
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _wake(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for loop, event in listeners:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:  # that page's loop has ended
                with self._lock:
                    self._listeners.discard((loop, event))


async def _within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return False
    return True
