"""Connections to the journal's file: one that writes, one that reads, and what their errors mean."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import structlog

from semdaemon.errors import SemdaemonError
from semdaemon.journal.integrity import damaged, doubt_of, note_doubt, require_sound
from semdaemon.journal.lock import WriterLock
from semdaemon.journal.rows import text_of
from semdaemon.journal.schema import bring_up_to_date, prepare_new, require_current
from semdaemon.journal.swap import finish_swap
from semdaemon.mounts import mount_of
from semdaemon.standing import StandingFault

Role = Literal["owner", "guest", "reader"]
BUSY_TIMEOUT_S = 10.0
_LARGEST_VALUE_BYTES = 2**26
_OF_THE_DISK = (
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_READONLY",
    "SQLITE_CANTOPEN",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
)
# A start must not take minutes: service managers would kill it. 'semdaemon doctor' checks larger ones.
_CHECKED_WHOLE_BYTES, _CHECKED_BYTES = 2**30, 2**32
_REMEDY = "Check free space and permissions of the state folder; it goes on by itself."
_log = structlog.get_logger("semdaemon.journal")


class Database:
    """The journal's SQLite file.

    Readers and the writer do not wait for each other (write-ahead log), so the page stays quick
    while a burst is recorded. Every method may be called from any thread.

    Durability: a commit reaches the operating system before it returns, so the end of the process,
    by ``kill -9`` too, loses nothing. It reaches the disk at checkpoints and at each ``durable`` write;
    a power loss may take back the undurable ones after the last durable one, never corrupts,
    and the folder scan finds the frames again.

    Parameters
    ----------
    path
        The file; created by the owner where missing.
    role
        ``owner`` is the daemon and holds the lock, ``guest`` writes beside it (requeue),
        ``reader`` only reads.
    """

    def __init__(self, path: Path, role: Role) -> None:
        self.path = path
        self._lock: WriterLock | None = None
        self._writer: sqlite3.Connection | None = None
        self._writing, self._reading = threading.RLock(), threading.RLock()
        self.standing = StandingFault()
        self.doubtful_before = 0.0
        if role == "owner":
            _prepare_folder(path.parent)
            self._lock = WriterLock(path.parent)
        elif not path.is_file():
            raise _missing(path)
        try:
            with _explained(path):
                if self._lock is not None:
                    _swap(path)
                    lost = _has_lost_something(path, unclean=self._lock.was_unclean)
                self._open(role)
                if self._lock is not None:
                    self._check(lost_something=lost)
        except BaseException:
            self.close(in_order=False)
            raise

    def _open(self, role: Role) -> None:
        if role != "reader":
            self._writer = connect(self.path.as_posix(), uri=False)
            prepare_new(self._writer)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            self._writer.execute("PRAGMA fullfsync = 1")  # macOS: a sync that reaches the disk, not its cache
            self._writer.execute("PRAGMA journal_size_limit = 67108864")
            (bring_up_to_date if role == "owner" else require_current)(self._writer)
        self._reader = _open_reader(self.path)
        require_current(self._reader)

    def _check(self, *, lost_something: bool) -> None:
        """Raise where it is damaged; the large focus maps are looked at only where its owner was killed."""
        unclean = self._lock is not None and self._lock.was_unclean
        size_bytes = self.path.stat().st_size
        with self.write() as connection:
            if unclean and size_bytes <= _CHECKED_WHOLE_BYTES:
                require_sound(self.path, connection, None)
            elif size_bytes <= _CHECKED_BYTES:
                require_sound(self.path, connection, ("frames", "events", "counts"))
            if lost_something:
                note_doubt(connection, time.time())
            self.doubtful_before = doubt_of(connection)

    def vacuum(self, pages: int) -> None:
        """Return up to so many free pages to the disk."""
        with self._writing, _explained(self.path):
            if self._writer is not None:
                # One step frees one page, and execute() takes one step of what returns no rows.
                self._writer.executescript(f"PRAGMA incremental_vacuum({int(pages)})")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The reading connection, for one or a few quick queries."""
        with self._reading, _explained(self.path):
            yield self._reader

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction, committed at the end or taken back whole; ``durable`` waits for the disk."""
        if self._writer is None:
            raise SemdaemonError("journal_read_only", f"The journal {self.path} is open for reading only.")
        with self._writing, _explained(self.path), self._noted():
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def works_again(self) -> None:
        """A try that is worth a step went well."""
        if (lasted_s := self.standing.over()) is not None:
            _log.warning("journal can be written again", path=str(self.path), after_s=round(lasted_s, 1))

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Tell a disk that is full, once; a small write that still fits does not end that."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(_OF_THE_DISK):
                fault = f"The journal {self.path} cannot be written: {error}"
                if self.standing.stands(fault):
                    _log.error("journal refused", error=fault, remedy=_REMEDY)
            raise

    def close(self, *, in_order: bool = True) -> None:
        """Close, and give the lock back; closing twice does nothing."""
        with self._writing, self._reading:
            for connection in (getattr(self, "_reader", None), self._writer):
                if connection is not None:
                    connection.close()
            if self._lock is not None:
                self._lock.release(in_order=in_order)
                self._lock = None


def _has_lost_something(path: Path, *, unclean: bool) -> bool:
    """True where an earlier journal's end is missing: emptied, or without the log that a kill leaves."""
    if not path.exists():
        return False
    empty = path.stat().st_size == 0
    if empty or (unclean and not path.with_name(path.name + "-wal").exists()):
        _log.warning("journal lost its end; frames seen again say redelivered", path=str(path), empty=empty)
        return True
    return False


def _swap(path: Path) -> None:
    try:
        finish_swap(path)
    except OSError as error:  # on Windows a program that still reads the old one keeps it in its place
        raise SemdaemonError(
            "journal_unwritable",
            f"The repaired journal cannot take the place of {path}: {error}.",
            remedy="Close programs that read the journal, and start again.",
        ) from error


def _prepare_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SemdaemonError(
            "journal_unwritable",
            f"The state folder {folder} cannot be made: {error}.",
            remedy="Choose another daemon.state_dir.",
        ) from error
    mount = mount_of(folder)
    if mount.remote:
        raise SemdaemonError(
            "state_on_network",
            f"The state folder {folder} lies on a {mount.kind} file system ({mount.point}), "
            "where SQLite's write-ahead log does not work.",
            remedy="Set daemon.state_dir (or --state) to a folder on a local disk.",
        )


def connect(database: str, *, uri: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        database, uri=uri, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.text_factory = text_of
    # A damaged file may claim a value of a gigabyte; the largest that is written is a focus map.
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE_BYTES)
    return connection


def _open_reader(path: Path) -> sqlite3.Connection:
    base = path.resolve().as_uri()
    reader = connect(f"{base}?mode=ro", uri=True)
    try:
        reader.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        reader.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        # A folder that we may not write to, and no daemon: the file alone is the whole journal.
        reader = connect(f"{base}?mode=ro&immutable=1", uri=True)
    return reader


def _missing(path: Path) -> SemdaemonError:
    return SemdaemonError(
        "journal_missing",
        f"There is no journal at {path}: no daemon has run with this state folder.",
        remedy="Give the daemon's settings file (-c FILE) or its state folder (--state DIR).",
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError as error:
        if "closed" not in str(error):
            raise
        raise SemdaemonError("journal_closed", f"The journal {path} is closed.") from error
    except sqlite3.IntegrityError:
        raise
    except sqlite3.OperationalError as error:
        raise SemdaemonError(
            "journal_write",
            f"The journal {path} cannot be used: {error}.",
            remedy=_REMEDY,
        ) from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error
    except UnicodeDecodeError as error:
        # SQLite quotes the damaged place in its own error, and Python cannot make a text of that.
        raise damaged(path, "its schema is no text") from error
    except MemoryError:
        # Said of some damaged schemas too, without that any memory was asked for.
        raise damaged(
            path, "SQLite says that it is out of memory, which a damaged schema makes it say"
        ) from None
