"""Which frames came to an end, in the order in which they did: for those who missed it being said.

A position is the number of a step in the journal's history. It counts up over restarts of the daemon, so a
reader that remembers one position finds everything that ended since, as long as its history is kept.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from semdaemon.journal.rows import Row, row_from

MOST_FRAMES = 100
MOST_STEPS = 2000
"""Steps looked at for one page: the cost is bounded however few of them are endings."""

_PAGE = """
SELECT e.number AS position, e.at AS ended_at, e.state AS ended_as, e.reason AS ended_because,
       e.detail AS ended_with, f.*
FROM (SELECT * FROM events WHERE number > ? ORDER BY number LIMIT ?) e JOIN frames f USING (key)
WHERE e.state IN ('published', 'failed', 'skipped') AND e.reason != 'history_dropped'
ORDER BY e.number LIMIT ?
"""
_LAST_STEP = "SELECT MAX(number) FROM (SELECT number FROM events WHERE number > ? ORDER BY number LIMIT ?)"


@dataclass(frozen=True, slots=True)
class Ending:
    """A frame's end; ``row`` is the frame as it stands now, which may have been requeued since.

    Attributes
    ----------
    at
        Seconds since 1970 (UTC).
    """

    position: int
    at: float
    state: str
    reason: str
    detail: str
    row: Row


@dataclass(frozen=True, slots=True)
class Endings:
    """One page; the next one begins after ``position``, if there is ``more``."""

    endings: list[Ending]
    position: int
    more: bool


def newest_position(connection: sqlite3.Connection) -> int:
    """The last step of all; 0 in an empty journal."""
    return int(connection.execute("SELECT MAX(number) FROM events").fetchone()[0] or 0)


def endings_after(connection: sqlite3.Connection, after: int, limit: int) -> Endings:
    """Frames that ended after a position, oldest first."""
    most = min(limit, MOST_FRAMES)
    found = [_ending(row) for row in connection.execute(_PAGE, (after, MOST_STEPS, most))]
    if len(found) == most:
        position = found[-1].position
    else:
        position = connection.execute(_LAST_STEP, (after, MOST_STEPS)).fetchone()[0] or after
    return Endings(found, position, position < newest_position(connection))


def position_at(connection: sqlite3.Connection, moment: float) -> int:
    """The last step before a moment (seconds since 1970), by halving; exact unless the clock was set back."""
    low, high = 0, newest_position(connection) + 1
    while low < high:
        middle = (low + high) // 2
        step = connection.execute(
            "SELECT number, at FROM events WHERE number >= ? ORDER BY number LIMIT 1", (middle,)
        ).fetchone()
        if step is None or step["at"] >= moment:
            high = middle
        else:
            low = int(step["number"]) + 1
    return max(0, low - 1)


def _ending(found: sqlite3.Row) -> Ending:
    values = {name: found[name] for name in found.keys()}  # noqa: SIM118 (sqlite3.Row iterates values)
    return Ending(
        values.pop("position"),
        values.pop("ended_at"),
        values.pop("ended_as"),
        values.pop("ended_because"),
        values.pop("ended_with"),
        row_from(values),
    )
