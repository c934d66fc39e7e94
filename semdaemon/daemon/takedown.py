"""What is undone at the end, last first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

_PATIENCE_S, _HURRIED_S = 5.0, 0.5
_log = structlog.get_logger("semdaemon.daemon")


class Takedown:
    """Steps collected while parts come up; one that fails or never comes back hinders none of the others."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def add(self, part: str, undo: Callable[[], None]) -> None:
        """Remember how a part is taken down."""
        self._steps.append((part, undo))

    def run(self, hurried: Callable[[], bool]) -> list[str]:
        """Take everything down; returns the parts that hang and were left behind. Safe to call twice.

        Parameters
        ----------
        hurried
            True from when on nobody wants to wait for a part that hangs.
        """
        stuck = []
        while self._steps:
            part, undo = self._steps.pop()
            thread = threading.Thread(target=_undo, args=(part, undo), name=f"stop {part}", daemon=True)
            thread.start()
            if not _ended(thread, hurried):
                _log.error("part does not stop and is left behind", part=part)
                stuck.append(part)
        return stuck


def _ended(thread: threading.Thread, hurried: Callable[[], bool]) -> bool:
    began = time.monotonic()
    while time.monotonic() - began < (_HURRIED_S if hurried() else _PATIENCE_S):
        thread.join(0.05)
        if not thread.is_alive():
            return True
    return False


def _undo(part: str, undo: Callable[[], None]) -> None:
    try:
        undo()
    except Exception as error:  # noqa: BLE001 - the thread's edge: told, the other parts still come down
        _log.error("part did not stop cleanly", part=part, error=str(error))
