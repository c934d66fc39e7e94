"""How files and their pages become rows. Every function works inside its caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from semdaemon.journal.reading import no_such_frame
from semdaemon.journal.rows import name_bytes

_STAT = ("size_bytes", "mtime_ns")
_MAY_COME_BACK = ("vanished", "not_found")
_FORGET_RESULT: Mapping[str, object] = {
    "attempts": 0,
    "content_sha256": "",
    "settled_at": None,
    "scored_at": None,
    "refocused_at": None,
    "finished_at": None,
    "output": None,
    "summary": "",
}


class SightedFile(Protocol):
    """What a source saw: a file by name, size and time. `semdaemon.sources.Sighting` is one.

    ``settle_s`` is how long it must stay the same before it is worth a look.
    """

    @property
    def source(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def relative(self) -> Path: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def settle_s(self) -> float: ...


def is_known(connection: sqlite3.Connection, sighting: SightedFile) -> bool:
    """True where the newest row of this file has the same size and time, and nothing is to be done."""
    known = _newest(connection, sighting.uri)
    return known is not None and _same(known, sighting) and not _was_gone(known)


def see_file(
    connection: sqlite3.Connection, sighting: SightedFile, now: float, *, doubtful_before: float = 0.0
) -> bool:
    """Record one file; True where that made a row.

    ``doubtful_before`` (seconds since 1970) is when an earlier journal was lost: files older than that
    may have been published by it.
    """
    doubtful = sighting.mtime_ns < doubtful_before * 1e9
    known = _newest(connection, sighting.uri)
    if known is None:
        _insert(connection, sighting, now, generation=0, redelivered=doubtful)
        return True
    if _same(known, sighting):
        if _was_gone(known):  # a share that was unmounted, a file that was moved away and back
            restart(connection, known["key"], "seen", "came_back", now)
        return False
    if known["state"] in ("seen", "held"):
        due = now + sighting.settle_s
        set_columns(connection, known["key"], **_stat_of(sighting), noticed_at=now, check_at=due, attempts=0)
        return False
    _insert(connection, sighting, now, generation=known["generation"] + 1)
    return True


def see_page(connection: sqlite3.Connection, key: int, page: int, now: float) -> int:
    """The row of a later page of the file whose first page is row ``key``, made where missing."""
    first = connection.execute("SELECT * FROM frames WHERE key = ?", (key,)).fetchone()
    if first is None:
        raise no_such_frame(str(key))
    known = connection.execute(
        "SELECT key FROM frames WHERE uri = ? AND generation = ?",
        (f"{first['uri']}#page={page}", first["generation"]),
    ).fetchone()
    if known is not None:
        return int(known["key"])
    return _insert(
        connection,
        _FileOf(first),
        now,
        generation=first["generation"],
        page=page,
        redelivered=bool(first["redelivered"]),
    )


def restart(connection: sqlite3.Connection, key: int, state: str, reason: str, now: float) -> None:
    """Put a frame back to an earlier state, due at once; back to seen, nothing of its result is kept."""
    forget = _FORGET_RESULT if state == "seen" else {"refocused_at": None, "output": None}
    said: dict[str, object] = {"reason": reason, "detail": "", "remedy": "", "dropped_at": None}
    if reason != "came_back":  # which never was read
        said["redelivered"] = True
    set_columns(connection, key, state=state, **said, check_at=now, changed_at=now, **forget)
    record_event(connection, key, now, state, reason, "")


def set_columns(connection: sqlite3.Connection, key: int, **columns: object) -> None:
    """Set columns of one row; the names are the caller's own words, never input."""
    names = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE frames SET {names} WHERE key = ?", (*columns.values(), key))  # noqa: S608


def record_event(
    connection: sqlite3.Connection, key: int, at: float, state: str, reason: str, detail: str
) -> None:
    """Add one step to a frame's history."""
    connection.execute(
        "INSERT INTO events (key, at, state, reason, detail) VALUES (?, ?, ?, ?, ?)",
        (key, at, state, reason, detail),
    )


def _insert(
    connection: sqlite3.Connection,
    sighting: SightedFile,
    now: float,
    *,
    generation: int,
    page: int = 0,
    redelivered: bool = False,
) -> int:
    uri = f"{sighting.uri}#page={page}" if page else sighting.uri
    made = connection.execute(
        "INSERT INTO frames (source, uri, path, relative, page, generation, size_bytes, mtime_ns, state,"
        " noticed_at, check_at, seen_at, changed_at, redelivered)"
        " VALUES (?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, 'seen', ?, ?, ?, ?, ?)",
        (sighting.source, uri, name_bytes(sighting.path), name_bytes(sighting.relative), page, generation,
         sighting.size_bytes, sighting.mtime_ns, now, now + sighting.settle_s, now, now,
         redelivered),
    )  # fmt: skip
    key = int(made.lastrowid or 0)
    reason = "page_of_file" if page else "changed_since" if generation else ""
    record_event(connection, key, now, "seen", reason, "")
    return key


def _newest(connection: sqlite3.Connection, uri: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT key, generation, size_bytes, mtime_ns, state, reason FROM frames WHERE uri = ?"
        " ORDER BY generation DESC LIMIT 1",
        (uri,),
    ).fetchone()
    return found


def _same(known: sqlite3.Row, sighting: SightedFile) -> bool:
    return {name: known[name] for name in _STAT} == _stat_of(sighting)


def _was_gone(known: sqlite3.Row) -> bool:
    return known["state"] in ("failed", "skipped") and known["reason"] in _MAY_COME_BACK


def _stat_of(sighting: SightedFile) -> dict[str, int]:
    return {"size_bytes": sighting.size_bytes, "mtime_ns": sighting.mtime_ns}


class _FileOf:
    """A row seen as a file again, for its further pages."""

    def __init__(self, row: sqlite3.Row) -> None:
        self.source, self.uri = row["source"], row["uri"]
        self.path, self.relative = Path(row["path"]), Path(row["relative"])
        self.size_bytes, self.mtime_ns = row["size_bytes"], row["mtime_ns"]
        self.settle_s = 0.0
