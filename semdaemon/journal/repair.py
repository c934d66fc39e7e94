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
from semdaemon.journal.swap import WORK_PREFIX, finish_swap, salvaged_path

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
        new.execute("PRAGMA synchronous = FULL")
        new.execute("PRAGMA fullfsync = 1")
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
    saved = 0
    for some in _by(_AT_ONCE, salvage.rows(table, key, columns)):
        new.execute("BEGIN IMMEDIATE")
        saved += sum(_put(new, insert, row, table, salvage) for row in some)
        new.execute("COMMIT")
    return saved


def _put(new: sqlite3.Connection, insert: str, row: tuple[object, ...], table: str, salvage: Salvage) -> bool:
    try:
        key = new.execute(insert, row).lastrowid
    except sqlite3.Error:
        salvage.lost += 1
        return False
    if _makes_sense(new, table, int(key or 0)):
        return True
    new.execute(f"DELETE FROM {table} WHERE rowid = ?", (key,))  # noqa: S608
    salvage.lost += 1
    return False


def _makes_sense(new: sqlite3.Connection, table: str, key: int) -> bool:
    """A page of garbage can look like rows: what cannot be a frame, or belongs to none, is not taken over."""
    if table != "frames":
        query = f"SELECT 1 FROM {table} t JOIN frames f ON f.key = t.key WHERE t.rowid = ?"  # noqa: S608
        return new.execute(query, (key,)).fetchone() is not None
    try:
        row = row_from(new.execute("SELECT * FROM frames WHERE key = ?", (key,)).fetchone())
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
