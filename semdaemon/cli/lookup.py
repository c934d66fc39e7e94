"""Which frames of the journal a person means, and how a frame is written as JSON."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from semdaemon.cli.printable import printable
from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal, Row, find_journal
from semdaemon.journal.reading import no_such_frame
from semdaemon.journal.rows import plain
from semdaemon.settings import Settings

_TIMES = tuple(field.name for field in dataclasses.fields(Row) if field.name.endswith("_at"))


def open_journal(settings: Settings, *, beside: bool = False) -> Journal:
    """The settings' journal, for reading, or for writing ``beside`` a daemon."""
    return Journal(find_journal(settings.daemon.state_dir), read_only=not beside, beside=beside)


def frames_meant(journal: Journal, text: str) -> list[Row]:
    """The frames that ``text`` names, each as it is now: the pages of one file, or one frame.

    Raises
    ------
    SemdaemonError
        ``no_such_frame``, or ``ambiguous_frame`` where several files match.
    """
    found = journal.find(text)
    if not found:
        raise no_such_frame(plain(text))
    newest: dict[str, Row] = {}
    for row in found:  # newest first
        newest.setdefault(row.uri, row)
    if len({row.path for row in newest.values()}) > 1:
        named = ", ".join(f"{row.key} ({shown(row.relative)})" for row in list(newest.values())[:5])
        raise SemdaemonError(
            "ambiguous_frame",
            f"{plain(text)!r} may mean {len(newest)} frames: {named}{', ...' if len(newest) > 5 else ''}.",
            remedy="Give the number, more digits of the identity, or the whole path.",
        )
    return sorted(newest.values(), key=lambda row: row.page)


def as_json(row: Row) -> dict[str, Any]:
    """A row as plain values, times as RFC 3339 in UTC, without the focus map's bytes."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(Row)}
    del values["focus_blob"]
    for name in _TIMES:
        values[name] = None if values[name] is None else rfc3339(values[name])
    for name in ("path", "relative", "output"):
        values[name] = None if values[name] is None else plain(str(values[name]))
    return {**values, "summary": dict(row.summary)}


def rfc3339(at: float) -> str:
    """Seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(path: Path) -> str:
    """A path that every terminal can print."""
    return printable(str(path))


def span(seconds: float) -> str:
    """A length of time in its largest unit: ``12 s``, ``3 min``, ``2 h``, ``4 d``."""
    for unit, length_s in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
