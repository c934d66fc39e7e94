"""The journal's tables, their version, and how an older journal becomes a newer one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from semdaemon.errors import SemdaemonError

VERSION = 2
APPLICATION_ID = 0x53454D44  # 'SEMD'

_TABLES = """
CREATE TABLE frames (
    key INTEGER PRIMARY KEY,
    frame_id TEXT NOT NULL DEFAULT '',
    source TEXT NOT NULL,
    uri TEXT NOT NULL,
    path TEXT NOT NULL,
    relative TEXT NOT NULL,
    page INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('seen','held','settled','scored','refocused','published','failed','skipped')),
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    remedy TEXT NOT NULL DEFAULT '',
    content_sha256 TEXT NOT NULL DEFAULT '',
    fingerprint TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    requeues INTEGER NOT NULL DEFAULT 0,
    noticed_at REAL NOT NULL,
    check_at REAL,
    seen_at REAL NOT NULL,
    settled_at REAL,
    scored_at REAL,
    refocused_at REAL,
    finished_at REAL,
    changed_at REAL NOT NULL,
    height INTEGER,
    width INTEGER,
    dtype TEXT NOT NULL DEFAULT '',
    pixel_size_y_m REAL,
    pixel_size_x_m REAL,
    output TEXT,
    summary TEXT NOT NULL DEFAULT '',
    redelivered INTEGER NOT NULL DEFAULT 0,
    dropped_at REAL,
    UNIQUE (uri, generation)
);
CREATE TABLE focus_maps (
    key INTEGER PRIMARY KEY REFERENCES frames(key),
    focus_blob BLOB NOT NULL
);
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    key INTEGER NOT NULL REFERENCES frames(key),
    at REAL NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT ''
);
CREATE TABLE counts (state TEXT PRIMARY KEY, frames INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counts VALUES ('seen',0),('held',0),('settled',0),('scored',0),('refocused',0),
                          ('published',0),('failed',0),('skipped',0);
"""

_NOTES = "CREATE TABLE notes (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;\n"

# Partial indexes hold only what waits, so taking the next frame costs the same after 100,000 finished ones.
_INDEXES = """
CREATE INDEX frames_to_settle ON frames (mtime_ns, key, check_at) WHERE state IN ('seen','held');
CREATE INDEX frames_to_refocus ON frames (mtime_ns, key) WHERE state = 'scored';
CREATE INDEX frames_open ON frames (seen_at)
    WHERE state IN ('seen','held','settled','scored','refocused');
CREATE INDEX frames_by_state ON frames (state, key);
CREATE INDEX frames_by_id ON frames (frame_id) WHERE frame_id != '';
CREATE INDEX frames_by_content ON frames (content_sha256, fingerprint, page) WHERE content_sha256 != '';
CREATE INDEX frames_by_path ON frames (path);
CREATE INDEX events_of_frame ON events (key, number);
"""

_TO_DROP = """
CREATE INDEX frames_to_drop ON frames (finished_at) WHERE finished_at IS NOT NULL AND dropped_at IS NULL;
"""

# Counting by trigger keeps the tally in the same transaction as the change, whoever makes it.
_TRIGGERS = """
CREATE TRIGGER count_new AFTER INSERT ON frames BEGIN
    UPDATE counts SET frames = frames + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER count_move AFTER UPDATE OF state ON frames WHEN OLD.state != NEW.state BEGIN
    UPDATE counts SET frames = frames - 1 WHERE state = OLD.state;
    UPDATE counts SET frames = frames + 1 WHERE state = NEW.state;
END;
"""

_COUNT_GONE = """
CREATE TRIGGER count_gone AFTER DELETE ON frames BEGIN
    UPDATE counts SET frames = frames - 1 WHERE state = OLD.state;
END;
"""


def _to_2(connection: sqlite3.Connection) -> None:
    """What may have been sent before, and what was dropped, are kept in columns of their own."""
    connection.execute("ALTER TABLE frames ADD COLUMN redelivered INTEGER NOT NULL DEFAULT 0")
    connection.execute("ALTER TABLE frames ADD COLUMN dropped_at REAL")
    connection.execute("UPDATE frames SET redelivered = 1 WHERE reason = 'restarted' OR requeues > 0")
    for statement in _statements(_NOTES + _TO_DROP + _COUNT_GONE):
        connection.execute(statement)


# From version N to N + 1; each runs inside the transaction that also raises the version.
_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: _to_2}


def version_of(connection: sqlite3.Connection) -> int:
    """The journal's schema version, 0 for an empty file; raises ``journal_newer``."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise SemdaemonError(
            "journal_newer",
            f"The journal has schema version {version}; this semdaemon knows up to {VERSION}.",
            remedy="Update semdaemon, or give this version its own state folder (daemon.state_dir).",
        )
    return version


def require_current(connection: sqlite3.Connection) -> None:
    """For readers, which may not migrate: raises ``journal_older`` or ``journal_newer``."""
    version = version_of(connection)
    if version < VERSION:
        raise SemdaemonError(
            "journal_older",
            f"The journal has schema version {version}, not {VERSION}, and is only read here.",
            remedy="Start the daemon once; it brings the journal up to date.",
        )


def prepare_new(connection: sqlite3.Connection) -> None:
    """Make an empty file one whose free pages can be returned to the disk; before anything else is set."""
    if version_of(connection) == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Create the tables, or migrate an older journal step by step, all or nothing."""
    if version_of(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _create_or_migrate(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _create_or_migrate(connection: sqlite3.Connection) -> None:
    version = version_of(connection)  # again, now that nobody else can be at it
    if version == 0:
        for statement in _statements(_TABLES + _NOTES + _INDEXES + _TO_DROP + _TRIGGERS + _COUNT_GONE):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    else:
        for step in range(version, VERSION):
            _MIGRATIONS[step](connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _statements(script: str) -> list[str]:
    # sqlite3.executescript() would commit the open transaction.
    statements, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return statements
