"""Writes a file as acquisition software does: slowly, and in one of three ways."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import BinaryIO, Literal

from semdaemon.simulate.tiff import Encoded

Mode = Literal["pieces", "preallocate", "rename"]
MODES: tuple[Mode, ...] = ("pieces", "preallocate", "rename")

_PIECE_S = 0.05
SIDECAR_DELAY_S = 0.3
"""A sidecar is written a moment later than its picture."""


def write_slowly(
    path: Path,
    encoded: Encoded,
    *,
    write_s: float = 1.0,
    mode: Mode = "pieces",
    stop: threading.Event | None = None,
) -> None:
    """Write one file over ``write_s`` seconds.

    Parameters
    ----------
    mode
        ``pieces`` grows the file; ``preallocate`` makes it full size first (zeros) and fills it from the top;
        ``rename`` writes beside it under a name ending in ``.part`` and renames at the end.
    stop
        Once set, the rest is written without waiting; the file is complete in every case.

    Raises
    ------
    OSError
        As the file system says it.
    """
    if mode == "rename":
        part = path.with_name(path.name + ".part")
        _write(part, encoded, write_s, stop, full_size_first=False)
        part.replace(path)
        return
    _write(path, encoded, write_s, stop, full_size_first=mode == "preallocate")


def write_sidecar(
    path: Path, text: str, *, delay_s: float = SIDECAR_DELAY_S, stop: threading.Event | None = None
) -> None:
    """Write the file beside a picture, ``delay_s`` after it."""
    _pause(delay_s, stop)
    path.write_bytes(text.encode("cp1252"))


def _write(
    path: Path, encoded: Encoded, write_s: float, stop: threading.Event | None, *, full_size_first: bool
) -> None:
    with path.open("wb", buffering=0) as file:
        if full_size_first:
            file.truncate(len(encoded.data))
        file.write(encoded.header_while_writing)
        _fill(file, encoded.data, write_s, stop)
        if not encoded.directory_first:
            file.seek(0)
            file.write(encoded.data[:8])
        os.fsync(file.fileno())


def _fill(file: BinaryIO, data: bytes, write_s: float, stop: threading.Event | None) -> None:
    pieces = max(1, round(write_s / _PIECE_S))
    ends = [8 + (len(data) - 8) * (number + 1) // pieces for number in range(pieces)]
    began, start = time.monotonic(), 8
    for number, end in enumerate(ends):
        file.write(data[start:end])
        start = end
        _pause(began + write_s * (number + 1) / pieces - time.monotonic(), stop)


def _pause(seconds: float, stop: threading.Event | None) -> None:
    if seconds <= 0:
        return
    if stop is None:
        time.sleep(seconds)
    else:
        stop.wait(seconds)
