"""Which files are news: what changed since the last look, and what the backlog policy leaves alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from semdaemon.sources.scan import Found

MOST_REMEMBERED = 2_000_000


class Memory:
    """What was delivered before, so that a scan of 100,000 known files delivers nothing.

    A file is remembered as one 64-bit number over its path, size and time (7 MB for 100,000 files).
    What a scan no longer finds is forgotten, so a file that comes back is news.
    Beyond `MOST_REMEMBERED` files the rest is delivered again and again, which the journal bears.

    Parameters
    ----------
    backlog
        What the first scan leaves out: ``all`` nothing, ``new`` everything older than its start,
        or an RFC 3339 time everything older than that.
    """

    def __init__(self, backlog: str) -> None:
        self._backlog = backlog
        self._delivered: set[int] = set()
        self._left_out: frozenset[int] = frozenset()
        self._scanned_before = False
        self._first_began: float | None = None

    @property
    def left_out(self) -> int:
        return len(self._left_out)

    def begin(self, started_at: float, *, redeliver: bool = False) -> Look:
        """Start a whole scan; ``redeliver`` makes news of everything but what the policy left out."""
        if self._first_began is None:
            self._first_began = started_at  # a first scan that fails and is begun again keeps its moment
        oldest_ns = 0 if self._scanned_before else oldest_wanted_ns(self._backlog, self._first_began)
        return Look(frozenset() if redeliver else self._delivered, self._left_out, oldest_ns)

    def end(self, look: Look) -> None:
        """Take over what a whole scan found."""
        self._delivered = look.present
        self._left_out |= look.refused
        self._scanned_before = True

    def rules_changed(self) -> None:
        """Other files are looked for from now on: those that were there at the start are judged as then."""
        self._scanned_before = False

    def is_news(self, file: Found) -> bool:
        """Whether a file seen between whole scans is to be delivered."""
        mark = hash(file)
        return mark not in self._delivered and mark not in self._left_out

    def note(self, found: Iterable[Found]) -> None:
        """Remember what was delivered outside a whole scan."""
        if len(self._delivered) < MOST_REMEMBERED:
            self._delivered.update(map(hash, found))


class Look:
    """One whole scan's view of what is news."""

    def __init__(
        self, delivered: set[int] | frozenset[int], left_out: frozenset[int], oldest_ns: int
    ) -> None:
        self._delivered, self._left_out, self._oldest_ns = delivered, left_out, oldest_ns
        self.present: set[int] = set()
        self.refused: set[int] = set()
        self.files = 0

    def news(self, found: Iterable[Found]) -> Iterator[Found]:
        """Those of the found files that are to be delivered."""
        for file in found:
            self.files += 1
            mark = hash(file)
            if mark in self._left_out:
                continue
            if file[2] < self._oldest_ns and file[2] and mark not in self._delivered:
                self.refused.add(mark)
                continue
            if len(self.present) < MOST_REMEMBERED:
                self.present.add(mark)
            if mark not in self._delivered:
                yield file


def oldest_wanted_ns(backlog: str, started_at: float) -> int:
    """Files older than this (nanoseconds since 1970) are left out of the first scan."""
    if backlog == "all":
        return 0
    since = started_at if backlog == "new" else datetime.fromisoformat(backlog).timestamp()
    return int(since * 1e9)
