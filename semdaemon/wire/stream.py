"""What a subscriber has to know about its stream: gaps, duplicates, restarts. No sockets here.

Sequences count per topic, since a topic filter would make gaps in a global count. Three things show a gap:
a message that comes too early, a heartbeat that names a newer one, and the echo after a reconnect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from semdaemon.wire.messages import Message

NO_HEADER: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Gap:
    """Messages ``first`` to ``last`` of a topic that are lost for good, and why."""

    topic: str
    first: int
    last: int
    reason: str
    event: str = "gap"

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class NewEpoch:
    """The publisher was restarted: every sequence begins at 0 again."""

    epoch: str
    before: str
    event: str = "epoch"
    topic: str = ""


@dataclass(frozen=True)
class Missing:
    """Messages that did not come; to be asked for at the control socket."""

    topic: str
    first: int
    last: int
    epoch: str


@dataclass(frozen=True)
class LastValue:
    """What a late joiner has not seen: the newest message of a topic, up to ``newest``."""

    topic: str
    newest: int
    epoch: str


@dataclass(frozen=True)
class Position:
    """How far a subscriber has come; to be kept over its own restart and given to the next one.

    Attributes
    ----------
    sequences
        Topic to the sequence that it wants next, in this ``epoch``.
    journal
        Position in the daemon's journal, None where the daemon tells none.
    """

    epoch: str
    sequences: Mapping[str, int]
    journal: int | None = None


Told = Message | Gap | NewEpoch
Step = Message | NewEpoch | Missing | LastValue


class Stream:
    """Order of one subscription.

    Parameters
    ----------
    topics
        Prefixes that were subscribed to.
    from_start
        Take everything since the publisher's start for wanted, not only what comes from now on.
    last_value
        Joining in the middle, ask for the newest message of each topic.
    position
        Go on where an earlier subscriber was: everything since is wanted.
    """

    def __init__(
        self,
        topics: Iterable[str],
        *,
        from_start: bool = False,
        last_value: bool = False,
        position: Position | None = None,
    ) -> None:
        self.topics = tuple(topics)
        self.epoch = ""
        self.ready = False
        self.interval_s = 0.0
        self.instrument = ""
        self.journal_position: int | None = None
        self._from_start, self._last_value = from_start, last_value
        self._expected: dict[str, int] = {}
        if position is not None:
            self.epoch, self.journal_position = position.epoch, position.journal
            self._expected.update(position.sequences)
            self._from_start = True  # a topic that it did not name has begun since

    @property
    def position(self) -> Position:
        """How far this subscription has come."""
        return Position(self.epoch, dict(self._expected), self.journal_position)

    def wants(self, topic: str) -> bool:
        """True for topics under one of the prefixes."""
        return any(topic.startswith(prefix) for prefix in self.topics)

    def feed(self, message: Message) -> list[Step]:
        """What to do about a message from the SUB socket, in order."""
        steps: list[Step] = self._epoch(message.epoch)
        if message.event == "ready":
            return steps + self._settle(message)
        if self.wants(message.topic):
            steps += self._in_order(message)
        if message.event == "heartbeat":
            steps += self._compare(message.header.get("sequences"))
        return steps

    def _epoch(self, epoch: str) -> list[Step]:
        before, self.epoch = self.epoch, epoch
        if epoch == before:
            return []
        # Of a restarted publisher everything is wanted; the first stream begins where we join.
        self._expected.clear()
        if not before:
            return []
        self._from_start = True
        return [NewEpoch(epoch, before)]

    def _settle(self, message: Message) -> list[Step]:
        sequences = _sequences(message.header.get("sequences"))
        first_time, self.ready = not self.ready, True
        self.instrument = str(message.header.get("instrument", ""))
        interval = message.header.get("interval_s")
        self.interval_s = float(interval) if isinstance(interval, int | float) else 1.0
        if self.journal_position is None and type(stands := message.header.get("journal_position")) is int:
            self.journal_position = stands
        if first_time and not self._from_start:
            return self._join(sequences)
        return self._compare(sequences)

    def _join(self, sequences: Mapping[str, int]) -> list[Step]:
        steps: list[Step] = []
        for topic, newest in sequences.items():
            if topic not in self._expected and self._last_value and self.wants(topic):
                steps.append(LastValue(topic, newest, self.epoch))
            self._expected.setdefault(topic, newest + 1)
        return steps + self._compare(sequences)

    def _in_order(self, message: Message) -> list[Step]:
        topic, sequence = message.topic, message.sequence
        # Before the echo nothing says where the stream begins: here. After it a new topic begins at 0.
        expected = self._expected.get(topic, 0 if self.ready or self._from_start else sequence)
        if message.event == "heartbeat":  # each says all that the lost ones did
            return [message]
        if sequence < expected:
            return []
        self._expected[topic] = sequence + 1
        if sequence > expected:
            return [Missing(topic, expected, sequence - 1, self.epoch), message]
        return [message]

    def _compare(self, told: object) -> list[Step]:
        steps: list[Step] = []
        for topic, newest in _sequences(told).items():
            expected = self._expected.get(topic, 0)
            if not self.ready or not self.wants(topic) or newest < expected:
                continue
            steps.append(Missing(topic, expected, newest, self.epoch))
            self._expected[topic] = newest + 1
        return steps


def _sequences(told: object) -> dict[str, int]:
    if not isinstance(told, dict):
        return {}
    return {str(topic): number for topic, number in told.items() if type(number) is int and number >= 0}
