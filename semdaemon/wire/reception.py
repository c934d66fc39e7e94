"""What comes in at the publisher's sockets: subscriptions and requests, each for a moment at a time.

For a moment, not for as many as wait: whoever floods a socket delays no message by more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import zmq

from semdaemon.wire.control import Desk, answer, busy, envelope
from semdaemon.wire.flight import Flight
from semdaemon.wire.gate import Gate
from semdaemon.wire.messages import READY_PREFIX, Part

log = logging.getLogger(__name__)

TURN_S = 0.005
SUBSCRIBED_BYTES = 8 * 1024
READY_TOPIC_BYTES = 128
ANSWERS_BYTES = 64 * 2**20
SMALL_ANSWER_BYTES = 64 * 1024


class Subscriptions:
    """Reads them off an XPUB, counts them, and echoes those that ask whether they are in place.

    Parameters
    ----------
    echo
        Topic to the parts of the message that answers it.
    """

    def __init__(self, xpub: zmq.Socket[bytes], gate: Gate, echo: Callable[[str], list[Part]]) -> None:
        self._xpub, self._gate, self._echo = xpub, gate, echo

    def read(self) -> None:
        """Deal with what waits, for a moment."""
        end = time.monotonic() + TURN_S
        while time.monotonic() < end:
            try:
                first = self._xpub.recv(zmq.NOBLOCK, copy=False)
                rest = self._xpub.recv_multipart() if first.more else []
            except zmq.Again:
                return
            said = bytes(first.buffer)
            if rest or said[:1] not in (b"\x00", b"\x01") or not self._counted(first):
                continue
            topic = said[1:]
            if said[0] == 1 and topic.startswith(READY_PREFIX.encode()) and _is_sane(topic):
                self._xpub.send_multipart(self._echo(topic.decode()), zmq.NOBLOCK)

    def _counted(self, said: zmq.Frame) -> bool:
        """Count the topics of each connection: libzmq keeps them all, however many there are."""
        subscribes, size = said.buffer[0] == 1, len(said)
        try:
            connection = int(said.get(zmq.SRCFD))
        except zmq.ZMQError:  # a connection that ended takes its subscriptions back by itself
            return subscribes
        return self._gate.may_subscribe(connection, size if subscribes else -size, SUBSCRIBED_BYTES)


class Requests:
    """Reads them off a ROUTER and answers them; what clients do not read is bounded in bytes."""

    def __init__(self, router: zmq.Socket[bytes], desk: Desk) -> None:
        self._router, self._desk = router, desk
        self._answers = Flight(ANSWERS_BYTES)
        self.count = 0

    @property
    def unread_bytes(self) -> int:
        """Answers that clients have not read."""
        return self._answers.in_flight_bytes

    def read(self) -> None:
        """Answer what waits, for a moment."""
        end = time.monotonic() + TURN_S
        while time.monotonic() < end:
            try:
                address, request = envelope(self._router.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return
            self.count += 1
            try:
                self._answer(address, request)
            except zmq.ZMQError as error:  # the peer went, or does not read its answers
                log.debug("An answer could not be sent: %s", error)

    def _answer(self, address: list[bytes], request: bytes) -> None:
        parts = answer(request, self._desk)
        size = sum(map(len, parts))
        if size > SMALL_ANSWER_BYTES and self._answers.has_room(size):
            self._answers.send_whole(self._router, [*address, *parts], zmq.NOBLOCK)
            return
        # Small ones are copied and not counted: libzmq keeps a bounded number of them for each connection.
        said = parts if size <= SMALL_ANSWER_BYTES else busy(request)
        self._router.send_multipart([*address, *said], zmq.NOBLOCK)


def _is_sane(topic: bytes) -> bool:
    return len(topic) <= READY_TOPIC_BYTES and topic.isascii()
