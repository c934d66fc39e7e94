"""The ndtiff source: every frame of every stack that grows below its folders, or is handed over."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from semdaemon.settings import Folder, NDTiff
from semdaemon.sources.folder import FolderSource
from semdaemon.sources.ndtiff.names import PATTERNS, PYRAMID, SOURCE, is_reduced_copy, may_be_stack
from semdaemon.sources.ndtiff.places import Places
from semdaemon.sources.ndtiff.tail import Tail, looks_like_stack
from semdaemon.sources.source import Deliver, RootHealth, Sighting, SourceHealth


class NDTiffSource:
    """Follows NDTiff datasets and Micro-Manager's OME-TIFF stacks; never writes to them.

    Parameters
    ----------
    settings
        Section ``ndtiff``; its folders are datasets, or folders in which datasets appear.
    excluded
        Folders of the daemon's own (output, state).
    """

    name = SOURCE

    def __init__(self, settings: NDTiff, excluded: Sequence[Path] = ()) -> None:
        self.places = Places()
        self._settings = settings
        self._finder = FolderSource(_discovery(settings), excluded)
        self._own = tuple(root.path for root in self._finder.health().roots)
        self._tails: dict[Path, Tail] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._deliver: Deliver | None = None

    def start(self, deliver: Deliver) -> None:
        """Begin to look; ``deliver`` is called from one thread a folder."""
        self._deliver = deliver
        self._finder.start(self._found)

    def stop(self) -> None:
        """End every thread."""
        self._finder.stop()
        with self._lock:
            self._stopped = True
            tails = list(self._tails.values())
        for tail in tails:
            tail.stop()

    def wake(self) -> None:
        """Look at every folder and every stack now."""
        self._finder.wake()
        for tail in list(self._tails.values()):
            tail.wake()

    def adopt(self, sighting: Sighting) -> bool:
        """Take a file over from another source, where it is a stack; True where it is none of that one's.

        Called from that source's threads for every file that it sees, so it looks at the name first.
        """
        if not may_be_stack(sighting.path.name) or not looks_like_stack(sighting.path):
            return False
        if not any(root in sighting.path.parents for root in self._own):
            self._follow(sighting)
        return True

    def health(self) -> SourceHealth:
        """What it follows; the source is well when all folders are there and all stacks can be read."""
        own = self._finder.health()
        tails = dict(self._tails)
        roots = [self._with_stacks(root, tails.pop(root.path, None)) for root in own.roots]
        roots += [_of_tail(tail) for tail in tails.values()]
        details = [root.detail for root in roots if root.detail]
        return replace(
            own,
            name=self.name,
            ok=all(root.ok for root in roots),
            detail="; ".join(details) or "no stack",
            watching="polling" if not own.roots else own.watching,
            roots=tuple(roots),
        )

    def _found(self, sightings: Sequence[Sighting]) -> None:
        for sighting in sightings:
            if looks_like_stack(sighting.path):
                self._follow(sighting)

    def _follow(self, sighting: Sighting) -> None:
        relative = sighting.relative
        root = sighting.path.parents[len(relative.parts) - 1]
        if is_reduced_copy(relative):
            return
        if len(relative.parts) == 1:
            relative = root.name / relative  # the folder given is the dataset: its name tells outputs apart
        self._tail(root).follow(sighting.path, relative)

    def _tail(self, root: Path) -> Tail:
        with self._lock:
            if self._deliver is None:
                raise RuntimeError("the ndtiff source takes files over once it was started")
            if root not in self._tails:
                self._tails[root] = Tail(root, self._settings, self.places, self._deliver)
                if not self._stopped:
                    self._tails[root].start()
            return self._tails[root]

    @staticmethod
    def _with_stacks(root: RootHealth, tail: Tail | None) -> RootHealth:
        if tail is None:
            return root
        told = _of_tail(tail)
        detail = "; ".join(text for text in (root.detail, told.detail) if text)
        return replace(root, ok=root.ok and told.ok, detail=detail, files=told.files)


def _discovery(settings: NDTiff) -> Folder:
    """Stacks are found as files are: by scans, with events as a wake-up."""
    return Folder(
        folders=settings.folders,
        patterns=PATTERNS,
        ignore=(*Folder().ignore, PYRAMID),
        backlog=settings.backlog,
        rescan_s=settings.rescan_s,
        poll_s=settings.rescan_s,
        settle_s=0,
    )


def _of_tail(tail: Tail) -> RootHealth:
    problems = tail.problems()
    return RootHealth(
        path=tail.root,
        ok=not problems,
        detail="; ".join(problems + tail.remarks()),
        watching="polling",
        files=tail.stacks,
    )
