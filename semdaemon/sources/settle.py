"""Whether a file is complete: by its content, not by events.

Complete means: size and time unchanged for ``settle_s``, everything in it decodes, its last rows are not the
untouched constant of a preallocated file, and its sidecar is there where one is expected.
Nothing here waits, and nothing remembers: what is known stands in the journal's row.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from semdaemon.errors import FrameError
from semdaemon.formats import read_frames, sidecar_path, tail_is_uniform
from semdaemon.frame import Frame
from semdaemon.settings import Folder, Limits

_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.1, 2.0
_ROOT_RETRY_S = 2.0

# What a file looks like that a program has begun and not yet filled: no fault before its time is up.
_EARLY = frozenset({"empty_file", "not_an_image", "broken_ifd", "constant", "zero_sized", "nan_pixels"})
_GONE = frozenset({"not_found", "vanished"})


class WaitingFile(Protocol):
    """What must be known of a file; a journal `Row` is one.

    ``noticed_at`` is when this size and time were first seen (seconds since 1970).
    """

    @property
    def source(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def relative(self) -> Path: ...
    @property
    def page(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...
    @property
    def noticed_at(self) -> float: ...


class Reader(Protocol):
    """`semdaemon.formats.read_frames`, or what stands in for it."""

    def __call__(
        self, path: Path, *, source: str, uri: str | None, limits: Limits, sidecar: str, only_page: int | None
    ) -> list[Frame]: ...


@dataclass(frozen=True, slots=True)
class Settled:
    """The file is complete: its frames, first page first."""

    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class NotYet:
    """Not complete: look again at ``retry_at`` (seconds since 1970).

    ``size_bytes`` and ``mtime_ns`` are what the file has now, for `Journal.hold`.
    """

    reason: str
    retry_at: float
    detail: str = ""
    size_bytes: int | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at one file."""

    file: WaitingFile
    settings: Folder
    now: float

    @property
    def unchanged_s(self) -> float:
        """How long size and time are known to be the same; a clock that was set back counts as long ago."""
        since_s = self.now - self.file.noticed_at
        return since_s if since_s >= -1.0 else float("inf")

    def not_yet(self, reason: str, until_unchanged_s: float, detail: str = "") -> NotYet:
        retry_at = max(self.file.noticed_at + until_unchanged_s, self.now + 0.01)
        return NotYet(reason, retry_at, detail, self.file.size_bytes, self.file.mtime_ns)

    def again(self, error: FrameError, patience_s: float) -> NotYet:
        """Back off: as long again as it has been waiting, a tenth to two seconds, and once at the end."""
        wait_s = min(max(self.unchanged_s, _FIRST_RETRY_S), _LONGEST_RETRY_S)
        wait_s = min(wait_s, max(patience_s - self.unchanged_s, 0.0) + 0.01)
        return NotYet(error.code, self.now + wait_s, error.message, self.file.size_bytes, self.file.mtime_ns)


def settle(
    file: WaitingFile,
    settings: Folder,
    limits: Limits,
    now: float,
    *,
    reader: Reader = read_frames,
    stat_of: Callable[[Path], os.stat_result] = os.stat,
) -> Settled | NotYet:
    """Look at one file that a source saw.

    Parameters
    ----------
    now
        Seconds since 1970.
    reader, stat_of
        Stand-ins for tests; a reader may also count attempts, for it is called only for a file that settled.

    Raises
    ------
    FrameError
        The file cannot be read and no patience is left, or never can be; ``vanished`` where it is gone.
    """
    look = _Look(file, settings, now)
    about = file_about(file, stat_of)
    if isinstance(about, NotYet):
        return replace(about, retry_at=now + _ROOT_RETRY_S)
    if stat.S_ISDIR(about.st_mode):
        raise _is_folder(file.path)
    if (early := _changed(look, about) or _waits_for_time(look) or _waits_for_sidecar(look)) is not None:
        return early
    try:
        frames = reader(
            file.path,
            source=file.source,
            uri=file.uri.partition("#page=")[0],
            limits=limits,
            sidecar=settings.sidecar,
            only_page=file.page or None,
        )
    except FrameError as error:
        return _patience(look, error, stat_of)
    return _accepted(look, tuple(frames), stat_of)


def _accepted(
    look: _Look, frames: tuple[Frame, ...], stat_of: Callable[[Path], os.stat_result]
) -> Settled | NotYet:
    about = file_about(look.file, stat_of)
    if isinstance(about, NotYet):
        return replace(about, retry_at=look.now + _ROOT_RETRY_S)
    if (torn := _changed(look, about)) is not None:
        return torn
    patience_s = look.settings.settle_s + look.settings.hold_s
    if look.unchanged_s < patience_s and any(tail_untouched(frame) for frame in frames):
        return look.not_yet("uniform_tail", patience_s, "its last rows are one constant")
    return Settled(frames)


def tail_untouched(frame: Frame) -> bool:
    """Whether the frame's end looks like a preallocated file's: one constant down to the last row.

    A vendor's data bar that has something in it was written last, so everything above it is there.
    """
    below = frame.pixels[frame.image_area.bottom :]
    if below.size and (below != below.flat[0]).any():
        return False
    return tail_is_uniform(frame.pixels)


def file_about(file: WaitingFile, stat_of: Callable[[Path], os.stat_result]) -> os.stat_result | NotYet:
    try:
        return stat_of(file.path)
    except FileNotFoundError as error:
        if _root_is_there(file):
            raise _vanished(file.path) from error
        return NotYet("source_gone", 0.0, f"the folder above {file.path} cannot be reached")
    except NotADirectoryError as error:
        raise _vanished(file.path) from error
    except OSError as error:
        # A share that is down answers with many codes; its files are not lost.
        return NotYet("source_gone", 0.0, f"{file.path} cannot be reached: {error.strerror or error}")


def _root_is_there(file: WaitingFile) -> bool:
    root = file.path.parents[max(0, len(file.relative.parts) - 1)]
    return root.is_dir()


def _changed(look: _Look, about: os.stat_result) -> NotYet | None:
    if (about.st_size, about.st_mtime_ns) == (look.file.size_bytes, look.file.mtime_ns):
        return None
    retry_at = look.now + look.settings.settle_s
    return NotYet("still_changing", retry_at, "", about.st_size, about.st_mtime_ns)


def _waits_for_time(look: _Look) -> NotYet | None:
    if look.unchanged_s >= look.settings.settle_s:
        return None
    return look.not_yet("still_changing", look.settings.settle_s)


def _waits_for_sidecar(look: _Look) -> NotYet | None:
    kind = look.settings.sidecar
    if kind not in ("hdr", "txt") or look.unchanged_s >= look.settings.sidecar_wait_s:
        return None
    expected = sidecar_path(look.file.path, kind)
    if expected is None or _has_bytes(expected):
        return None
    retry_at = min(look.now + 0.25, look.file.noticed_at + look.settings.sidecar_wait_s)
    waits = look.not_yet("sidecar_awaited", 0.0, f"{expected.name} is not there yet")
    return replace(waits, retry_at=retry_at)


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _patience(look: _Look, error: FrameError, stat_of: Callable[[Path], os.stat_result]) -> NotYet:
    """Another look later, or the fault itself where time is up or would not help."""
    if error.code in _GONE:
        about = file_about(look.file, stat_of)  # raises vanished where it is gone
        if isinstance(about, NotYet):
            return replace(about, retry_at=look.now + _ROOT_RETRY_S)
        return look.again(error, _LONGEST_RETRY_S)
    patience_s = _patience_s(look.settings, error)
    if look.unchanged_s < patience_s:
        return look.again(error, patience_s)
    raise error


def _patience_s(settings: Folder, error: FrameError) -> float:
    if error.may_heal:
        return settings.give_up_s
    return settings.settle_s + settings.hold_s if error.code in _EARLY else 0.0


def _vanished(path: Path) -> FrameError:
    return FrameError(
        "vanished",
        f"{path} was seen and went away before it was read.",
        remedy="It was moved, renamed or deleted; where it lies in an acquisition folder it is seen again.",
    )


def _is_folder(path: Path) -> FrameError:
    return FrameError(
        "is_directory",
        f"{path} is a folder with an image's name; a file was expected.",
        remedy="Rename the folder, or add its name to 'ignore' in [folder].",
    )
