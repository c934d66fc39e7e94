"""What frames are worked by just now; swapped as a whole, and only between two frames."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from semdaemon.fingerprint import Networks, fingerprint_of
from semdaemon.focus import Scorer
from semdaemon.journal import Row
from semdaemon.settings import Focus, Settings
from semdaemon.sources.reader import FileReader, FrameReader


@dataclass(frozen=True)
class InForce:
    """Settings, and what follows from them.

    ``focus`` is that section of the settings with what the weights' card tells filled in.
    ``readers`` holds, by the source's name, who settles and reads its frames; others are plain ``files``.
    ``networks`` are those that are loaded, whatever has become of their files since.
    """

    settings: Settings
    focus: Focus
    scorer: Scorer
    files: FileReader
    readers: Mapping[str, FrameReader]
    networks: Networks

    @property
    def fingerprint(self) -> str:
        """What a result follows from, see `semdaemon.fingerprint`."""
        return fingerprint_of(self.settings, self.networks)

    def reader(self, row: Row) -> FrameReader:
        """Who settles and reads this row's frames."""
        return self.readers.get(row.source, self.files)


class Live:
    """Hands out what is in force; any thread may call.

    A working thread calls `take` between two frames and then sees the same in `now` until it takes again,
    so that no frame is worked half by old settings and half by new ones.
    A thread that never takes sees the newest.
    """

    def __init__(self, first: InForce) -> None:
        self._newest = first
        self._taken = threading.local()

    @property
    def now(self) -> InForce:
        """What this thread works by."""
        taken: InForce = getattr(self._taken, "in_force", self._newest)
        return taken

    @property
    def newest(self) -> InForce:
        """What every thread works by from its next frame on."""
        return self._newest

    def take(self) -> InForce:
        """Go over to the newest; called between two frames."""
        self._taken.in_force = self._newest
        return self._newest

    def swap(self, new: InForce) -> None:
        """Put something new in force, from each thread's next frame on."""
        self._newest = new
