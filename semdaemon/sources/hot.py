"""The folders in which frames appear just now, so that a huge share can be polled every second."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Iterable, Iterator

from semdaemon.sources.scan import Found, Rules, listed, walk

MOST_HOT = 24


class HotFolders:
    """Where the newest files lie.

    A whole scan of a share with 100,000 files takes seconds; a microscope writes into a few of its folders.
    Between whole scans only the `MOST_HOT` folders with the newest files are listed, those above them,
    and folders that no scan has met yet.
    """

    def __init__(self) -> None:
        self._newest_ns: dict[str, int] = {}
        self._known: set[str] = {""}

    def scanned(self, folders: set[str]) -> None:
        """Take over the folders that a whole scan entered."""
        self._known = folders
        self._newest_ns = {folder: at for folder, at in self._newest_ns.items() if folder in folders}

    def note(self, files: Iterable[Found]) -> None:
        """Learn from files that were news."""
        for relative, _, mtime_ns in files:
            self._warm(os.path.dirname(relative), mtime_ns)  # noqa: PTH120 (hot path)

    def walk(self, root: str, rules: Rules) -> Iterator[Found]:
        """Frames in the hot folders, and below folders that are new."""
        fresh: list[str] = []
        for folder in sorted(self._with_those_above()):
            inside: list[str] = []
            try:
                with os.scandir(os.path.join(root, folder)) as entries:  # noqa: PTH118 (hot path)
                    yield from listed(entries, folder, rules, inside)
            except OSError:
                continue  # a whole scan says what is wrong with it
            fresh += [below for below in inside if below not in self._known]
        for below in fresh:
            try:
                yield from walk(root, rules, below=below, entered=self._met)
            except OSError:
                continue

    def _met(self, folder: str) -> None:
        # New and perhaps still empty: its files come next.
        self._known.add(folder)
        self._warm(folder, time.time_ns())

    def _warm(self, folder: str, at_ns: int) -> None:
        self._newest_ns[folder] = max(at_ns, self._newest_ns.get(folder, 0))
        if len(self._newest_ns) > 4 * MOST_HOT:
            self._newest_ns = {hot: self._newest_ns[hot] for hot in self._hottest()}

    def _hottest(self) -> list[str]:
        return heapq.nlargest(MOST_HOT, self._newest_ns, key=self._newest_ns.__getitem__)

    def _with_those_above(self) -> set[str]:
        folders = {""}
        for folder in self._hottest():
            while folder and folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)  # noqa: PTH120
        return folders
