"""A damaged journal: everything in it that can still be read goes into a new one; the damaged file is kept.

What cannot be read is seen again by the sources, and its messages then say ``redelivered``.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from semdaemon.errors import SemdaemonError
from semdaemon.journal.database import connect
from semdaemon.journal.integrity import note_doubt
from semdaemon.journal.journal import Journal
from semdaemon.journal.lock import WriterLock
from semdaemon.journal.rows import row_from
from semdaemon.journal.salvage import Salvage, open_damaged
from semdaemon.journal.schema import APPLICATION_ID, bring_up_to_date, prepare_new
from semdaemon.journal.swap import WORK_PREFIX, finish_swap, flush, salvaged_path

_AT_ONCE = 1000
_MAGIC = b"SQLite format 3\0"
_log = structlog.get_logger("semdaemon.journal")


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair saved.

    Attributes
    ----------
    kept
        The damaged file under its new name.
    frames, events, focus_maps
        Rows saved.
    lost
        Rows of any table whose numbers are known, and that could not be read or made no sense.
    """

    kept: Path
    frames: int
    events: int
    focus_maps: int
    lost: int


def open_own_journal(path: Path) -> Journal:
    """The daemon's journal, repaired first where it is damaged: nobody is woken at night for that.

    A file that is no journal of ours is left alone.

    Raises
    ------
    SemdaemonError
        As `Journal`; ``journal_damaged`` only for a foreign file.
    """
    try:
        return Journal(path)
    except SemdaemonError as error:
        if error.code != "journal_damaged" or not is_ours(path):
            raise
        _log.error("journal damaged, repairing", path=str(path), error=error.message)
    repaired = repair(path)
    _log.warning(
        "journal repaired",
        kept=str(repaired.kept),
        frames=repaired.frames,
        lost=repaired.lost,
    )
    return Journal(path)


def is_ours(path: Path) -> bool:
    """Whether a file was a journal once, by either half of its mark, or by its loss."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(100)
        marked = head.startswith(_MAGIC) or head[68:72] == APPLICATION_ID.to_bytes(4, "big")
        return marked or not any(head)  # zeros: what a power cut leaves of a page
    return False


def check(path: Path) -> None:
    """Raise ``journal_damaged`` or ``journal_missing``; reads all of the file, beside a daemon too."""
    with Journal(path, read_only=True) as journal:
        journal.integrity_check()


def repair(path: Path) -> Repaired:
    """Save what can be read into a new journal and put it in place.

    Raises
    ------
    SemdaemonError
        ``journal_locked``: a daemon has it. ``journal_unwritable``: no space for the new one.
        ``journal_newer``: it was not damaged, but written by a newer version.
    """
    lock = WriterLock(path.parent)
    try:
        return _repair(path)
    except OSError as error:
        raise SemdaemonError(
            "journal_unwritable",
            f"The journal {path} cannot be repaired: {error}.",
            remedy="The state folder needs free space of three times the journal's size.",
        ) from error
    finally:
        lock.release()


def _repair(path: Path) -> Repaired:
    kept = finish_swap(path)  # of a repair that was interrupted
    with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=path.parent) as folder:
        made = Path(folder) / path.name
        counted = _saved_into(made, path, Path(folder))
        flush(made)
        made.replace(salvaged_path(path))
    kept = finish_swap(path) or kept or path
    return Repaired(kept, *counted)


def _saved_into(made: Path, path: Path, folder: Path) -> tuple[int, int, int, int]:
    """A new journal with everything that is readable; the damaged file itself is only copied."""
    copy = folder / f"copy-{path.name}"
    for end in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(path.with_name(path.name + end), copy.with_name(copy.name + end))
    with closing(connect(made.as_posix(), uri=False)) as new:
        new.execute("PRAGMA synchronous = OFF")  # nobody needs a half-made one; the whole is flushed below
        prepare_new(new)
        bring_up_to_date(new)
        old = open_damaged(copy, made)
        counted = (0, 0, 0, 0) if old is None else _copied(old, new)
        new.execute("BEGIN IMMEDIATE")
        note_doubt(new, time.time())
        new.execute("COMMIT")
    return counted


def _copied(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, int, int, int]:
    with closing(old):
        salvage = Salvage(old)
        frames = _copy(salvage, new, "frames", "key")
        events = _copy(salvage, new, "events", "number")
        maps = _copy(salvage, new, "focus_maps", "key")
    return frames, events, maps, salvage.lost


def _copy(salvage: Salvage, new: sqlite3.Connection, table: str, key: str) -> int:
    known = [str(each["name"]) for each in new.execute(f"PRAGMA table_info({table})")]
    columns = [name for name in known if name in salvage.columns(table)]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - the schema's own words
    for some in _by(_AT_ONCE, salvage.rows(table, key, columns)):
        new.execute("BEGIN IMMEDIATE")
        salvage.lost += _put(new, insert, some)
        new.execute("COMMIT")
    new.execute("BEGIN IMMEDIATE")
    salvage.lost += _drop_nonsense(new, table)
    new.execute("COMMIT")
    return int(new.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608


def _put(new: sqlite3.Connection, insert: str, rows: list[tuple[object, ...]]) -> int:
    """Insert rows; returns how many are refused."""
    new.execute("SAVEPOINT together")
    try:
        new.executemany(insert, rows)
        refused = 0
    except sqlite3.Error:
        new.execute("ROLLBACK TO together")
        refused = sum(not _put_one(new, insert, row) for row in rows)
    new.execute("RELEASE together")
    return refused


def _put_one(new: sqlite3.Connection, insert: str, row: tuple[object, ...]) -> bool:
    try:
        new.execute(insert, row)
    except sqlite3.Error:
        return False
    return True


def _drop_nonsense(new: sqlite3.Connection, table: str) -> int:
    """A page of garbage can look like rows: what cannot be a frame, or belongs to none, is not taken over."""
    if table != "frames":
        query = f"DELETE FROM {table} WHERE key NOT IN (SELECT key FROM frames)"  # noqa: S608
        return new.execute(query).rowcount
    wrong = [(each["key"],) for each in new.execute("SELECT * FROM frames") if not _is_frame(each)]
    new.executemany("DELETE FROM frames WHERE key = ?", wrong)
    return len(wrong)


def _is_frame(found: sqlite3.Row) -> bool:
    try:
        row = row_from(found)
    except (ValueError, TypeError, LookupError):
        return False
    return isinstance(row.uri, str) and all(isinstance(n, int) for n in (row.size_bytes, row.mtime_ns))


def _by(size: int, rows: Iterator[tuple[object, ...]]) -> Iterator[list[tuple[object, ...]]]:
    some: list[tuple[object, ...]] = []
    for row in rows:
        some.append(row)
        if len(some) == size:
            yield some
            some = []
    if some:
        yield some
