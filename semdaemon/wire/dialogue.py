"""How a subscriber receives and heals, without sockets: one dialogue, driven by blocking code or by asyncio.

A dialogue is a generator that yields what it needs (`Receive` or `Ask`), is sent the parts that came
(None where nothing came in time), and returns its result.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from semdaemon.errors import SemdaemonError
from semdaemon.wire.control import BUSY, read_reply, split_messages
from semdaemon.wire.headers import FinishedFrame, FramesReply
from semdaemon.wire.messages import READY_PREFIX, Message, Part, decode
from semdaemon.wire.stream import Gap, LastValue, Missing, Position, Step, Stream, Told

log = logging.getLogger(__name__)

BUSY_PATIENCE_S = 10.0
BUSY_PAUSE_S = 0.05

Parts = Sequence[Part]


@dataclass(frozen=True)
class Receive:
    """Wanted: the next multipart message of the SUB socket."""

    timeout_s: float | None


@dataclass(frozen=True)
class Ask:
    """Wanted: the answer of the control socket."""

    request: dict[str, Any]

    def is_answered_by(self, reply: Parts) -> bool:
        """False for the late answer to an earlier request."""
        try:
            head = json.loads(bytes(reply[0]))
        except (ValueError, RecursionError, IndexError):
            return True
        return not isinstance(head, dict) or head.get("id") == self.request["id"]


@dataclass(frozen=True)
class Pause:
    """Wanted: a moment without anything."""

    seconds: float


Command = Receive | Ask | Pause


class Conversation:
    """State of one subscriber.

    A dialogue may be dropped half-way (a cancelled task): a step leaves the queue only when it is dealt with.
    """

    def __init__(
        self,
        topics: Sequence[str],
        *,
        heal: bool,
        from_start: bool,
        last_value: bool,
        position: Position | None = None,
    ) -> None:
        last_value = last_value and heal
        self.stream = Stream(topics, from_start=from_start, last_value=last_value, position=position)
        self.nonce = f"{READY_PREFIX}{uuid.uuid4()}/"
        self.malformed = 0
        self.heard_at = time.monotonic()
        self.healed = 0
        self._heal = heal
        self._requests = 0
        self._steps: deque[Step] = deque()
        self._told: deque[Told] = deque()

    @property
    def position(self) -> Position:
        """How far what was handed out goes; what still waits here is not yet past."""
        reached = self.stream.position
        wanted = dict(reached.sequences)
        for waiting in (*self._told, *self._steps):
            first = waiting.first if isinstance(waiting, Gap | Missing) else _sequence_of(waiting)
            if first is not None and waiting.topic in wanted:
                wanted[waiting.topic] = min(wanted[waiting.topic], first)
        return replace(reached, sequences=wanted)

    def until_ready(self, timeout_s: float) -> Generator[Command, Parts | None, bool]:
        """True as soon as the publisher has all subscriptions, False after ``timeout_s``."""
        end = time.monotonic() + timeout_s
        while not self.stream.ready:
            parts = yield Receive(max(0.0, end - time.monotonic()))
            if parts is None:
                return False
            self._take(parts)
        return True

    def next_told(self, timeout_s: float | None) -> Generator[Command, Parts | None, Told | None]:
        """The next message, gap or new epoch; None after ``timeout_s`` without one."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._told:
            if self._steps:
                yield from self._deal_with(self._steps[0])
                self._steps.popleft()
                continue
            parts = yield Receive(None if end is None else max(0.0, end - time.monotonic()))
            if parts is None:
                return None
            self._take(parts)
        return self._told.popleft()

    def _take(self, parts: Parts) -> None:
        self.heard_at = time.monotonic()
        try:
            self._steps.extend(self.stream.feed(decode(parts)))
        except SemdaemonError as error:
            self.malformed += 1
            log.warning("%s", error)

    def _deal_with(self, step: Step) -> Generator[Command, Parts | None, None]:
        if isinstance(step, Missing):
            found = yield from self._healing(step)
            self._told.extend(found)
        elif isinstance(step, LastValue):
            last = yield from self._last_value(step)
            self._told.extend(last)
        else:
            self._told.append(step)

    def _asking(self, request: dict[str, Any]) -> Generator[Command, Parts | None, Parts | None]:
        """The reply; where the publisher is busy with others' answers it is asked again for a while."""
        end = time.monotonic() + BUSY_PATIENCE_S
        while True:
            reply = yield Ask(request)
            if reply is None or not _is_busy(reply) or time.monotonic() > end:
                return reply
            yield Pause(BUSY_PAUSE_S)

    def catch_up(
        self, after: int | None, since: datetime | None
    ) -> Generator[Command, Parts | None, tuple[list[FinishedFrame], bool]]:
        """One page of the frames that came to an end, and whether there is more; moves the position on.

        Raises
        ------
        SemdaemonError
            ``no_answer``, ``bad_reply``, or the code that the daemon refused with.
        """
        self._requests += 1
        asked: dict[str, Any] = {"request": "frames", "id": self._requests}
        if since is not None:
            asked["since"] = since.isoformat()
        elif (begin := self.stream.journal_position if after is None else after) is not None:
            asked["after"] = begin
        reply = yield from self._asking(asked)
        if reply is None:
            raise SemdaemonError("no_answer", "The control socket did not answer.", remedy="Try again.")
        try:
            page = FramesReply.model_validate(read_reply(reply))
        except ValidationError as error:
            raise SemdaemonError("bad_reply", f"The answer is no list of frames: {error}.") from error
        self.stream.journal_position = page.position
        return page.frames, page.more

    def _last_value(self, wanted: LastValue) -> Generator[Command, Parts | None, list[Told]]:
        self._requests += 1
        asked = {"request": "snapshot", "topic": wanted.topic, "id": self._requests}
        reply = yield from self._asking(asked)
        found, _ = _read(reply, Missing(wanted.topic, 0, wanted.newest, wanted.epoch))
        # One that came out meanwhile arrives by itself; one that the store has no more is no loss.
        return [replace(message, healed=True) for message in found]

    def _healing(self, missing: Missing) -> Generator[Command, Parts | None, list[Told]]:
        found: list[Told] = []
        wanted, reason = missing.first, "healing is off"
        while self._heal and wanted <= missing.last:
            self._requests += 1
            asked = {"request": "replay", "topic": missing.topic, "from": wanted, "id": self._requests}
            reply = yield from self._asking(asked)
            messages, reason = _read(reply, missing)
            before = wanted
            for message in messages:
                found += _lost(missing.topic, wanted, message.sequence - 1, reason)
                found.append(replace(message, healed=True))
                wanted = message.sequence + 1
            if wanted == before:
                break
        self.healed += sum(isinstance(told, Message) for told in found)
        return found + _lost(missing.topic, wanted, missing.last, reason)


def _read(reply: Parts | None, missing: Missing) -> tuple[list[Message], str]:
    """Messages of a replay that were missing, in order, and why there are not more."""
    if reply is None:
        return [], "the publisher did not answer"
    try:
        head = read_reply(reply)
        if head.get("epoch") != missing.epoch:
            return [], "the publisher was restarted"
        messages = [decode(parts) for parts in split_messages(head, reply)]
    except SemdaemonError as error:
        return [], error.message
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return [], "the answer was malformed"
    wanted = [m for m in messages if missing.first <= m.sequence <= missing.last and m.topic == missing.topic]
    return wanted, "no longer in the replay store"


def _is_busy(reply: Parts) -> bool:
    try:
        read_reply(reply)
    except SemdaemonError as error:
        return error.code == BUSY
    return False


def _sequence_of(step: Told | Step) -> int | None:
    return step.sequence if isinstance(step, Message) and step.event != "heartbeat" else None


def _lost(topic: str, first: int, last: int, reason: str) -> list[Told]:
    return [Gap(topic, first, last, reason)] if first <= last else []
