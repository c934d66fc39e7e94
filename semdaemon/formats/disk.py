"""A file's bytes, read once, with every way this can fail told apart.

A file is open only while its bytes are copied. Python opens with read and write sharing on Windows,
so an acquisition program can go on writing. Only regular files are opened: a pipe with an image's name
would hold its reader for ever, and a device may do something when it is opened.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

from semdaemon.errors import FrameError
from semdaemon.formats import faults

_SHARING_VIOLATION, _LOCK_VIOLATION = 32, 33
_RETRIES, _RETRY_S = 5, 0.05
_LARGE_BYTES, _START_BYTES = 2**26, 512
_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NOCTTY", "O_NONBLOCK")
)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_GONE = {errno.ENOENT, errno.ESTALE} if hasattr(errno, "ESTALE") else {errno.ENOENT}

Opener = Callable[[Path], BinaryIO]


@dataclass(frozen=True)
class FileBytes:
    """What a file held when it was read."""

    path: Path
    data: bytes

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class NotRegularError(OSError):
    """What has the name of a file is a link, a pipe, a device or a socket."""


def open_regular(path: Path, *, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading; never waits for a writer, never opens a device.

    Raises
    ------
    NotRegularError
        It is none, or a symbolic link where those are not followed.
    OSError
        As the system says it.
    """
    _require_regular(path, path.stat(follow_symlinks=follow_links))
    # It may be another one by now: opened without waiting and looked at again.
    handle = os.open(path, _FLAGS if follow_links else _FLAGS | _NO_LINKS)
    try:
        _require_regular(path, os.fstat(handle))
        return os.fdopen(handle, "rb", buffering=0)
    except BaseException:
        os.close(handle)
        raise


def _require_regular(path: Path, about: os.stat_result) -> None:
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(about.st_mode):
        raise NotRegularError(errno.EINVAL, _KINDS.get(stat.S_IFMT(about.st_mode), "no file"), str(path))


def read_bytes(
    path: Path, max_file_bytes: int, *, opener: Opener | None = None, follow_links: bool = True
) -> FileBytes:
    """All bytes of a file.

    Raises
    ------
    FrameError
        ``not_found``, ``vanished``, ``permission_denied``, ``sharing_violation``, ``is_directory``,
        ``not_a_file``, ``empty_file``, ``too_large``, ``changed_while_reading`` or ``read_error``.
    """
    with _opened(path, opener or partial(open_regular, follow_links=follow_links)) as file:
        try:
            return FileBytes(path, _copy(path, file, max_file_bytes))
        except OSError as error:
            raise faults.vanished(path) if error.errno in _GONE else faults.read_error(path, error) from error


def _opened(path: Path, opener: Opener) -> BinaryIO:
    for attempt in range(_RETRIES + 1):
        try:
            return opener(path)
        except OSError as error:
            if not _is_sharing(error):
                raise _open_fault(path, error) from error
        if attempt < _RETRIES:
            time.sleep(_RETRY_S)
    raise faults.sharing_violation(path)


def _is_sharing(error: OSError) -> bool:
    return getattr(error, "winerror", None) in (_SHARING_VIOLATION, _LOCK_VIOLATION)


def _open_fault(path: Path, error: OSError) -> FrameError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) or error.errno in _GONE:
        return faults.not_found(path)
    if isinstance(error, IsADirectoryError):
        return faults.is_directory(path)
    if isinstance(error, NotRegularError):
        return faults.not_a_file(path, error.strerror or "no file")
    if error.errno == errno.ELOOP:  # it became a link after it was looked at, or links lead in a circle
        return faults.not_a_file(path, "a symbolic link")
    if isinstance(error, PermissionError):
        return faults.permission_denied(path)
    return faults.read_error(path, error)


def _copy(path: Path, file: BinaryIO, max_file_bytes: int) -> bytes:
    before = os.fstat(file.fileno())
    if before.st_size == 0:
        raise faults.empty_file(path)
    if before.st_size > max_file_bytes:
        raise faults.too_large(path, f"{before.st_size:,} bytes; at most {max_file_bytes:,} are read")
    _refuse_hole(path, file, before.st_size)
    data = file.read(before.st_size)
    while len(data) < before.st_size:
        more = file.read(before.st_size - len(data))
        if not more:
            break
        data += more
    after = os.fstat(file.fileno())
    if len(data) != before.st_size or _stamp(after) != _stamp(before):
        raise faults.changed(path)
    return data


def _refuse_hole(path: Path, file: BinaryIO, size: int) -> None:
    """A large file that begins with nothing was made to its size and not filled: nothing is to be read."""
    if size < _LARGE_BYTES:
        return
    start = file.read(_START_BYTES)
    if start and not any(start):
        raise faults.not_an_image(path, start)
    file.seek(0)


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    # Windows updates st_mtime of an open file lazily; the size is then what tells.
    return (stat.st_size, 0 if sys.platform == "win32" else stat.st_mtime_ns)
