"""Subscribers: iterate what a daemon publishes, with gaps seen and healed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import zmq
import zmq.asyncio

from semdaemon.errors import SemdaemonError
from semdaemon.wire.dialogue import Ask, Command, Conversation, Parts, Pause, Receive
from semdaemon.wire.headers import FinishedFrame
from semdaemon.wire.keys import ClientKeys
from semdaemon.wire.stream import Position, Told

ENDPOINT = "tcp://127.0.0.1:5570"
CONTROL = "tcp://127.0.0.1:5571"
HEAL_TIMEOUT_S = 5.0
MAX_PART_BYTES = 4 * 2**30
RECEIVE_MESSAGES = 100
RECONNECT_MOST_MS = 2_000
KEYS_HINT = " Is this its server key, and is our public key in its publish.curve_allowed?"

T = TypeVar("T")
Dialogue = Generator[Command, Parts | None, T]


class _Connected:
    """What the blocking and the asyncio subscriber share."""

    _context_type: type[zmq.Context[Any]]

    def __init__(
        self,
        endpoint: str = ENDPOINT,
        control: str = CONTROL,
        topics: Sequence[str] = ("",),
        heal: bool = True,
        timeout_s: float | None = None,
        *,
        from_start: bool = False,
        last_value: bool = True,
        position: Position | None = None,
        receive_messages: int = RECEIVE_MESSAGES,
        curve: ClientKeys | None = None,
    ) -> None:
        self._curve = curve
        self._context = self._context_type()
        self.endpoint = endpoint
        self.control = control
        self.timeout_s = timeout_s
        self._conversation = Conversation(
            topics,
            heal=heal and bool(control),
            from_start=from_start,
            last_value=last_value,
            position=position,
        )
        self._heart = ""
        self._control: Any = None
        self._sub: Any = self._context.socket(zmq.SUB)
        # The echo comes back only when every subscription before it is in place: it goes last.
        for topic in (*topics, self._conversation.nonce):
            self._sub.setsockopt(zmq.SUBSCRIBE, topic.encode())
        try:
            _connect(self._sub, endpoint, receive_messages, curve)
        except SemdaemonError:
            self.close()
            raise

    def close(self) -> None:
        """Leave; safe to call twice."""
        self._context.destroy(linger=0)

    @property
    def epoch(self) -> str:
        """UUID of the publisher's run, '' before anything came."""
        return self._conversation.stream.epoch

    @property
    def instrument(self) -> str:
        """The publisher's instrument, '' before it answered."""
        return self._conversation.stream.instrument

    @property
    def position(self) -> Position:
        """How far it has come: keep it, and give it to the next subscriber to go on from there."""
        return self._conversation.position

    @property
    def healed(self) -> int:
        """Messages that were fetched from the replay store so far."""
        return self._conversation.healed

    @property
    def silent_s(self) -> float:
        """How long nothing came, not even a heartbeat; seconds."""
        return time.monotonic() - self._conversation.heard_at

    @property
    def malformed(self) -> int:
        """Received multiparts that were no messages, and were left."""
        return self._conversation.malformed

    def _control_socket(self) -> Any:
        if self._control is None:
            self._control = self._context.socket(zmq.DEALER)
            _connect(self._control, self.control, RECEIVE_MESSAGES, self._curve)
        return self._control

    def _drop_control_socket(self) -> None:
        # An answer that is late now would be taken for the next one's; a new socket has none.
        self._control.close(linger=0)
        self._control = None

    def _listen_to_heart(self) -> None:
        heart = f"{self.instrument}/heartbeat/"
        if self._conversation.stream.ready and heart != self._heart:
            self._heart = heart
            self._sub.setsockopt(zmq.SUBSCRIBE, heart.encode())

    def _silence(self, timeout_s: float) -> SemdaemonError:
        return SemdaemonError(
            "not_ready",
            f"No publisher answered at {self.endpoint} within {timeout_s:g} s.",
            remedy="Is the daemon running ('semdaemon status'), and is this its publish.endpoint?"
            + (KEYS_HINT if self._curve is not None else " Does it ask for a key (publish.curve_allowed)?"),
        )


class Subscriber(_Connected):
    """Iterate messages of a running daemon; not thread-safe.

    Parameters
    ----------
    endpoint, control
        The daemon's ``publish.endpoint`` and ``publish.control``; ``control=""`` heals nothing.
    topics
        Prefixes, e.g. ``("sem/score/", "sem/fault/")``; the default takes everything.
    heal
        Fetch lost messages from the replay store.
    timeout_s
        The iteration ends after so long without a message; None waits for ever.
    from_start
        Begin with what the daemon's replay store still has of this run.
    last_value
        Joining in the middle, first tell the newest message of each topic (with ``healed`` true), where the
        replay store has it. Heartbeats are never among them.
    position
        Go on where an earlier subscriber was, see `position`; stands above ``from_start`` and ``last_value``.
    receive_messages
        Most messages that wait here to be taken; what comes beyond is healed later, or told as a gap.
        A hundred full frames of 2048 x 2048 pixels, 16 bit, are 1.3 GB.
    curve
        Keys for a daemon that asks for them, see `ClientKeys.load`.

    Yields
    ------
    Message, Gap or NewEpoch
        Gaps that could not be healed and restarts of the publisher are told in the place where they happened;
        every item has ``event`` and ``topic``.

    Examples
    --------
    >>> with Subscriber(topics=("sem/score/",)) as subscriber:  # doctest: +SKIP
    ...     for told in subscriber:
    ...         if told.event == "score":
    ...             print(told.header["frame"]["uri"], told.arrays["sigma_px"])
    """

    _context_type = zmq.Context

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ready(self, timeout_s: float = 10.0) -> Subscriber:
        """Wait until the publisher has all subscriptions: whatever is published from now on will arrive.

        Raises
        ------
        SemdaemonError
            ``not_ready`` after ``timeout_s``.
        """
        if not self._drive(self._conversation.until_ready(timeout_s)):
            raise self._silence(timeout_s)
        return self

    def receive(self, timeout_s: float | None = None) -> Told | None:
        """The next message, gap or new epoch; None after ``timeout_s`` without one."""
        return self._drive(self._conversation.next_told(timeout_s))

    def __iter__(self) -> Iterator[Told]:
        while (told := self.receive(self.timeout_s)) is not None:
            yield told

    def catch_up(self, after: int | None = None, since: datetime | None = None) -> Iterator[FinishedFrame]:
        """Every frame that came to an end, from the daemon's journal: also where its messages are lost.

        For what a `Gap` or a `NewEpoch` leaves open. Without arguments: since this subscriber was ready, or
        since the last call. Frames whose messages did arrive are among them; their ``uri`` and ``id`` tell.

        Parameters
        ----------
        after
            A position in the journal, e.g. ``position.journal`` of an earlier subscriber; 0 is the beginning.
        since
            A moment with its time zone.

        Raises
        ------
        SemdaemonError
            ``no_answer``, ``no_journal``, ``unknown_position`` (another journal than that of the position).
        """
        more = True
        while more:
            frames, more = self._drive(self._conversation.catch_up(after, since))
            yield from frames
            after = since = None

    def _drive(self, dialogue: Dialogue[T]) -> T:
        try:
            command = next(dialogue)
            while True:
                command = dialogue.send(self._do(command))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _do(self, command: Command) -> Parts | None:
        if isinstance(command, Pause):
            time.sleep(command.seconds)
            return None
        return self._ask(command) if isinstance(command, Ask) else self._next(command)

    def _next(self, command: Receive) -> Parts | None:
        self._listen_to_heart()
        if not self._sub.poll(_milliseconds(command.timeout_s)):
            return None
        return _buffers(self._sub.recv_multipart(copy=False))

    def _ask(self, command: Ask) -> Parts | None:
        socket = self._control_socket()
        socket.send(json.dumps(command.request).encode())
        end = time.monotonic() + HEAL_TIMEOUT_S
        while socket.poll(_milliseconds(max(0.0, end - time.monotonic()))):
            reply = _buffers(socket.recv_multipart(copy=False))
            if command.is_answered_by(reply):
                return reply
        self._drop_control_socket()
        return None


class AsyncSubscriber(_Connected):
    """`Subscriber` for asyncio: ``async with``, ``await ready()``, ``async for``; the same parameters."""

    _context_type = zmq.asyncio.Context

    async def __aenter__(self) -> AsyncSubscriber:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def ready(self, timeout_s: float = 10.0) -> AsyncSubscriber:
        """Wait until the publisher has all subscriptions; ``not_ready`` after ``timeout_s``."""
        if not await self._drive(self._conversation.until_ready(timeout_s)):
            raise self._silence(timeout_s)
        return self

    async def receive(self, timeout_s: float | None = None) -> Told | None:
        """The next message, gap or new epoch; None after ``timeout_s`` without one."""
        return await self._drive(self._conversation.next_told(timeout_s))

    async def __aiter__(self) -> AsyncIterator[Told]:
        while (told := await self.receive(self.timeout_s)) is not None:
            yield told

    async def catch_up(
        self, after: int | None = None, since: datetime | None = None
    ) -> AsyncIterator[FinishedFrame]:
        """Every frame that came to an end, from the daemon's journal; see `Subscriber.catch_up`."""
        more = True
        while more:
            frames, more = await self._drive(self._conversation.catch_up(after, since))
            for frame in frames:
                yield frame
            after = since = None

    async def _drive(self, dialogue: Dialogue[T]) -> T:
        try:
            command = next(dialogue)
            while True:
                command = dialogue.send(await self._do(command))
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _do(self, command: Command) -> Parts | None:
        if isinstance(command, Pause):
            await asyncio.sleep(command.seconds)
            return None
        return await (self._ask(command) if isinstance(command, Ask) else self._next(command))

    async def _next(self, command: Receive) -> Parts | None:
        self._listen_to_heart()
        if not await self._sub.poll(_milliseconds(command.timeout_s)):
            return None
        return _buffers(await self._sub.recv_multipart(copy=False))

    async def _ask(self, command: Ask) -> Parts | None:
        socket = self._control_socket()
        await socket.send(json.dumps(command.request).encode())
        end = time.monotonic() + HEAL_TIMEOUT_S
        while await socket.poll(_milliseconds(max(0.0, end - time.monotonic()))):
            reply = _buffers(await socket.recv_multipart(copy=False))
            if command.is_answered_by(reply):
                return reply
        self._drop_control_socket()
        return None


def _connect(socket: Any, endpoint: str, receive_messages: int, curve: ClientKeys | None) -> None:
    socket.linger = 0
    # Whoever is not let in tries again, and not ten times a second.
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MOST_MS)
    if curve is not None:
        curve.apply(socket)
    socket.rcvhwm = receive_messages
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
    socket.ipv6 = "[" in endpoint
    # A machine that vanished without goodbye (power, cable) is noticed and connected to again.
    socket.setsockopt(zmq.HEARTBEAT_IVL, 5_000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15_000)
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        raise SemdaemonError(
            "endpoint_invalid",
            f"{endpoint!r} is not an address that can be connected to: {error}.",
            remedy=f"Expected e.g. {ENDPOINT}.",
        ) from error


def _milliseconds(timeout_s: float | None) -> int | None:
    return None if timeout_s is None else int(timeout_s * 1000)


def _buffers(frames: Sequence[zmq.Frame]) -> Parts:
    # Large buffers stay where libzmq received them; arrays are views of them.
    return [frame.buffer for frame in frames]
