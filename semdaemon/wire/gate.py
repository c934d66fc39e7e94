"""Who may come in, and how many: CURVE keys and a bound on connections, for the sockets of one context.

libzmq asks about keys over ZAP (RFC 27) and tells of connections over socket monitors; one small thread
serves both. pyzmq's own `ThreadAuthenticator` is not used: its asyncio loop needs another package on Windows,
and it refuses with 400, after which a client never tries again, also when its key is added a minute later.

libzmq itself accepts connections without bound, until the process has no file descriptor left and frames
cannot be read any more. A monitor's event names the connection's descriptor; one too many is shut down.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from semdaemon.settings.section import Curve
from semdaemon.wire.allowed import AllowedKeys
from semdaemon.wire.keys import load_pair

log = logging.getLogger(__name__)

ZAP = "inproc://zeromq.zap.01"
DOMAIN = b"semdaemon"
HANDSHAKE_MS = 5_000
KEEPALIVE_IDLE_S, KEEPALIVE_EVERY_S, KEEPALIVE_TRIES = 60, 10, 6
UNREAD_MS = 60_000
LOG_EVERY_S = 10.0
_POLL_MS = 500
_TURN_EVENTS = 256
_AFTER_ERROR_S = 0.1
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_MONITOR_STOPPED


@dataclass
class _Door:
    """One guarded socket: its monitor and the connections that are open."""

    monitor: zmq.Socket[bytes]
    most: int
    open: dict[int, str] = field(default_factory=dict)


class Gate:
    """Guards sockets of one context.

    Call order: construct (reads the keys, binds ZAP), `guard` each socket before it is bound, `start`;
    at the end `stop`, in the thread that owns the sockets, and only then close them.

    Parameters
    ----------
    curve
        Key files; without them everybody who can reach the address is let in.
    connections
        Most at a time, for each socket.

    Raises
    ------
    SemdaemonError
        ``key_unreadable``, ``key_malformed``, ``key_exposed``: the server's own key.
    """

    def __init__(self, context: zmq.Context[Any], curve: Curve | None, connections: int) -> None:
        self._most = connections
        self._keys = None if curve is None else load_pair(curve.secret_file)
        self._allowed: AllowedKeys | None = None
        if curve is not None and self._keys is not None:
            # Whoever holds the server's secret is the daemon itself: `semdaemon status` needs no other key.
            self._allowed = AllowedKeys(curve.allowed, frozenset({self._keys.public}))
        self._zap = context.socket(zmq.REP)
        self._zap.linger = 0
        self._zap.bind(ZAP)
        self._doors: list[_Door] = []
        self._guarded: list[zmq.Socket[Any]] = []
        self._tally: Counter[str] = Counter()
        self._subscriptions: dict[int, int] = {}
        self._lock = threading.Lock()
        self._said_at: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()
        self._bell, self._ear = socket.socketpair()
        self._thread: threading.Thread | None = None

    def guard(self, guarded: zmq.Socket[Any]) -> None:
        """Prepare a socket that will be bound."""
        guarded.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        # A machine that vanished must not keep its place; TCP's own probes, for old peers know no other.
        guarded.setsockopt(zmq.TCP_KEEPALIVE, 1)
        guarded.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
        guarded.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_EVERY_S)
        guarded.setsockopt(zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_TRIES)
        # Where nothing that was sent is taken for so long (a stopped process), the system hangs up.
        guarded.setsockopt(zmq.TCP_MAXRT, UNREAD_MS)
        if self._keys is not None:
            guarded.curve_server = True
            guarded.curve_secretkey = self._keys.secret
        # Without keys too: libzmq then refuses protocols older than ZMTP 3, for whose peers it takes whatever
        # random bytes and other protocols it hears.
        guarded.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        # Without this libzmq lets everybody in while nobody answers it.
        guarded.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        monitor = guarded.get_monitor_socket(_EVENTS)
        monitor.linger = 0
        self._doors.append(_Door(monitor, self._most))
        self._guarded.append(guarded)

    def start(self) -> Gate:
        """Begin to answer and to count."""
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close what it opened; safe to call twice, and without `start`."""
        for guarded in self._guarded:
            if not guarded.closed:
                guarded.disable_monitor()
        self._guarded.clear()
        if self._thread is None:
            self._close()
            return
        self._bell.close()
        self._thread.join(5.0)

    @property
    def counters(self) -> dict[str, Any]:
        """Open connections, those cut because there were too many, and keys that were not let in."""
        told = {
            "connections": sum(len(door.open) for door in self._doors),
            "connections_refused": self._tally["crowded"],
            "keys_refused": self._tally["unknown_key"],
        }
        return told if self._allowed is None else {**told, "keys_allowed": self._allowed.names}

    def may_subscribe(self, connection: int, size_bytes: int, most_bytes: int) -> bool:
        """Count the topics of a connection; one that holds more than ``most_bytes`` of them is cut."""
        with self._lock:
            held = self._subscriptions[connection] = max(
                0, self._subscriptions.get(connection, 0) + size_bytes
            )
        if held <= most_bytes:
            return True
        for door in self._doors:
            if (endpoint := door.open.pop(connection, None)) is not None:
                self._cut(connection, endpoint, "greedy")
        return False

    # -- the thread --

    def _run(self) -> None:
        poller = zmq.Poller()
        for readable in (self._zap, self._ear, *(door.monitor for door in self._doors)):
            poller.register(readable, zmq.POLLIN)
        try:
            while not self._turn(dict(poller.poll(_POLL_MS))):
                pass
        finally:
            self._close()

    def _turn(self, ready: Mapping[Any, int]) -> bool:
        """One round; True when it is to end."""
        if self._ear.fileno() in ready:
            return True
        try:
            if self._zap in ready:
                self._answer(self._zap)
            for door in self._doors:
                if door.monitor in ready:
                    self._follow(door)
            self._look()
            self._say_rest()
        except Exception:  # thread edge: nobody is let in by a stumble, and the next one is asked about again
            log.exception("The gate stumbled and goes on")
            time.sleep(_AFTER_ERROR_S)
        return False

    def _answer(self, zap: zmq.Socket[bytes]) -> None:
        version, number, *asked = zap.recv_multipart()
        self._look()  # a key that was copied a moment ago counts
        key, address = _key_of(asked)
        if self._allowed is None or key in self._allowed:
            name = "" if self._allowed is None else self._allowed.name_of(key)
            zap.send_multipart([version, number, b"200", b"OK", name.encode(), b""])
            return
        self._count("unknown_key", "A key that is not allowed was refused", address)
        # 300, "temporary": the client tries again when its handshake times out, and may be allowed by then.
        zap.send_multipart([version, number, b"300", b"not allowed", b"", b""])

    def _look(self) -> None:
        if self._allowed is not None and (gone := self._allowed.look()):
            self._revoke(gone)

    def _follow(self, door: _Door) -> None:
        for _ in range(_TURN_EVENTS):
            if not door.monitor.poll(0):
                return
            told: dict[str, Any] = dict(recv_monitor_message(door.monitor))
            connection, endpoint = int(told["value"]), told["endpoint"].decode("utf-8", "replace")
            if told["event"] == zmq.EVENT_ACCEPTED:
                self._accepted(door, connection, endpoint)
            else:
                door.open.pop(connection, None)

    def _accepted(self, door: _Door, connection: int, endpoint: str) -> None:
        with self._lock:
            self._subscriptions.pop(connection, None)
        door.open[connection] = endpoint
        if len(door.open) > door.most:
            self._cut(connection, endpoint, "crowded")

    def _revoke(self, gone: list[str]) -> None:
        # Which connection belongs to which key libzmq does not say. All go; those allowed are back at once.
        for door in self._doors:
            for connection, endpoint in list(door.open.items()):
                self._cut(connection, endpoint, "revoked")
        log.warning("Keys taken away: %s. Every connection was closed; the others come back", ", ".join(gone))

    def _cut(self, connection: int, endpoint: str, why: str) -> None:
        if _shut_down(connection, endpoint):
            self._count(why, f"A connection was closed ({why})", endpoint)

    def _count(self, what: str, said: str, where: str) -> None:
        """Count, and log at most every ten seconds: a scanner must not fill the disk."""
        with self._lock:
            self._tally[what] += 1
            self._unsaid[what] += 1
        now = time.monotonic()
        if now - self._said_at.get(what, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._said_at[what] = now
            log.warning("%s: %s (%d since last told)", said, where, self._unsaid.pop(what, 1))

    def _say_rest(self) -> None:
        now = time.monotonic()
        for what in list(self._unsaid):
            if now - self._said_at.get(what, 0.0) >= LOG_EVERY_S:
                self._said_at[what] = now
                log.warning("%d more connections or keys were turned away (%s)", self._unsaid.pop(what), what)

    def _close(self) -> None:
        for opened in (self._zap, *(door.monitor for door in self._doors)):
            if not opened.closed:
                opened.close(0)
        self._bell.close()
        self._ear.close()


def _key_of(asked: list[bytes]) -> tuple[bytes, str]:
    """Public key and address of a ZAP request; no key where it is none of CURVE."""
    address = asked[1].decode("ascii", "replace") if len(asked) > 1 else "?"
    if len(asked) != 5 or asked[3] != b"CURVE" or len(asked[4]) != 32:
        return b"", address
    return z85.encode(asked[4]), address


def _shut_down(connection: int, endpoint: str) -> bool:
    """End one of libzmq's connections, which libzmq then notices and closes.

    The descriptor is libzmq's. Should it have been closed and given to something else in the meantime,
    its address shows it, and it is left alone.
    """
    try:
        borrowed = socket.socket(fileno=connection)
    except OSError:
        return False
    try:
        if not _is_at(borrowed, endpoint):
            return False
        borrowed.shutdown(socket.SHUT_RDWR)
    except OSError:
        return False
    finally:
        borrowed.detach()
    return True


def _is_at(borrowed: socket.socket, endpoint: str) -> bool:
    here = borrowed.getsockname()
    if endpoint.startswith("tcp://"):
        return isinstance(here, tuple) and str(here[1]) == endpoint.rpartition(":")[2]
    return borrowed.family == getattr(socket, "AF_UNIX", None)
