"""What keeps the journal itself in order: can it be written, jumps of the clock, what is forgotten."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from semdaemon.errors import SemdaemonError
from semdaemon.journal.database import Database
from semdaemon.journal.intake import restart
from semdaemon.journal.reading import JournalReader
from semdaemon.journal.rows import FINAL

BACK_TO = {"settled": "seen", "refocused": "scored"}
"""Where a frame goes on whose step was cut off: pixels were in memory, an output was not yet published."""

HISTORY_DROPPED = "history_dropped"

_PROBE_BYTES = 1_000_000
_VACUUM_PAGES = 256


@dataclass(frozen=True, slots=True)
class Old:
    """A frame whose history was dropped."""

    key: int
    path: Path
    relative: Path


class JournalKeeping(JournalReader):
    """The owner's upkeep. Any thread may call."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        super().__init__(database)
        self._clock = clock

    # -- can it be written -----------------------------------------------------------------------------

    @property
    def fault(self) -> str:
        """Why it cannot be written just now; empty where it can."""
        return self._database.standing.text

    def ready(self) -> bool:
        """Whether a step is worth beginning: after a write that failed, much more than a step is tried.

        Without it every frame would be read, scored and published once for each try to note it.
        """
        standing = self._database.standing
        if not standing.text:
            return True
        if not standing.due:
            return False
        try:
            with self._database.write(durable=True) as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO focus_maps VALUES (-1, zeroblob(?))", (_PROBE_BYTES,)
                )
            with self._database.write() as connection:
                connection.execute("DELETE FROM focus_maps WHERE key = -1")
        except SemdaemonError:
            return False
        self._database.works_again()
        return True

    def take_up(self, state: str) -> int:
        """Frames whose step was cut off in this state go back to the one before; returns how many.

        Call where no step can be under way: at the start, or from the thread that does that step.
        """
        with self._database.write(durable=True) as connection:
            keys = connection.execute("SELECT key FROM frames WHERE state = ?", (state,)).fetchall()
            for (key,) in keys:
                restart(connection, key, BACK_TO[state], "restarted", self._clock())
        return len(keys)

    # -- the clock -------------------------------------------------------------------------------------

    def shift_waits(self, by_s: float) -> None:
        """The system's clock jumped by so many seconds: waits end when they would have.

        Waits that began after the jump stay as they are. After a jump back those cannot be told from waits
        that began longer before it than it is wide, which are long already.
        """
        with self._database.write() as connection:
            # Read where no other thread can note a file in between: it would be taken for an earlier one.
            now = self._clock()
            latest, earliest = (now - by_s + 1.0, -math.inf) if by_s > 0 else (math.inf, now)
            connection.execute(
                "UPDATE frames SET check_at = check_at + ?1, noticed_at = noticed_at + ?1"
                " WHERE state IN ('seen', 'held') AND noticed_at > ?2 AND noticed_at <= ?3",
                (by_s, earliest, latest),
            )

    # -- retention -------------------------------------------------------------------------------------

    def drop_history(self, finished_before: float, most: int) -> int:
        """Drop events and focus map of frames that ended before; returns of how many. Their rows stay.

        At most ``most`` at a time, so that nobody waits for the journal for long.
        """
        with self._database.write() as connection:
            found = connection.execute(
                "SELECT key FROM frames INDEXED BY frames_to_drop"
                " WHERE finished_at IS NOT NULL AND dropped_at IS NULL AND finished_at < ?"
                " ORDER BY finished_at LIMIT ?",
                (finished_before, most),
            ).fetchall()
            for (key,) in found:
                self._drop(connection, int(key))
        return len(found)

    def _drop(self, connection: sqlite3.Connection, key: int) -> None:
        # Its last step stays under its number: the newest number of all is never given out twice (`endings`).
        last = "(SELECT MAX(number) FROM events WHERE key = ?)"
        connection.execute(f"DELETE FROM events WHERE key = ? AND number < {last}", (key, key))  # noqa: S608
        connection.execute("UPDATE events SET reason = ?, detail = '' WHERE key = ?", (HISTORY_DROPPED, key))
        connection.execute("DELETE FROM focus_maps WHERE key = ?", (key,))
        connection.execute("UPDATE frames SET dropped_at = ? WHERE key = ?", (self._clock(), key))

    def dropped_after(self, key: int, most: int) -> list[Old]:
        """Frames without history behind this number, in its order: candidates for `forget`."""
        query = "SELECT key, path, relative FROM frames WHERE key > ? AND dropped_at IS NOT NULL LIMIT ?"
        with self._database.read() as connection:
            found = connection.execute(query, (key, most)).fetchall()
        return [Old(int(each["key"]), Path(each["path"]), Path(each["relative"])) for each in found]

    def forget(self, keys: Sequence[int]) -> int:
        """Remove rows of finished frames without history, whose files are gone for good; returns how many.

        The frame that holds the journal's newest position stays until there is a newer one.
        """
        marks = ",".join("?" * len(FINAL))
        with self._database.write() as connection:
            forgotten = 0
            for key in keys:
                gone = connection.execute(
                    f"DELETE FROM frames WHERE key = ? AND dropped_at IS NOT NULL AND state IN ({marks})"  # noqa: S608
                    " AND key != (SELECT key FROM events ORDER BY number DESC LIMIT 1)",
                    (key, *FINAL),
                ).rowcount
                if gone:
                    connection.execute("DELETE FROM events WHERE key = ?", (key,))
                    forgotten += 1
        return forgotten

    def give_back_space(self) -> None:
        """Return some of the file's free pages to the disk; what stays free is used before the file grows."""
        self._database.vacuum(_VACUUM_PAGES)
