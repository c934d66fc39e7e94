"""The publisher's two sockets, bound with all their bounds."""

from __future__ import annotations

import zmq

from semdaemon.errors import SemdaemonError
from semdaemon.wire.gate import Gate

REQUEST_BYTES = 64 * 1024
SUBSCRIPTION_BYTES = 1024
WAITING_REQUESTS = 16
WAITING_SUBSCRIPTIONS = 4
"""XPUB takes in all that waits before it says anything of it.

With 16 a flood was refilled faster than that ended: thousands (9 KB each) were kept before the connection
could be cut. With 1 no handshake with keys came to its end.
"""
UNREAD_ANSWERS = 64
BUSY = "Another program uses that address; is a daemon running already? 'semdaemon status' tells."


def bind_xpub(
    context: zmq.Context[zmq.Socket[bytes]], gate: Gate, endpoint: str, subscriber_messages: int
) -> zmq.Socket[bytes] | None:
    """The socket that publishes; None where the endpoint is empty.

    Raises
    ------
    SemdaemonError
        ``endpoint_in_use`` or ``endpoint_invalid``, naming the address.
    """
    if not endpoint:
        return None
    made = context.socket(zmq.XPUB)
    made.sndhwm = subscriber_messages
    # Every subscription is passed up, also one that another connection still holds, and each of their ends.
    made.setsockopt(zmq.XPUB_VERBOSER, 1)
    made.rcvhwm = WAITING_SUBSCRIPTIONS
    return _bound(made, gate, endpoint, SUBSCRIPTION_BYTES)


def bind_router(
    context: zmq.Context[zmq.Socket[bytes]], gate: Gate, endpoint: str
) -> zmq.Socket[bytes] | None:
    """The socket that answers; None where the endpoint is empty. Raises as `bind_xpub`."""
    if not endpoint:
        return None
    made = context.socket(zmq.ROUTER)
    made.rcvhwm = WAITING_REQUESTS
    # Not fewer: libzmq learns late what a client has read, and drops an answer for which it sees no room.
    made.sndhwm = UNREAD_ANSWERS
    # Else a second peer of the same name is never read and never let go of, and keeps its place for ever.
    made.setsockopt(zmq.ROUTER_HANDOVER, 1)
    return _bound(made, gate, endpoint, REQUEST_BYTES)


def actual(bound: zmq.Socket[bytes] | None) -> str:
    """The address with its port, where a wildcard was asked for."""
    return "" if bound is None else bound.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")


def _bound(made: zmq.Socket[bytes], gate: Gate, endpoint: str, most_bytes: int) -> zmq.Socket[bytes]:
    # Nobody sends us much; a scanner that claims gigabytes is disconnected by libzmq.
    made.setsockopt(zmq.MAXMSGSIZE, most_bytes)
    made.ipv6 = "[" in endpoint
    made.linger = 0
    gate.guard(made)
    try:
        made.bind(endpoint)
    except zmq.ZMQError as error:
        raise _bind_error(endpoint, error) from error
    return made


def _bind_error(endpoint: str, error: zmq.ZMQError) -> SemdaemonError:
    if error.errno == zmq.EADDRINUSE:
        return SemdaemonError(
            "endpoint_in_use",
            f"Cannot publish on {endpoint}: the address is in use.",
            remedy=f"{BUSY} Else choose others in publish.endpoint and publish.control.",
        )
    return SemdaemonError(
        "endpoint_invalid",
        f"Cannot publish on {endpoint}: {error}.",
        remedy="Expected an address of this machine with a port, e.g. tcp://127.0.0.1:5570.",
    )
