"""TIFF stacks that grow: NDTiff and Micro-Manager's own OME-TIFF, walked directory by directory.

Both are made to their full size (4 GiB) before the first frame and cut at the end, so neither size nor time
says anything. Directory n names the place of directory n + 1 before that one is written; nothing there means
"not yet". Within a frame the directory comes first, then pixels, then the metadata (JSON in tag 51123):
a frame is complete when its metadata parse. Only the directories and metadata are read, never a hole.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

from semdaemon.formats.disk import open_regular
from semdaemon.formats.ifd import decode_text

METADATA_TAG = 51123
_WIDTH, _STRIP_OFFSETS, _STRIP_BYTES = 256, 273, 279
# What stays as it was written; Micro-Manager fills in other entries of the first directory at the end.
_LASTING = (_WIDTH, 257, 258, _STRIP_OFFSETS, _STRIP_BYTES, METADATA_TAG)
_NDTIFF, _SUMMARY = 483729, 2355492
_HEAD_BYTES = 40
_MOST_ENTRIES = 64
_MOST_METADATA_BYTES = 2**26
_ENTRY = 12
# Bytes of one value by TIFF data type.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I"}

Kind = Literal["ndtiff", "micromanager"]
_NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Header:
    """The start of a stack.

    Attributes
    ----------
    byteorder
        ``<`` or ``>``.
    first
        Where the first directory is or will be, bytes from the start.
    summary
        What Micro-Manager says about the acquisition as a whole.
    """

    kind: Kind
    byteorder: str
    first: int
    version: str
    summary: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a directory: its value's place in the file."""

    code: int
    dtype: int
    count: int
    at: int
    size: int


@dataclass(frozen=True)
class Directory:
    """One frame's directory as it stands in the file.

    Attributes
    ----------
    follows
        Where the next directory is or will be; 0 where the stack is closed and this is the last.
    body
        The bytes of the entries that nobody touches again: equal as long as this is the same frame.
    """

    offset: int
    byteorder: str
    entries: Mapping[int, Entry]
    follows: int
    body: bytes = field(repr=False)

    @cached_property
    def end(self) -> int:
        """Where the frame's last byte is, plus one: metadata are written last."""
        last = self.entries.get(METADATA_TAG)
        return self.offset if last is None else last.at + last.size


class StackFile:
    """A stack opened for one look; closed at the end of the block, so nothing is locked in between.

    Raises
    ------
    OSError
        From every method, as the system says it.
    """

    def __init__(self, path: Path, *, follow_links: bool = False) -> None:
        self.path = path
        self._file: BinaryIO = open_regular(path, follow_links=follow_links)

    def __enter__(self) -> StackFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def stat(self) -> os.stat_result:
        return os.fstat(self._file.fileno())

    def read(self, at: int, size: int) -> bytes:
        """Up to ``size`` bytes; fewer at the file's end."""
        self._file.seek(at)
        data = self._file.read(size) or b""
        while len(data) < size:
            more = self._file.read(size - len(data))
            if not more:
                break
            data += more
        return data

    def header(self) -> Header | None:
        """The header; None while none is written, and for a file that is no stack."""
        return _parsed_header(self, self.read(0, _HEAD_BYTES))

    def directory(self, at: int, byteorder: str) -> Directory | None:
        """The directory at a place; None where nothing plausible stands there (yet)."""
        raw = self.read(at, 2 + _MOST_ENTRIES * _ENTRY + 4) if at else b""
        if len(raw) < 2:
            return None
        count = struct.unpack_from(byteorder + "H", raw)[0]
        size = 2 + count * _ENTRY
        if not 0 < count <= _MOST_ENTRIES or len(raw) < size + 4:
            return None
        entries = _entries(raw, at, count, byteorder)
        if not {_WIDTH, _STRIP_OFFSETS} <= entries.keys():
            return None
        follows = struct.unpack_from(byteorder + "I", raw, size)[0]
        return Directory(at, byteorder, entries, follows, _body(raw, count, byteorder))

    def numbered(self, header: Header, number: int) -> Directory | None:
        """The directory of frame ``number`` (from 0), walked to from the start; None where there is none."""
        found = self.directory(header.first, header.byteorder)
        for _ in range(number):
            if found is None or found.follows <= found.offset:
                return None
            found = self.directory(found.follows, header.byteorder)
        return found

    def numbers(self, directory: Directory, code: int) -> tuple[int, ...]:
        """An entry's whole numbers; empty where there are none."""
        entry = directory.entries.get(code)
        if entry is None or entry.dtype not in _NUMBERS or entry.size > _MOST_METADATA_BYTES:
            return ()
        raw = self.read(entry.at, entry.size)
        if len(raw) < entry.size:
            return ()
        return struct.unpack(f"{directory.byteorder}{entry.count}{_NUMBERS[entry.dtype]}", raw)

    def metadata(self, directory: Directory) -> Metadata | None:
        """The frame's metadata; None where they are not (all) written, or the pixels cannot be there."""
        entry = directory.entries.get(METADATA_TAG)
        if entry is None or not 0 < entry.size <= _MOST_METADATA_BYTES:
            return None
        raw = self.read(entry.at, entry.size)
        found = _parsed(raw) if len(raw) == entry.size else None
        return None if found is None or not self._holds_pixels(directory) else Metadata(raw, found)

    def _holds_pixels(self, directory: Directory) -> bool:
        offsets, sizes = (self.numbers(directory, code) for code in (_STRIP_OFFSETS, _STRIP_BYTES))
        length = self.stat().st_size
        return bool(offsets) and all(
            at and at + size <= length for at, size in zip(offsets, sizes, strict=False)
        )


@dataclass(frozen=True, slots=True)
class Metadata:
    """A frame's metadata as written and as parsed."""

    raw: bytes
    found: Mapping[str, object]


def is_stack(path: Path) -> bool | None:
    """Whether a file is a growing stack by its first bytes; None where they are not written yet.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with StackFile(path) as file:
        start = file.read(0, _HEAD_BYTES)
        return None if not any(start) else _layout(start) is not None


def _layout(start: bytes) -> tuple[Kind, str] | None:
    """Which kind of stack, in which byte order, begins with these bytes."""
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < _HEAD_BYTES:
        return None
    for layout in (order, "<"):  # the Python writer swaps only the first two bytes on a big-endian machine
        words = struct.unpack_from(layout + "8I", start, 8)
        if struct.unpack_from(layout + "H", start, 2)[0] != 42:
            continue
        if words[0] == _NDTIFF and _SUMMARY in words[2:4]:
            return "ndtiff", layout
        if words[6] == _SUMMARY:
            return "micromanager", layout
    return None


def _parsed_header(file: StackFile, start: bytes) -> Header | None:
    found = _layout(start)
    if found is None:
        return None
    kind, order = found
    first, *words = struct.unpack_from(order + "9I", start, 4)
    if kind == "ndtiff" and words[2] == _SUMMARY:  # version 2 has no minor number
        return Header(kind, order, first, f"{words[1]}", _summary(file, 24, words[3]))
    if kind == "ndtiff":
        return Header(kind, order, first, f"{words[1]}.{words[2]}", _summary(file, 28, words[4]))
    return Header(kind, order, first, "", _summary(file, 40, words[7]))


def _summary(file: StackFile, at: int, size: int) -> Mapping[str, object]:
    return (_parsed(file.read(at, size)) or _NOTHING) if 0 < size <= _MOST_METADATA_BYTES else _NOTHING


def _parsed(raw: bytes) -> Mapping[str, object] | None:
    plain = raw.rstrip(b"\0 \r\n\t")
    if not (plain.startswith(b"{") and plain.endswith(b"}")):
        return None  # the usual "not yet", without the price of a parser's error
    try:
        found = json.loads(decode_text(plain), parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _body(raw: bytes, count: int, byteorder: str) -> bytes:
    entries = (raw[2 + number * _ENTRY : 2 + (number + 1) * _ENTRY] for number in range(count))
    return b"".join(each for each in entries if struct.unpack_from(byteorder + "H", each)[0] in _LASTING)


def _entries(raw: bytes, at: int, count: int, byteorder: str) -> dict[int, Entry]:
    found: dict[int, Entry] = {}
    for number in range(count):
        start = 2 + number * _ENTRY
        code, dtype, values = struct.unpack_from(byteorder + "HHI", raw, start)
        size = _SIZES.get(dtype, 0) * values
        value_at = at + start + 8
        where = value_at if size <= 4 else struct.unpack_from(byteorder + "I", raw, start + 8)[0]
        found.setdefault(code, Entry(code, dtype, values, where, size))
    return found
