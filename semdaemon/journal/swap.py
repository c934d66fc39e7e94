"""A repaired journal takes the damaged one's place, whatever interrupts it, and nothing is deleted."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

WORK_PREFIX = "repair-"
_LOGS = ("-wal", "-shm", "-journal")


def salvaged_path(path: Path) -> Path:
    """Where a complete repaired journal waits for its place."""
    return path.with_name(f"{path.stem}.salvaged{path.suffix}")


def finish_swap(path: Path) -> Path | None:
    """Put a complete repaired journal in its place; returns where the damaged one is kept.

    Every step may be the last one before a power cut: the next call goes on from there.
    """
    for left in path.parent.glob(f"{WORK_PREFIX}*"):  # of a repair that was killed; only copies lie in it
        shutil.rmtree(left, ignore_errors=True)
    salvaged = salvaged_path(path)
    if not salvaged.exists():
        return None
    kept = _kept_path(path)
    # The log first: it must never lie beside a journal that it does not belong to.
    for log in _LOGS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + log).replace(kept.with_name(kept.name + log))
    with suppress(FileNotFoundError):
        path.replace(kept)
    salvaged.replace(path)
    _sync_folder(path.parent)
    return kept


def _kept_path(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    paths = (path.with_name(f"{path.stem}.damaged-{stamp}-{n}{path.suffix}") for n in range(1, 1000))
    return next(kept for kept in paths if not kept.exists())


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
