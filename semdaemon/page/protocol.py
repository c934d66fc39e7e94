"""uvicorn's HTTP protocol with two bounds that it lacks: connections, and how long a request may take.

uvicorn waits for ever for a request's first byte and for its last; whoever opens connections and says nothing
would keep everybody else out.
"""

from __future__ import annotations

import asyncio
import logging
import time

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 200
REQUEST_S = 10.0
LOG_EVERY_S = 10.0


class BoundedProtocol(H11Protocol):
    """Hangs up on one connection too many, and on who does not get a request together in `REQUEST_S`."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._answering:
            self._stop_waiting()
        elif self._deadline is None:  # not anew with each byte
            self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_request(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self._answering:
            self.transport.abort()


class Sparing(logging.Filter):
    """Lets each of uvicorn's warnings through once in a while: a scanner must not fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is logged."""
        if record.levelno != logging.WARNING:
            return True
        now = time.monotonic()
        if now - self._said_at.get(str(record.msg), -LOG_EVERY_S) < LOG_EVERY_S:
            return False
        self._said_at[str(record.msg)] = now
        return True


SPARING = Sparing()
