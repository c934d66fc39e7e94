"""What waits to be sent: a queue bounded in bytes, fed by any thread, emptied by one."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semdaemon.wire.messages import NamedArray, NamedBlob

SHED_FIRST = ("preview", "frame")
"""Bulky events in the order in which they make room; the others are small and matter more."""
HEADER_BYTES = 1024
"""What a letter counts for beside its buffers."""


@dataclass
class Letter:
    """One message before it has a sequence number.

    A letter that was shed keeps its place without its content: it still takes a sequence number,
    so that every subscriber sees the gap instead of a stream that only looks complete.
    """

    event: str
    header: Mapping[str, Any]
    arrays: Sequence[NamedArray] = ()
    blobs: Sequence[NamedBlob] = ()
    shed: bool = False
    size_bytes: int = 0

    def __post_init__(self) -> None:
        buffers = sum(array.nbytes for _, array in self.arrays) + sum(len(data) for _, _, data in self.blobs)
        self.size_bytes = HEADER_BYTES + buffers

    def empty(self) -> None:
        """Give the content away and keep the place."""
        self.header, self.arrays, self.blobs = {}, (), ()
        self.shed, self.size_bytes = True, 0


class Outbox:
    """Letters in order, at most ``limit_bytes`` of content (or one larger letter alone)."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.waiting_bytes = 0
        self._letters: deque[Letter] = deque()
        # The same letters by how early they are shed, as long as they have content.
        self._full: dict[str, deque[Letter]] = {kind: deque() for kind in (*SHED_FIRST, "")}
        self._lock = threading.Lock()
        self._handed: Counter[str] = Counter()
        self._shed: Counter[str] = Counter()

    def put(self, letter: Letter) -> None:
        """Append; sheds the oldest previews, then the oldest frames, until the bound holds again."""
        with self._lock:
            self._handed[letter.event] += 1
            self._letters.append(letter)
            self._kind(letter).append(letter)
            self.waiting_bytes += letter.size_bytes
            while self.waiting_bytes > self.limit_bytes and sum(map(len, self._full.values())) > 1:
                self._shed_one()

    def get(self) -> Letter | None:
        """The oldest letter, or None."""
        with self._lock:
            if not self._letters:
                return None
            letter = self._letters.popleft()
            if not letter.shed:
                self._kind(letter).popleft()
            self.waiting_bytes -= letter.size_bytes
            return letter

    def __len__(self) -> int:
        return len(self._letters)

    @property
    def handed(self) -> dict[str, int]:
        """How many letters of each event came in."""
        with self._lock:
            return dict(self._handed)

    @property
    def shed(self) -> dict[str, int]:
        """How many letters of each event lost their content for want of room."""
        with self._lock:
            return dict(self._shed)

    def _kind(self, letter: Letter) -> deque[Letter]:
        return self._full[letter.event if letter.event in SHED_FIRST else ""]

    def _shed_one(self) -> None:
        letter = next(kind for kind in self._full.values() if kind).popleft()
        self.waiting_bytes -= letter.size_bytes
        self._shed[letter.event] += 1
        letter.empty()
