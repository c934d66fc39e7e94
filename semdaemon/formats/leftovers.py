"""Temporary files: hidden names that tell whose they are, so that leftovers can be told from work."""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_NAME = re.compile(r"\..*\.refocused\.(tif|json)\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]+\.tmp")
_ABANDONED_S = 3600.0
_CLOCKS_AGREE_S = 2.0
_in_use: set[str] = set()


def temporary_path(path: Path) -> Path:
    """A hidden name in the same folder, with host and process in it."""
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


@contextmanager
def temporary_for(path: Path) -> Iterator[Path]:
    """A temporary name that is gone when the block ends, whatever happened."""
    temporary = temporary_path(path)
    _in_use.add(temporary.name)
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _in_use.discard(temporary.name)


def is_temporary(name: str) -> bool:
    """Whether a file's name is one of `temporary_path`."""
    return _NAME.fullmatch(name) is not None


def clean_leftovers(folder: Path, *, recursive: bool = True) -> list[Path]:
    """Remove what interrupted writes left below a folder; returns what was removed.

    Left alone: temporary files of a process of this machine that is alive, and those of other machines
    younger than an hour.
    """
    removed = []
    for path in _temporaries(folder, recursive):
        with suppress(OSError):
            if _is_abandoned(path):
                path.unlink()
                removed.append(path)
    return removed


def _temporaries(folder: Path, recursive: bool) -> Iterator[Path]:
    pattern = ".*.refocused.*.tmp"
    try:
        yield from folder.rglob(pattern) if recursive else folder.glob(pattern)
    except OSError:
        return


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _is_abandoned(path: Path) -> bool:
    found = _NAME.fullmatch(path.name)
    if found is None:
        return False
    if found["host"] != _host():
        return time.time() - path.stat().st_mtime > _ABANDONED_S
    pid = int(found["pid"])
    if pid == os.getpid():
        return path.name not in _in_use  # in a container every run has the same number
    return not _is_writer(pid, path.stat().st_mtime)


def _is_writer(pid: int, written_at: float) -> bool:
    """Whether a process lives that may have written then, and not one that only got its number since."""
    try:
        return bool(psutil.Process(pid).create_time() <= written_at + _CLOCKS_AGREE_S)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
