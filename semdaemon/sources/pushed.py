"""Frames that a script's hook pushes: a PULL socket that takes what it can and tells what it cannot."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import structlog
import zmq

from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.settings import Limits
from semdaemon.settings import Pushed as PushedSettings
from semdaemon.sources.pushmessage import (
    MOST_BYTES_A_PIXEL,
    MOST_HEADER_BYTES,
    frame_of,
    parse_header,
)
from semdaemon.sources.source import Deliver, SourceHealth
from semdaemon.sources.spool import Spool
from semdaemon.wire.gate import Gate

_WAITING_MESSAGES = 4
"""Received and not yet taken. More waits in the senders' hooks, which drop rather than wait."""

_POLL_MS = 100
_BIND_RETRY_S = 1.0
_MOST_SENDERS = 256
_TELL_EVERY_S = 10.0
_log = structlog.get_logger("semdaemon.sources")


@dataclass
class _Counters:
    refused: int = 0
    last_refusal: str = ""
    told_at: float = -math.inf
    dropped_by_senders: int = 0
    senders: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def heard(self, sender: str, dropped: int) -> None:
        """Note how many frames a sender says it dropped so far."""
        before = self.senders.pop(sender, 0)
        self.dropped_by_senders += max(0, dropped - before)
        self.senders[sender] = max(dropped, before)
        if len(self.senders) > _MOST_SENDERS:
            self.senders.popitem(last=False)


class PushedSource:
    """Takes frames from hooks; what it takes is spooled.

    An address that is held by something else is a fault in the health, tried again every second.
    """

    name = "pushed"

    def __init__(self, settings: PushedSettings, limits: Limits, spool: Spool) -> None:
        self._settings, self._limits, self._spool = settings, limits, spool
        self._counters = _Counters()
        self._fault = "not started"
        self._gate: Gate | None = None
        self.endpoint = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pushed", daemon=True)

    def start(self, deliver: Deliver) -> None:
        """Bind and listen; the first try to bind is over when this returns."""
        self._spool.attach(self.name, deliver)
        self._socket = self._try_to_bind()
        self._thread.start()

    def stop(self) -> None:
        """Close the socket; what is still in it is lost to the daemon, as it would be without one."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def wake(self) -> None:
        """Nothing to do: what is pushed comes by itself."""

    def health(self) -> SourceHealth:
        """Whether it listens, where, and what was not taken."""
        tally = self._spool.tally(self.name)
        fault = self._fault or tally["fault"]
        said = [fault] if fault else []
        if self._counters.last_refusal:
            said.append(f"last refused: {self._counters.last_refusal}")
        return SourceHealth(
            name=self.name,
            ok=not fault,
            detail="; ".join(said),
            watching="nothing" if self._fault else "events",
            counters={
                "taken": tally["taken"],
                "dropped": tally["dropped"],
                "refused": self._counters.refused,
                "dropped_by_senders": self._counters.dropped_by_senders,
                **self._turned_away(),
            },
        )

    def _turned_away(self) -> dict[str, int]:
        gate = self._gate
        if gate is None:
            return {}
        return {name: gate.counters[name] for name in ("connections_refused", "keys_refused")}

    # -- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._socket is None:
                    self._stop.wait(_BIND_RETRY_S)
                    self._socket = self._try_to_bind()
                elif self._socket.poll(_POLL_MS):
                    self._take(self._socket)
            except Exception:  # noqa: BLE001 - the thread's edge: logged, the next message goes on
                _log.exception("pushed message not taken")
                self._stop.wait(_BIND_RETRY_S)
        self._hang_up()

    def _try_to_bind(self) -> zmq.Socket[bytes] | None:
        self._context = zmq.Context()
        self._gate = None
        try:
            self._gate = Gate(self._context, self._settings.curve, self._settings.connections)
            socket = self._bound(self._gate)
        except (SemdaemonError, zmq.ZMQError) as error:
            self._hang_up()
            self._cannot_bind(error)
            return None
        self._gate.start()
        self._fault = ""
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        return socket

    def _bound(self, gate: Gate) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.PULL)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, _WAITING_MESSAGES)
        socket.setsockopt(zmq.MAXMSGSIZE, self._limits.max_pixels * MOST_BYTES_A_PIXEL + MOST_HEADER_BYTES)
        socket.ipv6 = "[" in self._settings.endpoint
        gate.guard(socket)
        socket.bind(self._settings.endpoint)
        return socket

    def _cannot_bind(self, error: SemdaemonError | zmq.ZMQError) -> None:
        said = error.message if isinstance(error, SemdaemonError) else str(error)
        remedy = error.remedy if isinstance(error, SemdaemonError) else "free it or set pushed.endpoint"
        fault = f"{self._settings.endpoint} cannot be bound: {said}; {remedy}"
        if fault != self._fault:
            _log.error("pushed frames cannot come in", endpoint=self._settings.endpoint, error=said)
        self._fault = fault

    def _hang_up(self) -> None:
        if self._gate is not None:
            self._gate.stop()
        self._context.destroy(linger=0)

    def _take(self, socket: zmq.Socket[bytes]) -> None:
        parts = _message(socket)
        try:
            if len(parts) != 2:
                raise FrameError("not_understood", f"a message of {len(parts)} parts; two were expected")
            header = parse_header(parts[0].buffer)
            self._counters.heard(header.sender, header.dropped)
            frame = frame_of(header, parts[1].buffer, self._limits)
        except FrameError as error:
            self._refuse(error)
            return
        self._spool.take(self.name, frame)

    def _refuse(self, error: FrameError) -> None:
        self._counters.refused += 1
        self._counters.last_refusal = error.message
        now = time.monotonic()
        if now - self._counters.told_at >= _TELL_EVERY_S:  # a scanner must not fill the disk
            self._counters.told_at = now
            refused = self._counters.refused
            _log.warning("pushed message refused", code=error.code, error=str(error), refused=refused)


def _message(socket: zmq.Socket[bytes]) -> list[zmq.Frame]:
    """The parts of one message; of more than three, which is too many, only three are held."""
    parts = [socket.recv(copy=False)]
    while parts[-1].more:
        part = socket.recv(copy=False)
        parts = [*parts[:2], part]
    return parts
