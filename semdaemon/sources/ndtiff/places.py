"""Where frames stand in their files, as far as somebody walked there."""

from __future__ import annotations

import threading
from array import array
from pathlib import Path

from semdaemon.formats.stack import Directory, Header, StackFile


class Places:
    """Offsets of directories by file and frame number: what the followers found, for the readers.

    Eight bytes a frame. Any thread may call.
    """

    def __init__(self) -> None:
        self._known: dict[Path, array[int]] = {}
        self._lock = threading.Lock()

    def note(self, path: Path, number: int, offset: int) -> None:
        """Frame ``number`` stands at ``offset``; numbers come in order."""
        with self._lock:
            offsets = self._known.setdefault(path, array("Q"))
            if number == len(offsets):
                offsets.append(offset)

    def forget(self, path: Path) -> None:
        """The file is another one now."""
        with self._lock:
            self._known.pop(path, None)

    def find(self, file: StackFile, header: Header, number: int) -> Directory | None:
        """The directory of a frame, walked to from the last known one; None where the chain ends before.

        Raises
        ------
        OSError
            The file cannot be read.
        """
        with self._lock:
            offsets = self._known.get(file.path, array("Q"))
            at = offsets[number] if number < len(offsets) else None
            start = (len(offsets) - 1, offsets[-1]) if offsets else (0, header.first)
        if at is not None and (found := file.directory(at, header.byteorder)) is not None:
            return found
        if at is not None:
            self.forget(file.path)
            start = (0, header.first)
        return self._walk(file, header, number, *start)

    def _walk(self, file: StackFile, header: Header, wanted: int, number: int, at: int) -> Directory | None:
        found = file.directory(at, header.byteorder)
        while found is not None:
            self.note(file.path, number, found.offset)
            if number == wanted:
                return found
            if found.follows <= found.offset:
                return None  # closed, or a loop
            number, found = number + 1, file.directory(found.follows, header.byteorder)
        return None
