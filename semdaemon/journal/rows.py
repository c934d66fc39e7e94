"""What the journal says about a frame: its row, its history, and which states may follow which."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semdaemon.errors import SemdaemonError

OPEN = ("seen", "held", "settled", "scored", "refocused")
FINAL = ("published", "failed", "skipped")
STATES = OPEN + FINAL

# A final state is left by requeue alone, which does not ask this table.
_MAY_FOLLOW: Mapping[str, frozenset[str]] = {
    "seen": frozenset({"held", "settled", "failed", "skipped"}),
    "held": frozenset({"held", "settled", "failed", "skipped"}),
    "settled": frozenset({"scored", "published", "failed", "skipped"}),
    "scored": frozenset({"refocused", "published", "failed", "skipped"}),
    "refocused": frozenset({"published", "failed", "skipped"}),
}

# A file name need not be valid text; these keep every name, and give it back byte for byte.
_NAME_ERRORS = "surrogatepass" if os.name == "nt" else "surrogateescape"


@dataclass(frozen=True, slots=True)
class Row:
    """One frame in the journal.

    Attributes
    ----------
    key
        Number of the row; what ``semdaemon frames`` shows.
    frame_id
        Identity by content and origin; empty until the file was read.
    relative
        Path below the source's root, from which the output's place follows.
    generation
        0 for the first content seen under this ``uri``, 1 for what overwrote it, and so on.
    attempts
        Looks or jobs begun since the last one that came to an end (see `Journal.attempt`).
    requeues
        How often a person asked for it again.
    noticed_at
        When the file was first seen with this size and time, seconds since 1970 (UTC).
    check_at, seen_at, settled_at, scored_at, refocused_at, finished_at, changed_at
        Seconds since 1970 (UTC), None where not reached.
    shape
        (height, width) in pixels, None until read.
    pixel_size_m
        (y, x) in metres, None where unknown.
    redelivered
        Its messages may have been sent before: a step was cut off, it was asked for again, or an earlier
        journal was lost.
    dropped_at
        When its history and focus map were dropped (retention), None where they were not.
    focus_blob
        The focus map's bytes; only `Journal.row` and `Journal.next_to_refocus` load it.
    """

    key: int
    frame_id: str
    source: str
    uri: str
    path: Path
    relative: Path
    page: int
    generation: int
    size_bytes: int
    mtime_ns: int
    state: str
    reason: str
    detail: str
    remedy: str
    content_sha256: str
    fingerprint: str
    attempts: int
    requeues: int
    noticed_at: float
    check_at: float | None
    seen_at: float
    settled_at: float | None
    scored_at: float | None
    refocused_at: float | None
    finished_at: float | None
    changed_at: float
    shape: tuple[int, int] | None
    dtype: str
    pixel_size_m: tuple[float, float] | None
    output: Path | None
    summary: Mapping[str, Any] = field(default_factory=dict)
    redelivered: bool = False
    dropped_at: float | None = None
    focus_blob: bytes | None = None

    @property
    def final(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class Event:
    """One step in a frame's history; ``at`` in seconds since 1970 (UTC)."""

    at: float
    state: str
    reason: str
    detail: str


def row_from(found: sqlite3.Row | Mapping[str, Any]) -> Row:
    """A database row as a `Row`; raises `sqlite3.DatabaseError` where it holds what no journal writes."""
    try:
        return _row_from(found)
    except (TypeError, ValueError, KeyError) as error:
        raise sqlite3.DatabaseError(f"a row holds what was never written: {error}") from error


def _row_from(found: sqlite3.Row | Mapping[str, Any]) -> Row:
    values = {name: found[name] for name in found.keys()}  # noqa: SIM118 (sqlite3.Row iterates values)
    height, width = values.pop("height"), values.pop("width")
    size_y_m, size_x_m = values.pop("pixel_size_y_m"), values.pop("pixel_size_x_m")
    output, summary = values.pop("output"), values.pop("summary")
    redelivered = bool(values.pop("redelivered"))
    return Row(
        **{**values, "path": Path(values["path"]), "relative": Path(values["relative"])},
        redelivered=redelivered,
        shape=None if height is None else (height, width),
        pixel_size_m=None if size_y_m is None else (size_y_m, size_x_m),
        output=None if output is None else Path(output),
        summary=json.loads(summary) if summary else {},
    )


def require_transition(key: int, now: str, wanted: str) -> None:
    """Raise ``journal_transition`` unless ``wanted`` may follow ``now``."""
    if wanted not in _MAY_FOLLOW.get(now, frozenset()):
        raise SemdaemonError(
            "journal_transition",
            f"Frame number {key} is {now} and cannot become {wanted}.",
            remedy="A final state stays; 'semdaemon requeue' starts a frame again.",
        )


def name_bytes(path: Path | str) -> bytes:
    """A file name for the database, which takes bytes where text would refuse odd names."""
    return str(path).encode("utf-8", _NAME_ERRORS)


def text_of(stored: bytes) -> str:
    """The way back of `name_bytes`, and of all other text."""
    return stored.decode("utf-8", _NAME_ERRORS)


def plain(text: str) -> str:
    """Text that any database and terminal takes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
