"""Where refocused frames are saved, and what happens while that does not work.

A full, read-only or missing disk is no fault of a frame: the frame waits, the fault is told once,
the place is tried with a small file before another frame is refocused for it, and the end is told too.
What one output's path alone is refused, while the place takes others, is that frame's fault.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.focus import FocusMap
from semdaemon.formats.leftovers import temporary_for
from semdaemon.formats.names import SUFFIX, read_provenance
from semdaemon.formats.output import claim_output_path, write_refocused
from semdaemon.frame import Frame
from semdaemon.mounts import mount_of
from semdaemon.settings import Output
from semdaemon.standing import StandingFault
from semdaemon.worker import WorkerAnswer

_PROBE_BYTES = 65_536
_MOST_CLAIMS = 20
_OF_THE_NAME = frozenset({errno.ENAMETOOLONG, errno.EILSEQ})
_OF_ROOM = frozenset(getattr(errno, name, -1) for name in ("ENOSPC", "EDQUOT", "EROFS", "ENODEV"))
"""What goes on only when there is room, or the disk is back: waited for, however long."""
_OF_A_DISK = _OF_ROOM | frozenset(
    getattr(errno, name, -1)
    for name in (
        "EIO", "ENXIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN",
        "ENETUNREACH", "ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EMFILE", "ENFILE", "ENOMEM", "EINTR",
        "EAGAIN",
    )
)  # fmt: skip
"""What another name would hardly help against."""
_MOST_REFUSALS, _MOST_REMEMBERED = 3, 256
_TRIED_AGAIN_AFTER_S = (0.2, 2.0)
"""A path that is refused for itself may be so for a moment: a folder that is being moved, a scanned file."""
_log = structlog.get_logger("semdaemon.outputs")


@dataclass(frozen=True, slots=True)
class Saved:
    """Where an output was written; ``replaced`` is true where an earlier one of the same frame was there.

    Of the same bytes, that is: a file that was overwritten is another frame, which nobody was told of.
    """

    path: Path
    replaced: bool


class Outputs:
    """Saves refocused frames; `save` and `ready` are called by the refocusing thread alone.

    Parameters
    ----------
    told
        Called once with a fault that stands; a way to publish it.
    sleep
        Called with the seconds between tries of one path.
    """

    def __init__(
        self,
        told: Callable[[SemdaemonError], None],
        standing: StandingFault | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._told, self._standing, self._sleep = told, standing or StandingFault(), sleep
        self._mounted: dict[Path, str] = {}
        self._saved = 0
        self._refusals: dict[str, tuple[int, int]] = {}  # by URI: how often, and outputs saved until then
        self._needed_bytes = 0

    @property
    def fault(self) -> str:
        """What is wrong with the place just now; empty where nothing is. Any thread may ask."""
        return self._standing.text

    def ready(self, settings: Output) -> bool:
        """Whether refocusing a frame is worth it: its output could be saved."""
        if not self._standing.text:
            return True
        if not self._standing.due:
            return False
        try:
            self._probe(settings.folder)
        except OSError as error:
            self.refused(settings.folder, error)
            return False
        return True

    def save(
        self,
        settings: Output,
        relative: Path,
        frame: Frame,
        focus: FocusMap,
        answer: WorkerAnswer,
        provenance: Mapping[str, Any],
        original: Path | None,
    ) -> Saved:
        """Write an output; returns where.

        Raises
        ------
        FrameError
            A fault of this frame's path, where the output folder takes other files:
            ``output_name_refused``, ``output_names_taken``, ``output_path_refused``, ``outside_output``.
        OSError
            The place does not take it: see `refused`.
        """
        self._needed_bytes = 4 * frame.pixels.nbytes
        write = partial(
            write_refocused,
            frame=frame,
            refocused=answer.pixels,
            mask=answer.mask,
            focus=focus,
            provenance=provenance,
            compression=settings.compression,
            keep_original_page=settings.keep_original_page,
            source_path=original,
        )
        pauses_s = iter(_TRIED_AGAIN_AFTER_S)
        while True:
            try:
                return self._try(settings.folder, relative, frame, write)
            except OSError as error:
                if error.errno is None or error.errno in _OF_A_DISK:
                    if self._is_alone(frame, error):
                        raise _path_refused(settings.folder / relative.parent, frame, error) from error
                    raise
                self._probe(settings.folder)  # raises where the place takes nothing else either
                pause_s = next(pauses_s, None)
                if pause_s is None:
                    raise _path_refused(settings.folder / relative.parent, frame, error) from error
            self._sleep(pause_s)

    def _try(self, folder: Path, relative: Path, frame: Frame, write: Callable[[Path], object]) -> Saved:
        self._require_mounted(folder)
        for _ in range(_MOST_CLAIMS):
            path = claim_output_path(folder, relative, frame.page, frame.uri)
            replaced = _is_of(path, frame)
            try:
                write(path)
            except FileExistsError as error:
                if error.errno != errno.EEXIST or not path.parent.is_dir():
                    raise  # a file where a folder should be
                continue  # somebody else took that name in the meantime
            except OSError as error:
                if error.errno in _OF_THE_NAME:
                    raise _name_refused(path, frame, error) from error
                raise
            self._accepted(folder)
            self._saved += 1
            self._refusals.pop(frame.uri, None)
            return Saved(path, replaced)
        raise OSError(errno.EEXIST, "no free name", str(path))

    def _is_alone(self, frame: Frame, error: OSError) -> bool:
        """Refused again and again while others were saved in between: a bad sector, say, not a bad disk."""
        if error.errno is None or error.errno in _OF_ROOM:
            return False
        tries, saved = self._refusals.pop(frame.uri, (0, -1))
        tries += self._saved > saved
        if tries >= _MOST_REFUSALS:
            return True
        self._refusals[frame.uri] = (tries, self._saved)
        while len(self._refusals) > _MOST_REMEMBERED:
            del self._refusals[next(iter(self._refusals))]
        return False

    def refused(self, folder: Path, error: OSError) -> None:
        """The place did not take an output, or a probe: tell it, once."""
        # Not str(error): temporary names differ from one try to the next.
        why = error.strerror or "only a part was taken (is it full?)"  # as numpy tells a short write
        fault = f"{folder} cannot be written: {why}"
        if self._standing.stands(fault):
            remedy = "Free space, mount it or restore permissions; refocusing goes on by itself."
            _log.error("output refused", folder=str(folder), error=fault, remedy=remedy)
            self._told(SemdaemonError("output_unwritable", f"{fault}.", remedy=remedy))

    def nothing_waits(self, folder: Path) -> None:
        """After `ready`, where no frame is left to be saved: its probe is the end of what was wrong.

        While frames wait only a saved one is: a probe does not notice everything (a quota, say).
        """
        self._over(folder)

    def _accepted(self, folder: Path) -> None:
        if folder not in self._mounted:
            self._mounted[folder] = mount_of(folder).point
        self._over(folder)

    def _over(self, folder: Path) -> None:
        lasted_s = self._standing.over()
        if lasted_s is not None:
            _log.warning("output can be written again", folder=str(folder), after_s=round(lasted_s, 1))

    def _require_mounted(self, folder: Path) -> None:
        """An output disk that was unmounted must not become a folder on the system's disk."""
        point = self._mounted.get(folder)
        if point and not os.path.ismount(point):
            raise OSError(errno.ENODEV, f"{point} is not mounted any more")

    def _probe(self, folder: Path) -> None:
        """Write a little and take it away again; raises OSError where that, or the space, is not there."""
        self._require_mounted(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < self._needed_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with temporary_for(folder / f"probe{SUFFIX}") as path, path.open("wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())


def _is_of(path: Path, frame: Frame) -> bool:
    original = (read_provenance(path) or {}).get("original")
    return isinstance(original, dict) and original.get("sha256") == frame.content_sha256


def _name_refused(path: Path, frame: Frame, error: OSError) -> FrameError:
    return FrameError(
        "output_name_refused",
        f"{frame.uri}: its output's name {path} is none that the output's file system takes: "
        f"{error.strerror or error}.",
        remedy="Choose a shorter output folder, or shorter folder names for the acquisition.",
    )


def _path_refused(folder: Path, frame: Frame, error: OSError) -> FrameError:
    return FrameError(
        "output_path_refused",
        f"{frame.uri}: its output cannot be written to {folder}, though the output folder takes other files: "
        f"{error.strerror or error}.",
        remedy="Look for a file in the place of a folder, for permissions, and for letters that this disk's "
        "names cannot have; then 'semdaemon requeue' tries the frame again.",
    )
