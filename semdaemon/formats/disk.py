"""A file's bytes, read once, with every way this can fail told apart.

A file is open only while its bytes are copied. Python opens with read and write sharing on Windows,
so an acquisition program can go on writing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from semdaemon.errors import FrameError
from semdaemon.formats import faults

_SHARING_VIOLATION, _LOCK_VIOLATION = 32, 33
_RETRIES, _RETRY_S = 5, 0.05
_LARGE_BYTES, _START_BYTES = 2**26, 512
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


def _open(path: Path) -> BinaryIO:
    return path.open("rb", buffering=0)


def read_bytes(path: Path, max_file_bytes: int, *, opener: Opener = _open) -> FileBytes:
    """All bytes of a file.

    Raises
    ------
    FrameError
        ``not_found``, ``vanished``, ``permission_denied``, ``sharing_violation``, ``is_directory``,
        ``empty_file``, ``too_large``, ``changed_while_reading`` or ``read_error``.
    """
    if path.is_dir():
        raise faults.is_directory(path)
    with _opened(path, opener) as file:
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
