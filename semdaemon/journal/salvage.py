"""Reading what is left of a damaged journal, row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from semdaemon.journal.database import connect
from semdaemon.journal.schema import bring_up_to_date, version_of

_RANGE = 1024
_LEAST_ROW_BYTES = 24
_MOST_GAP = 25_000
"""Numbers in a row that do not read: several of the tree's middle pages, so there is nothing behind."""
_HEADER_BYTES = 100


class Salvage:
    """Rows of a damaged database by ranges of their numbers, halved where one does not read.

    Attributes
    ----------
    lost
        Rows that could not be read, as far as their numbers are known.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.lost = 0

    def columns(self, table: str) -> set[str]:
        """Columns that the damaged database has."""
        try:
            return {str(each["name"]) for each in self._connection.execute(f"PRAGMA table_info({table})")}
        except sqlite3.DatabaseError:
            return set()

    def rows(self, table: str, key: str, columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
        """Every row that can be read, in the order of its number."""
        if key not in columns:
            return
        query = (
            f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED"  # noqa: S608 - the schema's own words
            f" WHERE {key} BETWEEN ? AND ? ORDER BY {key}"
        )
        last, certain = self._last(table, key)
        pending = [(low, min(low + _RANGE - 1, last)) for low in range(last - last % _RANGE, -1, -_RANGE)]
        gap = 0
        while pending:
            low, high = pending.pop()
            try:
                found = self._connection.execute(query, (low, high)).fetchall()
            except sqlite3.DatabaseError:
                if low == high:
                    self.lost += certain
                    gap += 1
                    if gap > _MOST_GAP and not certain:
                        return
                    continue
                middle = (low + high) // 2
                pending += [(middle + 1, high), (low, middle)]
                continue
            gap = 0 if found else gap
            yield from (tuple(row) for row in found)

    def _last(self, table: str, key: str) -> tuple[int, bool]:
        """The highest number, and whether it is known or only a bound from the file's size."""
        try:
            found = self._connection.execute(f"SELECT MAX({key}) FROM {table}").fetchone()[0]  # noqa: S608
            return int(found or 0), True
        except (sqlite3.DatabaseError, ValueError):
            pages, size = (self._pragma(name) for name in ("page_count", "page_size"))
            return pages * size // _LEAST_ROW_BYTES, False

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def open_damaged(copy: Path, fresh: Path) -> sqlite3.Connection | None:
    """A connection to a copy of a damaged journal; None where nothing of it can be read.

    A first page that is gone is replaced by a new journal's: the tables' places follow from the order
    in which they are made, which is always the same.

    Raises
    ------
    SemdaemonError
        ``journal_newer``: a newer version wrote it; it is not for us to repair.
    """
    if not copy.exists() or copy.stat().st_size == 0:
        return None
    _believe_size(copy)
    connection = _opened(copy)
    if connection is not None:
        version_of(connection)
        return connection
    templates = (fresh.read_bytes(), _old_layout(fresh))
    for believed in (_reads_well, _has_tables):
        for template in templates:
            _put_first_page(copy, template)
            connection = _opened(copy, believed)
            if connection is not None:
                return connection
    return None


def _opened(
    path: Path, believed: Callable[[sqlite3.Connection], bool] | None = None
) -> sqlite3.Connection | None:
    connection = connect(path.as_posix(), uri=False)
    if (believed or _has_tables)(connection):
        return connection
    connection.close()
    return None


def _has_tables(connection: sqlite3.Connection) -> bool:
    try:
        found = connection.execute("SELECT COUNT(*) FROM sqlite_master WHERE name IN ('frames', 'events')")
        return bool(found.fetchone()[0] == 2)
    except sqlite3.DatabaseError:
        return False


def _reads_well(connection: sqlite3.Connection) -> bool:
    """Whether the tables are where the first page says."""
    try:
        connection.execute("SELECT uri, state FROM frames ORDER BY key LIMIT 1").fetchone()
        connection.execute("SELECT state FROM events ORDER BY number LIMIT 1").fetchone()
    except sqlite3.DatabaseError:
        return False
    return True


def _old_layout(fresh: Path) -> bytes:
    """An empty journal as versions before 2 made it: without the pages that returning space needs."""
    path = fresh.with_name("layout.sqlite3")
    with closing(connect(path.as_posix(), uri=False)) as connection:
        bring_up_to_date(connection)
    return path.read_bytes()


def _believe_size(path: Path) -> None:
    """Make the header of a file that was cut say what is there; else SQLite reads nothing of it."""
    if path.with_name(path.name + "-wal").exists():
        return
    with path.open("r+b") as file:
        head = bytearray(file.read(_HEADER_BYTES))
        size = int.from_bytes(head[16:18], "big")
        pages = path.stat().st_size // size if size >= 512 else 0
        if 0 < pages < int.from_bytes(head[28:32], "big"):
            file.seek(0)
            file.write(_counted(head, pages))


def _put_first_page(path: Path, template: bytes) -> None:
    size = int.from_bytes(template[16:18], "big")
    page = bytearray(template[:size])
    page[32:40] = bytes(8)  # no list of free pages
    with path.open("r+b") as file:
        file.write(_counted(page, max(1, path.stat().st_size // size)))


def _counted(head: bytearray, pages: int) -> bytearray:
    head[28:32] = pages.to_bytes(4, "big")
    head[92:96] = head[24:28]  # the number of pages is to be believed
    return head
