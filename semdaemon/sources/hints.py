"""What events have told of a folder since it was last looked at: paths, or that some were lost."""

from __future__ import annotations

import os
import threading

_MOST_HINTS = 20_000


class Hints:
    """Filled from watchdog's threads, emptied by the one that looks, which they wake up."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._lost = False
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def add(self, path: str, is_folder: bool) -> None:
        """A path to look at; beyond 20,000 they count as lost, and a scan has to find them."""
        with self._lock:
            if len(self._paths) < _MOST_HINTS:
                self._paths.add(path + os.sep if is_folder else path)
            else:
                self._lost = True
        self._wake.set()

    def lose(self) -> None:
        """There is more than the paths tell: scan."""
        with self._lock:
            self._lost = True
        self._wake.set()

    def take(self) -> tuple[set[str], bool]:
        """The paths so far, folders with a separator at their end, and whether some were lost."""
        with self._lock:
            paths, self._paths = self._paths, set()
            lost, self._lost = self._lost, False
        return paths, lost

    def wait(self, timeout_s: float) -> None:
        """Until there is something to take, or `wake`."""
        self._wake.wait(timeout_s)
        self._wake.clear()

    def wake(self) -> None:
        """End the wait without a hint."""
        self._wake.set()
