"""Room left in a folder, asked in a thread of its own: a share that hangs must hold up nobody who asks."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

_FRESH_S = 5.0
_WAIT_S = 0.2


def free_bytes(folder: Path) -> int | None:
    """Free bytes of the disk that a folder lies on, or will lie on; None where that cannot be told."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    try:
        return None if there is None else shutil.disk_usage(there).free
    except OSError:
        return None


class FreeSpace:
    """Answers at once, or within a fraction of a second; any thread may call.

    A folder is looked at again where the last look is some seconds old and has ended, so that at most one
    thread hangs for each folder.
    """

    def __init__(self, look: Callable[[Path], int | None] = free_bytes) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._looks: dict[Path, _Look] = {}

    def of(self, folder: Path) -> int | None:
        """Free bytes; None where nobody can tell, or the disk does not answer."""
        with self._lock:
            last = self._looks.get(folder)
            if last is None or last.is_old:
                last = self._looks[folder] = _Look(folder, self._look)
        return last.found()


class _Look:
    """One look at one folder, under way from when it is made."""

    def __init__(self, folder: Path, look: Callable[[Path], int | None]) -> None:
        self._began_at = time.monotonic()
        self._free_bytes: int | None = None
        self._thread = threading.Thread(target=self._run, args=(folder, look), name="free space", daemon=True)
        self._thread.start()

    @property
    def is_old(self) -> bool:
        return not self._thread.is_alive() and time.monotonic() - self._began_at > _FRESH_S

    def found(self) -> int | None:
        self._thread.join(_WAIT_S)
        return self._free_bytes

    def _run(self, folder: Path, look: Callable[[Path], int | None]) -> None:
        self._free_bytes = look(folder)
