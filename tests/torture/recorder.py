"""Everything that a daemon publishes, over all its restarts, as two independent receivers heard it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import zmq

from semdaemon.wire.client import Subscriber
from semdaemon.wire.messages import Message

TOPICS = ("sem/score/", "sem/frame/", "sem/fault/")
_POLL_MS = 200


@dataclass(frozen=True)
class Heard:
    """One message about a frame."""

    epoch: str
    event: str
    sequence: int
    uri: str
    frame_id: str
    redelivered: bool
    code: str

    @property
    def mark(self) -> tuple[str, str, int]:
        """The same for the same message, however often it was heard."""
        return (self.epoch, self.event, self.sequence)


def _heard(event: str, header: Any) -> Heard:
    frame = header.get("frame") or {}
    return Heard(
        epoch=str(header.get("epoch")), event=event, sequence=int(header.get("sequence", -1)),
        uri=str(frame.get("uri")), frame_id=str(frame.get("id") or ""),
        redelivered=bool(header.get("redelivered")), code=str(header.get("code", "")),
    )  # fmt: skip


class Recorder:
    """Hears with a bare SUB socket, which trusts nothing of ours, and with our own `Subscriber`, which heals.

    Attributes
    ----------
    gaps
        Messages that our subscriber said are lost for good.
    epochs
        Streams of the daemon that were heard, in order.
    caught_up
        (uri, final state) of every frame that `catch_up` told of.
    """

    def __init__(self, endpoint: str, control: str) -> None:
        self._endpoint, self._control = endpoint, control
        self._bare: list[Heard] = []
        self._client: list[Heard] = []
        self.gaps, self.healed, self.malformed = 0, 0, 0
        self.epochs: list[str] = []
        self.caught_up: set[tuple[str, str]] = set()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._hear_bare, name="bare", daemon=True),
            threading.Thread(target=self._hear_client, name="client", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Hear no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def catch_up(self) -> None:
        """Ask the running daemon's journal for every end, as one does that lost messages for good."""
        with Subscriber(self._endpoint, self._control, topics=("sem/fault/",)) as subscriber:
            subscriber.ready(30)
            self.caught_up = {(frame.uri, frame.state) for frame in subscriber.catch_up(after=0)}

    def all(self) -> list[Heard]:
        """Every message once, in the order of epochs and sequences."""
        found = {one.mark: one for one in (*self._client, *self._bare)}
        place = {epoch: number for number, epoch in enumerate(self.epochs)}
        return sorted(
            found.values(), key=lambda one: (place.get(one.epoch, len(place)), one.event, one.sequence)
        )

    def counts(self) -> dict[str, int]:
        """Messages by event."""
        counted: dict[str, int] = {}
        for one in self.all():
            counted[one.event] = counted.get(one.event, 0) + 1
        return counted

    def _note(self, into: list[Heard], heard: Iterable[Heard]) -> None:
        for one in heard:
            into.append(one)
            if one.epoch not in self.epochs:
                self.epochs.append(one.epoch)

    def _hear_bare(self) -> None:
        context = zmq.Context()
        socket = context.socket(zmq.SUB)
        socket.linger, socket.rcvhwm = 0, 100_000
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        for topic in TOPICS:
            socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        socket.connect(self._endpoint)
        while not self._stop.is_set():
            if socket.poll(_POLL_MS):
                topic, header, *_ = socket.recv_multipart()
                self._note(self._bare, [_heard(topic.decode().split("/")[1], json.loads(header))])
        context.destroy(0)

    def _hear_client(self) -> None:
        with Subscriber(self._endpoint, self._control, topics=TOPICS, from_start=True) as subscriber:
            while not self._stop.is_set():
                told = subscriber.receive(_POLL_MS / 1000)
                if isinstance(told, Message):
                    self._note(self._client, [_heard(told.event, told.header)])
                elif told is not None and told.event == "gap":
                    self.gaps += told.count  # type: ignore[union-attr]
                self.healed, self.malformed = subscriber.healed, subscriber.malformed
