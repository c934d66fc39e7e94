"""Whether the disk below a folder answers: a share that hangs holds up its own frames, and no others."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_FRESH_S = 2.0
_WAIT_S = 1.0


def ask(folder: Path) -> None:
    """Ask the disk itself: what a file is like may come from a cache for a minute, its room does not."""
    with suppress(OSError):  # gone is an answer too
        shutil.disk_usage(folder)


class Reach:
    """Asks each folder in a thread of its own, at most one for each; called by one thread.

    A read that hangs in a dead share cannot be called back. So its disk is asked before a frame is read;
    only a share that begins to hang in the moment in between still holds up who reads.
    """

    def __init__(self, look: Callable[[Path], None] = ask) -> None:
        self._look = look
        self._looks: dict[Path, _Look] = {}

    @property
    def silent(self) -> list[Path]:
        """Folders that were asked and have not answered yet. Any thread may ask."""
        return [folder for folder, look in list(self._looks.items()) if look.hangs]

    def answers(self, folder: Path) -> bool:
        """Whether it answered within the last seconds, or does so within one."""
        look = self._looks.get(folder)
        if look is None or look.is_old:
            look = self._looks[folder] = _Look(folder, self._look)
        return look.came_back()


class _Look:
    """One question to one folder, under way from when it is made."""

    def __init__(self, folder: Path, look: Callable[[Path], None]) -> None:
        self._began_at, self._ended_at = time.monotonic(), 0.0
        self._thread = threading.Thread(target=self._run, args=(folder, look), name="reach", daemon=True)
        self._thread.start()

    @property
    def hangs(self) -> bool:
        return self._thread.is_alive() and time.monotonic() - self._began_at >= _WAIT_S

    @property
    def is_old(self) -> bool:
        # From its end: a share that takes its time is asked, and answers, all the same.
        return not self._thread.is_alive() and time.monotonic() - self._ended_at > _FRESH_S

    def came_back(self) -> bool:
        self._thread.join(max(0.0, self._began_at + _WAIT_S - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self, folder: Path, look: Callable[[Path], None]) -> None:
        look(folder)
        self._ended_at = time.monotonic()
