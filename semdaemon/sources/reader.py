"""How the pipeline comes from a row of the journal to a frame: one reader for each kind of source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from semdaemon.formats import faults, read_frames
from semdaemon.frame import Frame
from semdaemon.journal import Row
from semdaemon.settings import Folder, Limits
from semdaemon.sources.settle import NotYet, Settled, settle


class FrameReader(Protocol):
    """Settles and reads the frames of one source.

    Called from the scoring thread (`settle`), the refocusing thread and the page's threads
    (`read_again`), at the same time perhaps. What is wrong with a frame is raised as `FrameError`.
    """

    def settle(self, row: Row, now: float, begun: Callable[[], None]) -> Settled | NotYet:
        """The frames of a row that are complete, or when to look again.

        Parameters
        ----------
        now
            Seconds since 1970.
        begun
            To be called once before anything is decoded: it counts the attempt, and raises `FrameError`
            where there were too many.
        """

    def read_again(self, row: Row) -> Frame:
        """The frame of a row that was scored; the caller compares ``content_sha256``."""

    def original(self, row: Row) -> Path | None:
        """The file whose vendor tags an output takes over; None where there is no such file."""

    def saved_at(self, row: Row) -> float:
        """When the frame was complete on disk as far as is known, seconds since 1970."""


def require_inside(path: Path, relative: Path) -> None:
    """Raise ``not_a_file`` where a folder between the root and the file is a link by now."""
    above = path.parents[: len(relative.parts) - 1]
    linked = next((folder for folder in above if folder.is_symlink()), None)
    if linked is not None:
        raise faults.not_a_file(path, f"behind the symbolic link {linked}")


class FileReader:
    """Files that are one frame, or several pages, each: what the folder source finds.

    Parameters
    ----------
    follow_links
        False for acquisition folders: a file, or a folder above it, that became a link since it was seen
        may lead out of the tree, and is a fault.
    """

    def __init__(self, settings: Folder, limits: Limits, *, follow_links: bool = True) -> None:
        self._settings, self._limits, self._follow_links = settings, limits, follow_links

    def settle(self, row: Row, now: float, begun: Callable[[], None]) -> Settled | NotYet:
        """By the rules of section ``folder``; see `semdaemon.sources.settle`."""

        def counted(path: Path, **options: Any) -> list[Frame]:
            begun()
            return self._read(row, **options)

        return settle(row, self._settings, self._limits, now, reader=counted)

    def read_again(self, row: Row) -> Frame:
        return self._read(row, source=row.source, limits=self._limits, only_page=row.page)[0]

    def _read(self, row: Row, **options: Any) -> list[Frame]:
        if not self._follow_links:
            require_inside(row.path, row.relative)
        return read_frames(row.path, follow_links=self._follow_links, **options)

    def original(self, row: Row) -> Path | None:
        return row.path

    def saved_at(self, row: Row) -> float:
        return row.mtime_ns / 1e9
