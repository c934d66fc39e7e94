"""The publisher: one thread owns XPUB and ROUTER; any thread may publish and never waits."""

from __future__ import annotations

import logging
import math
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import zmq

from semdaemon.errors import SemdaemonError
from semdaemon.settings import Publish
from semdaemon.wire.binding import actual, bind_router, bind_xpub
from semdaemon.wire.control import Desk, Finished
from semdaemon.wire.drafting import draft
from semdaemon.wire.flight import Flight
from semdaemon.wire.gate import Gate
from semdaemon.wire.headers import SCHEMA
from semdaemon.wire.messages import NamedArray, NamedBlob, Part, encode, now, plain, topic_of
from semdaemon.wire.outbox import Letter, Outbox
from semdaemon.wire.reception import Requests, Subscriptions
from semdaemon.wire.replay import ReplayStore

log = logging.getLogger(__name__)

BULKY = ("preview", "frame")
STATUS_EVERY_S = 10.0
TELL_GAPS_AFTER_S = 0.02
AFTER_ERROR_S = 0.1
TURN_LETTERS = 64


class Publisher:
    """Sends messages, answers requests, beats its heart.

    Call order: construct, `start` (binds, so a busy address is an error here), `publish` from any thread,
    `close`. Also a context manager.

    Parameters
    ----------
    settings
        Section ``publish``; an empty ``endpoint`` publishes nothing, an empty ``control`` answers nothing.
    instrument
        First part of every topic.
    status
        Called in the publisher's thread for ``status`` messages and requests: must be quick.
        What it raises is logged and reported in its place.
    finished
        The journal, for request ``frames``; called in the publisher's thread too.
    """

    def __init__(
        self,
        settings: Publish,
        instrument: str = "sem",
        *,
        status: Callable[[], Mapping[str, Any]] | None = None,
        finished: Finished | None = None,
    ) -> None:
        self.epoch = str(uuid.uuid4())
        self.instrument = instrument
        self.endpoint = ""
        self.control_endpoint = ""
        self._settings = settings
        self._status, self._finished_frames = status or dict, finished
        self._outbox = Outbox(settings.queue_bytes)
        self._flight = Flight(settings.queue_bytes)
        self._store = ReplayStore(settings.replay_bytes)
        self._sequences: dict[str, int] = {}
        self._own: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._withheld: Counter[str] = Counter()
        self._subscriptions: Subscriptions | None = None
        self._requests: Requests | None = None
        self._errors = 0
        self._next_beat = self._next_status = 0.0
        self._stop_at: float | None = None
        self._gate: Gate | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Publisher:
        """Bind both sockets and start sending.

        Raises
        ------
        SemdaemonError
            ``endpoint_in_use`` or ``endpoint_invalid``, naming the address; codes of `Gate` for keys.
        """
        self._context = zmq.Context()
        try:
            gate = self._gate = Gate(self._context, self._settings.curve, self._settings.connections)
            messages = self._settings.subscriber_messages
            self._xpub = bind_xpub(self._context, gate, self._settings.endpoint, messages)
            self._router = bind_router(self._context, gate, self._settings.control)
        except SemdaemonError:
            if self._gate is not None:
                self._gate.stop()
            self._context.destroy(linger=0)
            raise
        gate.start()
        self.endpoint, self.control_endpoint = actual(self._xpub), actual(self._router)
        if self._xpub is not None:
            self._subscriptions = Subscriptions(self._xpub, gate, self._ready)
        if self._router is not None:
            self._requests = Requests(self._router, self._desk())
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()
        return self

    def publish(
        self,
        event: str,
        header: Mapping[str, Any],
        arrays: Sequence[NamedArray] = (),
        blobs: Sequence[NamedBlob] = (),
    ) -> None:
        """Hand over one message; returns at once, from any thread.

        Parameters
        ----------
        event
            ``score``, ``preview``, ``frame``, ``advice``, ``status``, ``fault`` (or ``heartbeat``).
        header
            What the event's model in `semdaemon.wire.headers` asks for, and anything beside it.
        arrays
            ``(name, array)``; a read-only array is sent as it is and must not change any more,
            a writable one is copied here.
        blobs
            ``(name, media type, bytes)``.

        Raises
        ------
        SemdaemonError
            ``bad_header``, ``unknown_event`` or ``unsendable_array``: mistakes of the caller.
        """
        self._outbox.put(draft(event, header, arrays, blobs))
        self._ring()

    def close(self, linger_s: float = 1.0) -> None:
        """Send what waits, for at most ``linger_s``, and release the addresses. Safe to call twice."""
        if self._thread is None:
            return
        self._stop_at = time.monotonic() + linger_s
        self._ring()
        self._thread.join(linger_s + 5.0)
        self._thread = None

    def __enter__(self) -> Publisher:
        return self if self._thread else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """True while its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def counters(self) -> dict[str, Any]:
        """Messages handed over, sent, shed for want of room, withheld from a slow network; what waits."""
        return {
            "handed": dict(self._own + Counter(self._outbox.handed)),
            "sent": dict(self._sent),
            "shed": self._outbox.shed,
            "withheld": dict(self._withheld),
            "waiting_messages": len(self._outbox),
            "waiting_bytes": self._outbox.waiting_bytes,
            "in_flight_bytes": self._flight.in_flight_bytes,
            "unread_answer_bytes": 0 if self._requests is None else self._requests.unread_bytes,
            "replay_bytes": self._store.total_bytes,
            "requests": 0 if self._requests is None else self._requests.count,
            "errors": self._errors,
            **({} if self._gate is None else self._gate.counters),
        }

    # -- the thread --

    def _run(self) -> None:
        try:
            self._loop()
        finally:
            left_s = max(0.0, (self._stop_at or 0.0) - time.monotonic())
            if self._gate is not None:
                self._gate.stop()
            self._context.destroy(linger=int(left_s * 1000))
            self._bell.close()
            self._ear.close()

    def _loop(self) -> None:
        poller = zmq.Poller()
        for readable in (self._xpub, self._router, self._ear):
            if readable is not None:
                poller.register(readable, zmq.POLLIN)
        while not self._finished():
            try:
                self._turn(poller)
            except Exception:  # thread edge: one message that cannot be sent must not silence all others
                self._errors += 1
                log.exception("The publisher stumbled and goes on")
                time.sleep(AFTER_ERROR_S)

    def _turn(self, poller: zmq.Poller) -> None:
        self._beat(time.monotonic())
        wait_s = 0.0 if len(self._outbox) else max(0.0, self._next_beat - time.monotonic())
        poller.poll(math.ceil(wait_s * 1000))
        self._hush()
        for reception in (self._subscriptions, self._requests):
            if reception is not None:
                reception.read()
        self._send_some()

    def _finished(self) -> bool:
        if self._stop_at is None:
            return False
        return len(self._outbox) == 0 or time.monotonic() > self._stop_at

    def _send_some(self) -> None:
        for _ in range(TURN_LETTERS):
            letter = self._outbox.get()
            if letter is None:
                return
            self._send(letter)

    def _send(self, letter: Letter) -> None:
        topic = topic_of(self.instrument, letter.event)
        sequence = self._sequences.get(topic, -1) + 1
        self._sequences[topic] = sequence
        if letter.shed:
            self._tell_gaps_soon()
            return
        parts = encode(topic, {**letter.header, **self._stamp(sequence)}, letter.arrays, letter.blobs)
        if letter.event != "heartbeat":
            self._store.add(topic, sequence, parts)
        if self._xpub is None:
            return
        if letter.event in BULKY and not self._flight.has_room(letter.size_bytes):
            # Somebody does not read: rather a gap that the replay store heals than memory without bound.
            self._withheld[letter.event] += 1
            self._tell_gaps_soon()
            return
        self._flight.send(self._xpub, parts)
        self._sent[letter.event] += 1

    def _stamp(self, sequence: int) -> dict[str, Any]:
        return {"epoch": self.epoch, "sequence": sequence, "published_at": now()}

    def _tell_gaps_soon(self) -> None:
        self._next_beat = min(self._next_beat, time.monotonic() + TELL_GAPS_AFTER_S)

    def _beat(self, now_s: float) -> None:
        if now_s >= self._next_beat:
            beat = {**self._pulse("heartbeat"), "wire": self.counters}
            self._own["heartbeat"] += 1
            self._send(draft("heartbeat", beat))
            self._next_beat = now_s + self._settings.heartbeat_s
        if now_s >= self._next_status:
            self._own["status"] += 1
            self._send(draft("status", {"status": self._told()}))
            self._next_status = now_s + STATUS_EVERY_S

    def _pulse(self, event: str) -> dict[str, Any]:
        others = {t: n for t, n in self._sequences.items() if t != topic_of(self.instrument, "heartbeat")}
        return {
            "schema": SCHEMA,
            "event": event,
            "instrument": self.instrument,
            "interval_s": self._settings.heartbeat_s,
            "sequences": others,
            "journal_position": self._journal_position(),
        }

    def _journal_position(self) -> int | None:
        try:
            return None if self._finished_frames is None else self._finished_frames.position()
        except Exception as error:  # noqa: BLE001 - another part's failure must not silence the wire
            log.debug("The journal's position is not known: %s", error)
            return None

    def _told(self) -> dict[str, Any]:
        try:
            told = plain(self._status())
        except Exception as error:  # another part's failure must not silence the wire
            log.exception("The status could not be made")
            told = {"error": f"{type(error).__name__}: {error}"}
        return {**told, "wire": self.counters}

    def _ready(self, topic: str) -> list[Part]:
        return encode(topic, {**self._pulse("ready"), **self._stamp(0)})

    def _desk(self) -> Desk:
        told, finished = self._told, self._finished_frames
        return Desk(self.instrument, self.epoch, self._sequences, self._store, told, finished)

    def _ring(self) -> None:
        if self._thread is None:
            return
        try:
            self._bell.send(b"!")
        except OSError:  # full: the thread will wake anyway; closed: it has ended
            return

    def _hush(self) -> None:
        try:
            while self._ear.recv(4096):
                pass
        except OSError:
            return
