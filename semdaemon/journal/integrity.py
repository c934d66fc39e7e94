"""Whether the journal is whole, and what was perhaps lost with an earlier one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from semdaemon.errors import SemdaemonError

_DOUBTFUL = "doubtful_before"


def damaged(path: Path, what: str) -> SemdaemonError:
    """The error for a file that is no whole journal."""
    return SemdaemonError(
        "journal_damaged",
        f"The journal {path} is damaged or not a journal: {what}.",
        remedy="'semdaemon doctor --repair' saves what can be read into a new one and keeps the damaged "
        "file; a daemon does so by itself when it starts.",
    )


def require_sound(path: Path, connection: sqlite3.Connection, tables: Sequence[str] | None) -> None:
    """Raise ``journal_damaged`` where pages do not hold together; all of the file's where None are named."""
    asked = ["quick_check(1)"] if tables is None else [f"quick_check({table})" for table in tables]
    for check in asked:
        said = connection.execute(f"PRAGMA {check}").fetchone()[0]
        if said != "ok":
            raise damaged(path, str(said))


def note_doubt(connection: sqlite3.Connection, at: float) -> None:
    """From now on, files older than ``at`` (seconds since 1970) may have been published by a lost journal."""
    connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_DOUBTFUL, at))
    connection.execute(
        "UPDATE frames SET redelivered = 1 WHERE state NOT IN ('published','failed','skipped')"
    )


def doubt_of(connection: sqlite3.Connection) -> float:
    """What `note_doubt` noted last, 0 where nothing was lost."""
    found = connection.execute("SELECT value FROM notes WHERE name = ?", (_DOUBTFUL,)).fetchone()
    return 0.0 if found is None else float(found[0])
