"""Questions that the journal answers; nothing here changes it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from semdaemon.errors import SemdaemonError
from semdaemon.journal import endings
from semdaemon.journal.database import Database
from semdaemon.journal.integrity import damaged
from semdaemon.journal.rows import OPEN, STATES, Event, Row, name_bytes, row_from

_WITH_MAP = "SELECT f.*, m.focus_blob FROM frames f LEFT JOIN focus_maps m USING (key)"
_MIN_ID_PREFIX = 4


class JournalReader:
    """What every user of the journal may ask, beside a running daemon too. Any thread may call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def path(self) -> Path:
        return self._database.path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a daemon's lock is given back. Closing twice does nothing."""
        self._database.close()

    def integrity_check(self) -> None:
        """Raise ``journal_damaged`` where SQLite finds the file inconsistent (reads all of it)."""
        with self._database.read() as connection:
            said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if said != "ok":
            raise damaged(self.path, str(said))

    def row(self, key: int) -> Row:
        """The frame with this number, focus map included; raises ``no_such_frame``."""
        with self._database.read() as connection:
            found = connection.execute(f"{_WITH_MAP} WHERE key = ?", (key,)).fetchone()
            if found is None:
                raise no_such_frame(str(key))
            return row_from(found)

    def rows(
        self,
        only: str | Sequence[str] | None = None,
        limit: int | None = None,
        *,
        newest_first: bool = True,
        beyond: int | None = None,
    ) -> list[Row]:
        """Frames in the order in which they were first seen, without their focus maps.

        Parameters
        ----------
        only
            A state, or several; all where None.
        limit
            Most rows returned; all where None.
        beyond
            Go on after the frame with this number: the last one of the page before.
        """
        states = STATES if only is None else (only,) if isinstance(only, str) else tuple(only)
        for state in states:
            _require_state(state)
        conditions, values = ["1"], list[object]()
        if only is not None:
            conditions.append(f"state IN ({','.join('?' * len(states))})")
            values += states
        if beyond is not None:
            conditions.append(f"key {'<' if newest_first else '>'} ?")
            values.append(beyond)
        order = "DESC" if newest_first else "ASC"
        query = f"SELECT * FROM frames WHERE {' AND '.join(conditions)} ORDER BY key {order} LIMIT ?"  # noqa: S608
        with self._database.read() as connection:
            found = connection.execute(query, (*values, -1 if limit is None else limit))
            return [row_from(each) for each in found]

    def find(self, text: str) -> list[Row]:
        """Frames that a person may mean, newest first, without their focus maps.

        ``text`` is a number, an identity or its first four or more digits, a URI, a path,
        the path below the source's root, or a file's name. The first of these that matches counts.
        """
        name = name_bytes(text)
        absolute = name_bytes(Path(text).expanduser().absolute())
        asked: list[tuple[str, tuple[object, ...]]] = []
        if text.isdecimal() and len(text) < 16:
            asked.append(("key = ?", (int(text),)))
        prefix = text.lower()
        if len(text) >= _MIN_ID_PREFIX and all(letter in "0123456789abcdef" for letter in prefix):
            asked.append(("frame_id != '' AND frame_id >= ? AND frame_id < ?", (prefix, prefix + "g")))
        asked.append(("uri = ?", (text,)))
        asked.append(("path IN (CAST(? AS TEXT), CAST(? AS TEXT))", (name, absolute)))
        asked.append(("relative = CAST(? AS TEXT)", (name,)))
        asked.append(("substr(path, -length(CAST(?1 AS TEXT)) - 1) IN ('/' || ?2, '\\' || ?2)", (name, text)))
        with self._database.read() as connection:
            for condition, values in asked:
                query = f"SELECT * FROM frames WHERE {condition} ORDER BY key DESC"  # noqa: S608 (own words)
                found = connection.execute(query, _encodable(values)).fetchall()
                if found:
                    return [row_from(each) for each in found]
        return []

    def states(self, uris: Sequence[str]) -> dict[str, str]:
        """The state of the newest row of each of these URIs; those that it does not know are left out."""
        query = "SELECT state FROM frames WHERE uri = ? ORDER BY generation DESC LIMIT 1"
        with self._database.read() as connection:
            found = {uri: connection.execute(query, (uri,)).fetchone() for uri in uris}
        return {uri: str(row[0]) for uri, row in found.items() if row is not None}

    def history(self, key: int) -> list[Event]:
        """Every change of state of this frame, oldest first."""
        query = "SELECT at, state, reason, detail FROM events WHERE key = ? ORDER BY number"
        with self._database.read() as connection:
            return [Event(*found) for found in connection.execute(query, (key,))]

    def endings(self, after: int = 0, limit: int = endings.MOST_FRAMES) -> endings.Endings:
        """A page of frames that came to an end after a position, in that order; its cost is bounded."""
        with self._database.read() as connection:
            return endings.endings_after(connection, after, limit)

    def position_at(self, moment: float) -> int:
        """The position just before a moment, seconds since 1970 (UTC)."""
        with self._database.read() as connection:
            return endings.position_at(connection, moment)

    def newest_position(self) -> int:
        """The position of the last step; it counts up over restarts."""
        with self._database.read() as connection:
            return endings.newest_position(connection)

    def counts(self) -> dict[str, int]:
        """Frames in each state; costs the same however many there are."""
        with self._database.read() as connection:
            tally = dict(connection.execute("SELECT state, frames FROM counts").fetchall())
        return {state: int(tally.get(state, 0)) for state in STATES}

    def oldest_waiting_s(self, now: float | None = None) -> float:
        """Age of the frame that has been on its way the longest, seconds; 0 where none is."""
        marks = ",".join(f"'{state}'" for state in OPEN)
        query = f"SELECT MIN(seen_at) FROM frames INDEXED BY frames_open WHERE state IN ({marks})"  # noqa: S608 (own words)
        with self._database.read() as connection:
            oldest = connection.execute(query).fetchone()[0]
        return 0.0 if oldest is None else max(0.0, (time.time() if now is None else now) - float(oldest))

    def duplicate_of(
        self, content_sha256: str, fingerprint: str, page: int = 0, *, key: int | None = None
    ) -> Row | None:
        """The first other frame with the same content and settings that did not fail and was not skipped.

        Parameters
        ----------
        fingerprint
            Of the settings; the same bytes under other settings are no duplicate.
        key
            The asking frame's own number, which is left out.
        """
        query = (
            "SELECT * FROM frames WHERE content_sha256 = ? AND fingerprint = ? AND page = ? AND key != ? "
            "AND content_sha256 != '' AND state NOT IN ('failed', 'skipped') ORDER BY key LIMIT 1"
        )
        with self._database.read() as connection:
            found = connection.execute(query, (content_sha256, fingerprint, page, key or 0)).fetchone()
            return None if found is None else row_from(found)

    def _first(self, query: str, values: tuple[object, ...] = ()) -> Row | None:
        with self._database.read() as connection:
            found = connection.execute(query, values).fetchone()
            return None if found is None else row_from(found)


def no_such_frame(text: str) -> SemdaemonError:
    """The error for a frame that the journal does not know."""
    return SemdaemonError(
        "no_such_frame",
        f"The journal knows no frame {text!r}.",
        remedy="'semdaemon frames' lists numbers, identities and files.",
    )


def _require_state(state: str) -> None:
    if state not in STATES:
        raise SemdaemonError(
            "no_such_state", f"There is no state {state!r}.", remedy=f"States are {', '.join(STATES)}."
        )


def _encodable(values: tuple[object, ...]) -> tuple[object, ...]:
    # Text with lone surrogates (an odd file name as an argument) cannot be bound, and matches no text anyway.
    return tuple(v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in values)
