"""TIFF directories, walked with every claim checked against the file before anything is allocated."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from semdaemon.formats import faults

MAX_PAGES = 100_000
MAX_ENTRIES = 4096
PRIVATE = 32768
"""Tags from here on belong to vendors."""

# TIFF data type -> (numpy kind, bytes); rationals are pairs.
_TYPES: dict[int, tuple[str, int]] = {
    1: ("u1", 1), 2: ("S", 1), 3: ("u2", 2), 4: ("u4", 4), 5: ("u4", 8), 6: ("i1", 1), 7: ("S", 1),
    8: ("i2", 2), 9: ("i4", 4), 10: ("i4", 8), 11: ("f4", 4), 12: ("f8", 8), 13: ("u4", 4),
    16: ("u8", 8), 17: ("i8", 8), 18: ("u8", 8),
}  # fmt: skip
RATIONALS = (5, 10)


@dataclass(frozen=True)
class Tag:
    """One entry of a directory, with its value as bytes in the file's byte order."""

    code: int
    dtype: int
    count: int
    byteorder: str
    file: bytes = field(repr=False)
    start: int = 0
    size: int = 0

    @property
    def raw(self) -> bytes:
        """The value's bytes as they stand in the file."""
        return self.file[self.start : self.start + self.size]

    @property
    def numbers(self) -> tuple[float, ...]:
        """The value as numbers; rationals as quotients (0 where the denominator is 0)."""
        kind, _ = _TYPES[self.dtype]
        if kind == "S":
            return ()
        values = np.frombuffer(self.raw, np.dtype(self.byteorder + kind))
        if self.dtype in RATIONALS:
            pairs = values.reshape(-1, 2).tolist()
            return tuple(n / d if d else 0.0 for n, d in pairs)
        return tuple(values.tolist())

    @property
    def text(self) -> str:
        """The value as text: UTF-16 where it looks so (Gatan), else UTF-8, else Latin-1; cut at the NUL."""
        raw = self.raw
        if len(raw) >= 2 and raw[1] == 0 and raw[0] != 0 and self.dtype != 2:
            return raw.decode("utf-16-le", "replace").split("\0")[0]
        return decode_text(raw.split(b"\0")[0])


def decode_text(raw: bytes) -> str:
    """Text of unknown encoding: UTF-8 where it is valid, else Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@dataclass(frozen=True)
class Ifd:
    """One TIFF directory."""

    index: int
    tags: Mapping[int, Tag]
    byteorder: str

    def number(self, code: int, default: int) -> int:
        values = self.numbers(code)
        return int(values[0]) if values and math.isfinite(values[0]) else default

    def numbers(self, code: int) -> tuple[float, ...]:
        tag = self.tags.get(code)
        return tag.numbers if tag is not None else ()

    def text(self, code: int) -> str:
        tag = self.tags.get(code)
        return tag.text if tag is not None else ""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) as claimed; 0 where the tag is missing."""
        return (self.number(257, 0), self.number(256, 0))

    @property
    def is_reduced(self) -> bool:
        """A thumbnail or transparency mask, not an image of its own."""
        return bool(self.number(254, 0) & 0b101) or self.number(255, 1) == 2

    @cached_property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """(offset, bytes) of every strip or tile."""
        tiled = 324 in self.tags
        offsets = self.numbers(324 if tiled else 273)
        counts = self.numbers(325 if tiled else 279)
        # A place given as a float that is no number is none: it counts as not written yet.
        return tuple((_whole(o), _whole(n)) for o, n in zip(offsets, counts, strict=False))


def _whole(number: float) -> int:
    return int(number) if math.isfinite(number) else 0


def walk(path: Path, data: bytes, *, most: int = MAX_PAGES) -> list[Ifd]:
    """Every directory of a TIFF's main chain, in order; at most ``most``.

    Raises
    ------
    FrameError
        ``truncated`` where a claim leads beyond the end of the file, ``broken_ifd`` where it makes no sense.
    """
    return list(islice(_Walker(path, data).directories(), most))


class _Walker:
    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data = path, data
        self.byteorder = "<" if data[:2] == b"II" else ">"
        self.big = self._unpack("H", 2) == 43
        self.count_format, self.entry_bytes = ("Q", 20) if self.big else ("H", 12)
        self.offset_format = "Q" if self.big else "I"

    def _unpack(self, kind: str, at: int) -> int:
        size = struct.calcsize(kind)
        if at + size > len(self.data):
            raise faults.truncated(
                self.path, f"a directory entry at byte {at:,} lies beyond its end at {len(self.data):,}"
            )
        return int(struct.unpack_from(self.byteorder + kind, self.data, at)[0])

    def directories(self) -> Iterator[Ifd]:
        offset = self._unpack(self.offset_format, 8 if self.big else 4)
        if offset == 0:
            raise faults.truncated(self.path, "no TIFF directory was written yet")
        seen: set[int] = set()
        while offset:
            if offset in seen or len(seen) >= MAX_PAGES:
                raise faults.broken_ifd(self.path, "its directories form a loop")
            seen.add(offset)
            ifd, offset = self._directory(offset, len(seen) - 1)
            yield ifd

    def _directory(self, offset: int, index: int) -> tuple[Ifd, int]:
        head = struct.calcsize(self.count_format)
        entries = self._unpack(self.count_format, offset)
        if not 0 < entries <= MAX_ENTRIES:
            raise faults.broken_ifd(self.path, f"directory {index} claims {entries} entries")
        tags: dict[int, Tag] = {}
        for number in range(entries):
            tag = self._tag(offset + head + number * self.entry_bytes, index)
            if tag is not None:
                tags.setdefault(tag.code, tag)
        follows = self._unpack(self.offset_format, offset + head + entries * self.entry_bytes)
        return Ifd(index, tags, self.byteorder), follows

    def _tag(self, at: int, index: int) -> Tag | None:
        code, dtype = self._unpack("H", at), self._unpack("H", at + 2)
        count = self._unpack(self.offset_format, at + 4)
        if dtype not in _TYPES:
            if code >= PRIVATE:  # the specification wants unknown types skipped; below it is damage
                return None
            raise faults.broken_ifd(
                self.path, f"tag {code} in directory {index} has the unknown data type {dtype}"
            )
        size = count * _TYPES[dtype][1]
        inline = 8 if self.big else 4
        start = at + 4 + inline
        where = start if size <= inline else self._unpack(self.offset_format, start)
        if where + size > len(self.data):
            raise faults.truncated(
                self.path,
                f"tag {code} in directory {index} claims {size:,} bytes at {where:,}, beyond the end",
            )
        return Tag(code, dtype, count, self.byteorder, self.data, where, size)
