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
MAX_ENTRIES_IN_ALL = 300_000
"""In all directories together: about a second and 100 MB."""
MAX_NUMBERS = 2**21
"""Values of one tag that are looked at; the largest frame has 1.6 million tiles of the least size."""
MAX_TEXT_BYTES = 2**26
PRIVATE = 32768
"""Tags from here on belong to vendors."""

# TIFF data type -> (numpy kind, bytes); rationals are pairs.
_TYPES: dict[int, tuple[str, int]] = {
    1: ("u1", 1), 2: ("S", 1), 3: ("u2", 2), 4: ("u4", 4), 5: ("u4", 8), 6: ("i1", 1), 7: ("S", 1),
    8: ("i2", 2), 9: ("i4", 4), 10: ("i4", 8), 11: ("f4", 4), 12: ("f8", 8), 13: ("u4", 4),
    16: ("u8", 8), 17: ("i8", 8), 18: ("u8", 8),
}  # fmt: skip
RATIONALS = (5, 10)


@dataclass(frozen=True, slots=True)
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
        """The value's bytes as they stand in the file; ValueError where that is more than any text has."""
        if self.size > MAX_TEXT_BYTES:
            raise ValueError(f"tag {self.code} has {self.size:,} bytes; at most {MAX_TEXT_BYTES:,} are taken")
        return self.file[self.start : self.start + self.size]

    @property
    def numbers(self) -> tuple[float, ...]:
        """The value's first `MAX_NUMBERS` numbers; rationals as quotients (0 where the denominator is 0)."""
        return self.first_numbers(MAX_NUMBERS)

    def first_numbers(self, most: int) -> tuple[float, ...]:
        """The first numbers of the value, without looking at the rest."""
        kind, _ = _TYPES[self.dtype]
        if kind == "S":
            return ()
        dtype = np.dtype(self.byteorder + kind)
        most *= 2 if self.dtype in RATIONALS else 1
        values = np.frombuffer(self.file, dtype, min(self.size // dtype.itemsize, most), self.start)
        if self.dtype in RATIONALS:
            pairs = values.reshape(-1, 2).tolist()
            return tuple(n / d if d else 0.0 for n, d in pairs)
        return tuple(values.tolist())

    @property
    def text(self) -> str:
        """The value as text: UTF-16 where it looks so (Gatan), else UTF-8, else Latin-1; cut at the NUL."""
        raw = self.file[self.start : self.start + min(self.size, MAX_TEXT_BYTES)]
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
        tag = self.tags.get(code)
        values = tag.first_numbers(1) if tag is not None else ()
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
        """(offset, bytes) of every strip or tile; of more than a picture of this size can have, the first."""
        tiled = 324 in self.tags
        height, width = self.shape
        most = min(MAX_NUMBERS, 16 + max(height, height * width // 64) * max(1, self.number(277, 1)))
        offsets, counts = (
            tag.first_numbers(most) if (tag := self.tags.get(code)) is not None else ()
            for code in ((324, 325) if tiled else (273, 279))
        )
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
        self.entries = 0
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
        self._count(entries)
        tags: dict[int, Tag] = {}
        for number in range(entries):
            tag = self._tag(offset + head + number * self.entry_bytes, index)
            if tag is not None:
                tags.setdefault(tag.code, tag)
        follows = self._unpack(self.offset_format, offset + head + entries * self.entry_bytes)
        return Ifd(index, tags, self.byteorder), follows

    def _count(self, entries: int) -> None:
        self.entries += entries
        if self.entries * self.entry_bytes > len(self.data):
            raise faults.broken_ifd(self.path, "its directories overlap")
        if self.entries > MAX_ENTRIES_IN_ALL:
            raise faults.too_large(
                self.path, f"its directories have more than {MAX_ENTRIES_IN_ALL:,} entries in all"
            )

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
