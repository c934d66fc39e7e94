"""One daemon a state folder: a lock that the operating system drops when its owner dies."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from pathlib import Path

import psutil

from semdaemon.errors import SemdaemonError

_CLOCKS_AGREE_S = 2.0


class WriterLock:
    """Held by the one process that writes the journal.

    The lock is an exclusive transaction on an empty SQLite file: the same on every platform,
    and gone with its process, however that ends. A second file names the owner for the error's text.

    Raises
    ------
    SemdaemonError
        ``journal_locked``, with the process that holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._owner_file = folder / "journal.owner.json"
        self._connection = sqlite3.connect(
            folder / "journal.lock", isolation_level=None, timeout=0, check_same_thread=False
        )
        try:
            self._connection.execute("PRAGMA journal_mode = MEMORY")
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise self._refusal(folder, error) from error
        self.was_unclean = self._owner_file.exists()
        """Whether the owner before this one was killed."""
        with contextlib.suppress(OSError):  # a full disk: the file is only for the error's text
            self._owner_file.write_text(
                json.dumps({"pid": os.getpid(), "since": time.time()}), encoding="utf-8"
            )

    def release(self, *, in_order: bool = True) -> None:
        """Let another daemon have the folder; not ``in_order``, an owner that was killed stays known."""
        if in_order or not self.was_unclean:
            with contextlib.suppress(OSError):
                self._owner_file.unlink(missing_ok=True)
        self._connection.close()

    def _refusal(self, folder: Path, error: sqlite3.OperationalError) -> SemdaemonError:
        if "locked" not in str(error):
            return SemdaemonError(
                "journal_unwritable",
                f"The state folder {folder} cannot be written: {error}.",
                remedy="Check the folder's owner and the free space, or choose another daemon.state_dir.",
            )
        pid = owner_pid(folder)
        whose = "another process" if pid is None else f"process {pid}"
        return SemdaemonError(
            "journal_locked",
            f"The state folder {folder} is in use by {whose}: one daemon writes a journal.",
            remedy="Stop that daemon, or give this one its own --state folder.",
        )


def owner_pid(folder: Path) -> int | None:
    """Process number of the daemon that last took this state folder, None where unknown."""
    owner = _owner(folder)
    return None if owner is None else owner[0]


def living_owner(folder: Path) -> int | None:
    """Process number of the daemon that has this state folder and lives; None where none does.

    Asks nothing of the lock, which a daemon that starts in that moment would find taken.
    """
    owner = _owner(folder)
    with contextlib.suppress(psutil.Error, ValueError, OverflowError):
        if owner is not None and psutil.Process(owner[0]).create_time() <= owner[1] + _CLOCKS_AGREE_S:
            return owner[0]
    return None


def _owner(folder: Path) -> tuple[int, float] | None:
    """Its process number, and since when it has the folder (seconds since 1970)."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads((folder / "journal.owner.json").read_text(encoding="utf-8"))
        return int(said["pid"]), float(said["since"])
    return None
