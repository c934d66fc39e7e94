"""The journal: what was seen, where each frame stands, and what is next."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal

from semdaemon.errors import SemdaemonError
from semdaemon.frame import Frame
from semdaemon.journal.database import Database
from semdaemon.journal.intake import (
    SightedFile,
    is_known,
    record_event,
    restart,
    see_file,
    see_page,
    set_columns,
)
from semdaemon.journal.keeping import BACK_TO, JournalKeeping
from semdaemon.journal.losses import Losses, losses_of, record_excuse, record_loss
from semdaemon.journal.reading import _WITH_MAP, no_such_frame
from semdaemon.journal.rows import FINAL, Row, name_bytes, plain, require_transition

FILE_NAME = "journal.sqlite3"

_EVERY_NTH_OLDEST = 4
# Named indexes: left to itself SQLite sorts all that waits, which costs 100 ms a frame in a long queue.
_TO_SETTLE = "FROM frames INDEXED BY frames_to_settle WHERE state IN ('seen','held')"
_TO_REFOCUS = "FROM frames INDEXED BY frames_to_refocus WHERE state = 'scored'"
_NEWEST, _OLDEST = "mtime_ns DESC, key DESC", "mtime_ns, key"
_SIGHTINGS_A_TRANSACTION = 500
_FARTHEST_CHECK_S = 7200.0


def find_journal(state_dir: Path) -> Path:
    """Where the journal of a state folder is."""
    return state_dir.expanduser() / FILE_NAME


class Journal(JournalKeeping):
    """One row a frame; the daemon's queue and its memory. Any thread may call.

    Parameters
    ----------
    path
        The SQLite file, see `find_journal`.
    read_only
        Ask only: beside a running daemon, or where none runs.
    beside
        Write without owning the journal: for `requeue` while a daemon runs.
    clock
        Seconds since 1970; tests give their own.

    Raises
    ------
    SemdaemonError
        ``journal_locked`` (another daemon has it), ``state_on_network``, ``journal_missing``,
        ``journal_newer``, ``journal_older``, ``journal_damaged``, ``journal_unwritable``.
        From its methods also ``journal_write``, ``journal_transition``, ``journal_closed``.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        beside: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(Database(path, "reader" if read_only else "guest" if beside else "owner"), clock)
        self._settle_turns, self._refocus_turns = count(1), count(1)

    # -- what came in ------------------------------------------------------------------------------------

    def see(self, sightings: Sequence[SightedFile]) -> int:
        """Record what a source saw; returns how many new rows that made.

        A known file of the same size and time changes nothing and costs one look-up.
        A file that changed while it was waited for stays the same row; one that changed after it was read
        is a new frame: a new row, the next ``generation`` of its URI. One that was gone and is back goes on.
        """
        new, waiting = 0, iter(sightings)
        while chunk := list(islice(waiting, _SIGHTINGS_A_TRANSACTION)):
            with self._database.read() as connection:
                changed = [sighting for sighting in chunk if not is_known(connection, sighting)]
            if changed:
                with self._database.write() as connection:
                    now, doubtful = self._clock(), self._database.doubtful_before
                    new += sum(see_file(connection, each, now, doubtful_before=doubtful) for each in changed)
        return new

    def add_page(self, key: int, page: int) -> Row:
        """The row of a later page (1, 2, ...) of a file whose first page is row ``key``.

        Made where missing; where it exists it is returned as it stands, perhaps final already.
        """
        with self._database.write() as connection:
            page_key = see_page(connection, key, page, self._clock())
        return self.row(page_key)

    # -- what is next ------------------------------------------------------------------------------------

    def next_to_settle(
        self, now: float | None = None, *, newest_first: bool = True, besides: Sequence[Path] = ()
    ) -> Row | None:
        """The next frame to look at: seen or held, and due.

        The newest by the file's time, so that the live view is live; every fourth call the oldest,
        so that none starves. The row stays in its state until told otherwise.

        Parameters
        ----------
        besides
            Folders whose frames are left out: they cannot be reached just now.
        """
        newest = newest_first and next(self._settle_turns) % _EVERY_NTH_OLDEST != 0
        order = _NEWEST if newest else _OLDEST
        moment = self._clock() if now is None else now
        # A clock that was set back must not hold frames for as long: no wait is meant to be that far off.
        elsewhere, values = _elsewhere(besides)
        due = f"(check_at <= ? OR check_at > ?){elsewhere}"
        query = f"SELECT * {_TO_SETTLE} AND {due} ORDER BY {order} LIMIT 1"
        return self._first(query, (moment, moment + _FARTHEST_CHECK_S, *values))

    def next_check_at(self) -> float | None:
        """When the next seen or held frame is due, seconds since 1970; None where none waits."""
        with self._database.read() as connection:
            due = connection.execute(f"SELECT MIN(check_at) {_TO_SETTLE}").fetchone()[0]
        return None if due is None else float(due)

    def next_to_refocus(self, *, newest_first: bool = True, besides: Sequence[Path] = ()) -> Row | None:
        """The next scored frame, focus map included; the same parameters and fairness as `next_to_settle`."""
        newest = newest_first and next(self._refocus_turns) % _EVERY_NTH_OLDEST != 0
        order = _NEWEST if newest else _OLDEST
        elsewhere, values = _elsewhere(besides)
        next_key = f"SELECT key {_TO_REFOCUS}{elsewhere} ORDER BY {order} LIMIT 1"
        return self._first(f"{_WITH_MAP} WHERE key = ({next_key})", values)

    def attempt(self, key: int) -> int:
        """Count a look or a job **before** it begins; returns how many began without an end, this included.

        On disk before it returns: a file that takes the whole machine down is counted too.
        `hold`, `settle` and `scored` are such ends and set the count back to 0.
        """
        with self._database.write(durable=True) as connection:
            connection.execute("UPDATE frames SET attempts = attempts + 1 WHERE key = ?", (key,))
            found = connection.execute("SELECT attempts FROM frames WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise no_such_frame(str(key))
        return int(found["attempts"])

    def release(self, key: int) -> None:
        """Take back one `attempt` that was no fault of the frame; it stays where it is."""
        with self._database.write() as connection:
            connection.execute("UPDATE frames SET attempts = MAX(0, attempts - 1) WHERE key = ?", (key,))

    def worker_lost(self, key: int, detail: str) -> Losses:
        """Note that the worker was lost over this frame; on disk before it returns the losses so far."""
        with self._database.write(durable=True) as connection:
            record_loss(connection, key, _state_of(connection, key), self._clock(), detail)
            return losses_of(connection, key)

    def losses(self, key: int) -> Losses:
        """Worker processes lost over this frame since it was last begun anew."""
        with self._database.read() as connection:
            return losses_of(connection, key)

    def excuse(self, key: int, detail: str) -> None:
        """The worker was ill: neither what was lost over this frame so far nor the last attempt counts."""
        with self._database.write(durable=True) as connection:
            record_excuse(connection, key, _state_of(connection, key), self._clock(), detail)
            connection.execute("UPDATE frames SET attempts = MAX(0, attempts - 1) WHERE key = ?", (key,))

    # -- what became of it -------------------------------------------------------------------------------

    def hold(
        self,
        key: int,
        reason: str,
        check_at: float,
        detail: str = "",
        *,
        size_bytes: int | None = None,
        mtime_ns: int | None = None,
    ) -> None:
        """Not complete yet: look again at ``check_at``. The history notes it when the reason changes.

        ``size_bytes`` and ``mtime_ns`` are what the file has now; where they differ from what was known,
        the wait for an unchanged file begins anew.
        """
        with self._database.write() as connection:
            self._move(connection, key, "held", reason, detail, check_at=check_at, attempts=0)
            if size_bytes is not None and mtime_ns is not None:
                connection.execute(
                    "UPDATE frames SET size_bytes = ?1, mtime_ns = ?2, noticed_at = ?3"
                    " WHERE key = ?4 AND (size_bytes, mtime_ns) != (?1, ?2)",
                    (size_bytes, mtime_ns, self._clock(), key),
                )

    def settle(self, key: int, frame: Frame, fingerprint: str) -> None:
        """The file is complete and was read as ``frame``; ``fingerprint`` is that of the settings."""
        height, width = frame.shape
        size_y_m, size_x_m = frame.pixel_size_m or (None, None)
        with self._database.write() as connection:
            self._move(
                connection, key, "settled", frame_id=frame.id, content_sha256=frame.content_sha256,
                fingerprint=fingerprint, height=height, width=width, dtype=frame.pixels.dtype.name,
                pixel_size_y_m=size_y_m, pixel_size_x_m=size_x_m, settled_at=self._clock(), attempts=0,
            )  # fmt: skip

    def scored(
        self,
        key: int,
        focus_blob: bytes,
        summary: Mapping[str, Any],
        needs_refocus: bool,
        *,
        reason: str = "nothing_to_refocus",
    ) -> None:
        """The focus map is made and was published; without ``needs_refocus`` the journey ends here.

        Parameters
        ----------
        summary
            Plain values (JSON) shown in lists and in `why`; added to what is there.
        reason
            Of the final state where nothing is to be refocused.
        """
        with self._database.write(durable=not needs_refocus) as connection:
            connection.execute(
                "INSERT INTO focus_maps VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET focus_blob = excluded.focus_blob",
                (key, focus_blob),
            )
            self._move(connection, key, "scored", scored_at=self._clock(), attempts=0,
                       summary=_added(connection, key, summary))  # fmt: skip
            if not needs_refocus:
                self._move(connection, key, "published", reason, finished_at=self._clock())

    def refocused(self, key: int, output: Path | None, summary: Mapping[str, Any]) -> None:
        """The refocused frame is saved as ``output`` (whole, under its final name)."""
        with self._database.write() as connection:
            self._move(connection, key, "refocused", refocused_at=self._clock(),
                       summary=_added(connection, key, summary))  # fmt: skip
            connection.execute(
                "UPDATE frames SET output = CAST(? AS TEXT) WHERE key = ?",
                (None if output is None else name_bytes(output), key),
            )

    def finish(
        self,
        key: int,
        state: Literal["published", "failed", "skipped"],
        reason: str = "",
        detail: str = "",
        remedy: str = "",
    ) -> None:
        """The journey's end, with a reason code; on disk before it returns."""
        if state not in FINAL:
            raise SemdaemonError("journal_transition", f"{state!r} is no final state; those are {FINAL}.")
        with self._database.write(durable=True) as connection:
            self._move(connection, key, state, reason, detail, remedy=plain(remedy),
                       finished_at=self._clock(), attempts=0)  # fmt: skip

    def look_again(self, key: int, reason: str) -> None:
        """A scored frame goes back to seen: its score no longer holds, and is made anew."""
        with self._database.write() as connection:
            found = connection.execute("SELECT state FROM frames WHERE key = ?", (key,)).fetchone()
            if found is not None and found["state"] == "scored":
                restart(connection, key, "seen", reason, self._clock())

    def requeue(self, key: int) -> Row:
        """Start a finished frame again: back to seen, nothing of its result kept.

        Raises
        ------
        SemdaemonError
            ``still_on_its_way`` where it is not finished,
            ``superseded`` where its file was overwritten since.
        """
        row = self.row(key)
        with self._database.write(durable=True) as connection:
            state, newer = connection.execute(
                "SELECT state, (SELECT MAX(key) FROM frames g WHERE g.uri = f.uri AND g.key > f.key)"
                " FROM frames f WHERE key = ?",
                (key,),
            ).fetchone()
            _require_requeuable(row, state, newer)
            restart(connection, key, "seen", "requeued", self._clock())
            connection.execute("UPDATE frames SET requeues = requeues + 1 WHERE key = ?", (key,))
        return self.row(key)

    def recover(self) -> dict[str, int]:
        """Take up again what a stopped daemon left; returns how many frames stood in each open state.

        Call once at the start. Held frames are due at once; settled ones go back to seen
        (their pixels were in memory), refocused ones to scored (they were not yet published).
        """
        before = {state: number for state, number in self.counts().items() if state not in FINAL}
        with self._database.write(durable=True) as connection:
            now = self._clock()
            connection.execute("UPDATE frames SET check_at = ? WHERE state IN ('seen', 'held')", (now,))
        for state in BACK_TO:
            self.take_up(state)
        return before

    def _move(
        self,
        connection: sqlite3.Connection,
        key: int,
        state: str,
        reason: str = "",
        detail: str = "",
        **columns: object,
    ) -> None:
        found = connection.execute("SELECT state, reason FROM frames WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise no_such_frame(str(key))
        require_transition(key, found["state"], state)
        said, now = plain(detail), self._clock()
        set_columns(connection, key, state=state, reason=reason, detail=said, changed_at=now, **columns)
        if (state, reason) != (found["state"], found["reason"]):
            record_event(connection, key, now, state, reason, said)


def _elsewhere(besides: Sequence[Path]) -> tuple[str, tuple[object, ...]]:
    """The condition that a frame lies in none of these folders, and its values."""
    # Bytes, for a name need not be text; its separator, for /a/b is not above /a/bc.
    above = [name_bytes(folder / "_")[:-1] for folder in besides]
    condition = " AND substr(CAST(path AS BLOB), 1, ?) != ?" * len(above)
    return condition, tuple(value for each in above for value in (len(each), each))


def _state_of(connection: sqlite3.Connection, key: int) -> str:
    found = connection.execute("SELECT state FROM frames WHERE key = ?", (key,)).fetchone()
    if found is None:
        raise no_such_frame(str(key))
    return str(found["state"])


def _added(connection: sqlite3.Connection, key: int, summary: Mapping[str, Any]) -> str:
    found = connection.execute("SELECT summary FROM frames WHERE key = ?", (key,)).fetchone()
    before: dict[str, Any] = json.loads(found["summary"]) if found and found["summary"] else {}
    return json.dumps({**before, **summary}, allow_nan=False)


def _require_requeuable(row: Row, state: str, newer: int | None) -> None:
    if newer is not None:
        raise SemdaemonError(
            "superseded",
            f"Frame number {row.key} was overwritten: {row.path} is frame number {newer} now.",
            remedy=f"'semdaemon requeue {newer}' starts the file as it is now.",
        )
    if state not in FINAL:
        raise SemdaemonError(
            "still_on_its_way",
            f"Frame number {row.key} is {state}: the daemon has not finished it.",
            remedy="Start the daemon, or wait; 'semdaemon why' tells what it waits for.",
        )
