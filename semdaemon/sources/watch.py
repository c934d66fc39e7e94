"""Events of the operating system about a folder. They wake the scan up and never replace it."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

# watchdog 7.1.0 writes megabytes of this in folder races; nothing is lost by it that a scan does not find.
warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning)

# Linux tells when a file is closed; being told of every write as well would only overflow the queue.
_EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileClosedEvent if sys.platform == "linux" else FileModifiedEvent,
]


class Watch:
    """Events about one folder until `close`.

    Parameters
    ----------
    changed
        Called with the path and whether it is a folder, from a thread of watchdog's.
    overflowed
        Called where the system said that it dropped events.

    Raises
    ------
    OSError
        Where the system cannot watch (too many watches, a file system without events).
    """

    def __init__(
        self,
        root: Path,
        *,
        recursive: bool,
        changed: Callable[[str, bool], None],
        overflowed: Callable[[], None],
    ) -> None:
        self._overflow = _OverflowLog(overflowed)
        self._observer = Observer()
        try:
            self._observer.schedule(_Handler(changed), str(root), recursive=recursive, event_filter=_EVENTS)
            self._observer.start()
        except BaseException:
            self._observer.stop()
            raise
        logging.getLogger("watchdog").addHandler(self._overflow)

    @property
    def alive(self) -> bool:
        """False once watchdog gave up, which it does silently when the folder is removed."""
        emitters = list(self._observer.emitters)
        return self._observer.is_alive() and bool(emitters) and all(each.is_alive() for each in emitters)

    def close(self) -> None:
        """End its threads."""
        logging.getLogger("watchdog").removeHandler(self._overflow)
        self._observer.stop()
        self._observer.join(5.0)


class _Handler(FileSystemEventHandler):
    def __init__(self, changed: Callable[[str, bool], None]) -> None:
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._changed(os.fsdecode(event.dest_path or event.src_path), event.is_directory)


class _OverflowLog(logging.Handler):
    """watchdog tells of an overflow in its log alone."""

    def __init__(self, overflowed: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._overflowed = overflowed

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._overflowed()
