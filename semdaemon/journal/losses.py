"""Worker processes lost over a frame, kept as steps of its history so that a restart forgets none.

Every function works inside its caller's transaction.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from semdaemon.journal.intake import record_event
from semdaemon.journal.rows import plain

LOST, EXCUSED = "worker_lost", "worker_was_ill"


@dataclass(frozen=True, slots=True)
class Losses:
    """Of one frame, since it was last begun anew.

    Attributes
    ----------
    counted
        Losses that count against it.
    in_all
        With those that were excused because the worker turned out to be ill.
    last
        What was said of the last one.
    """

    counted: int
    in_all: int
    last: str


def record_loss(connection: sqlite3.Connection, key: int, state: str, now: float, detail: str) -> None:
    """The worker was lost over this frame; its state stays."""
    record_event(connection, key, now, state, LOST, plain(detail))


def record_excuse(connection: sqlite3.Connection, key: int, state: str, now: float, detail: str) -> None:
    """What was lost so far was no fault of this frame."""
    record_event(connection, key, now, state, EXCUSED, plain(detail))


def losses_of(connection: sqlite3.Connection, key: int) -> Losses:
    """What a frame cost so far; a frame that is seen anew (requeued, say) begins at nothing."""
    begun = "(SELECT COALESCE(MAX(number), 0) FROM events WHERE key = ?1 AND state = 'seen')"
    excused = "(SELECT COALESCE(MAX(number), 0) FROM events WHERE key = ?1 AND reason = ?3)"
    query = (
        f"SELECT COALESCE(SUM(number > {excused}), 0), COUNT(*), MAX(number), detail FROM events"  # noqa: S608 (own words)
        f" WHERE key = ?1 AND reason = ?2 AND number > {begun}"
    )
    # SQLite takes the bare column from the row that MAX() found.
    counted, in_all, _, last = connection.execute(query, (key, LOST, EXCUSED)).fetchone()
    return Losses(int(counted), int(in_all), str(last or ""))
