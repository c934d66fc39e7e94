"""What is undone at the end, last first."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from semdaemon.errors import SemdaemonError

_log = structlog.get_logger("semdaemon.daemon")


class Takedown:
    """Steps collected while parts come up; one that fails hinders none of the others."""

    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def add(self, part: str, undo: Callable[[], None]) -> None:
        """Remember how a part is taken down."""
        self._steps.append((part, undo))

    def run(self) -> None:
        """Take everything down. Safe to call twice."""
        while self._steps:
            part, undo = self._steps.pop()
            try:
                undo()
            except (SemdaemonError, OSError, RuntimeError) as error:
                _log.error("part did not stop cleanly", part=part, error=str(error))
