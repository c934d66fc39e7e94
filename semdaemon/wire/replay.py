"""What was sent, for those who missed it: a store bounded in bytes over all topics."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from semdaemon.wire.messages import Part


@dataclass(frozen=True)
class Sent:
    """One message as it went (or would have gone) on the wire."""

    sequence: int
    parts: tuple[Part, ...]
    size_bytes: int


class ReplayStore:
    """The newest messages of every topic.

    Room is made in the topic that holds the most bytes, oldest first: full frames cannot push out the scores.
    Not thread-safe: it belongs to the publisher's thread.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._sent: dict[str, deque[Sent]] = {}
        self._bytes: dict[str, int] = {}
        self.total_bytes = 0

    def add(self, topic: str, sequence: int, parts: Sequence[Part]) -> None:
        """Keep one message; one larger than the whole store is not kept."""
        size = sum(len(part) for part in parts)
        if size > self.limit_bytes:
            return
        self._sent.setdefault(topic, deque()).append(Sent(sequence, tuple(parts), size))
        self._bytes[topic] = self._bytes.get(topic, 0) + size
        self.total_bytes += size
        while self.total_bytes > self.limit_bytes:
            self._forget_one()

    def newest(self, topic: str) -> Sent | None:
        """The last value of a topic, or None."""
        kept = self._sent.get(topic)
        return kept[-1] if kept else None

    def since(self, topic: str, first: int, limit_bytes: int, limit_count: int) -> list[Sent]:
        """Messages from ``first`` on, oldest first: one where there is any, then up to the limits."""
        found: list[Sent] = []
        size = 0
        for sent in self._sent.get(topic, ()):
            if sent.sequence < first:
                continue
            if found and (size + sent.size_bytes > limit_bytes or len(found) >= limit_count):
                break
            found.append(sent)
            size += sent.size_bytes
        return found

    def _forget_one(self) -> None:
        heaviest = max(self._bytes, key=lambda topic: self._bytes[topic])
        gone = self._sent[heaviest].popleft()
        self._bytes[heaviest] -= gone.size_bytes
        self.total_bytes -= gone.size_bytes
