"""An uncompressed TIFF as bytes whose order is known, so that it can be written slowly.

tifffile writes complete files; a simulated microscope needs to know what stands where while half of it is
there. Baseline TIFF 6.0, little-endian, one grey page in strips.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.simulate.acquisition import VendorTag

_SHORT, _LONG, _ASCII, _RATIONAL = 3, 4, 2, 5
_SIZE = {_SHORT: 2, _LONG: 4, _ASCII: 1, _RATIONAL: 8}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A whole file.

    Attributes
    ----------
    data
        Every byte of the finished file.
    directory_first
        Where true, the directory stands before the strips, so a half-written file opens and its strips are
        missing; else it stands behind them and the header points nowhere until the end, as libtiff writes.
    """

    data: bytes
    directory_first: bool

    @property
    def header_while_writing(self) -> bytes:
        """The first 8 bytes as they stand until the file is finished."""
        return self.data[:8] if self.directory_first else self.data[:4] + bytes(4)


@dataclass(frozen=True, slots=True)
class _Entry:
    code: int
    kind: int
    count: int
    value: bytes


def encode(
    pixels: npt.NDArray[Any],
    tags: Sequence[VendorTag] = (),
    *,
    rows_per_strip: int = 16,
    directory_first: bool = True,
    pixel_size_m: float | None = None,
) -> Encoded:
    """One grey page.

    Parameters
    ----------
    pixels
        (h, w) uint8 or uint16.
    tags
        Texts of the vendor, written as ASCII in Windows-1252.
    pixel_size_m
        Written as XResolution and YResolution per centimetre where given.
    """
    strips = _strips(pixels, rows_per_strip)
    entries = _entries(pixels, tags, strips, rows_per_strip, pixel_size_m)
    directory_size = _directory_size(entries)
    body = b"".join(strips)
    strips_at = 8 + directory_size if directory_first else 8
    directory_at = 8 if directory_first else 8 + len(body) + len(body) % 2
    directory = _directory(_with_offsets(entries, strips, strips_at), directory_at)
    header = struct.pack("<2sHI", b"II", 42, directory_at)
    if directory_first:
        return Encoded(header + directory + body, True)
    return Encoded(header + body + bytes(len(body) % 2) + directory, False)


def _strips(pixels: npt.NDArray[Any], rows_per_strip: int) -> list[bytes]:
    plain = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<"), copy=False)
    return [plain[top : top + rows_per_strip].tobytes() for top in range(0, plain.shape[0], rows_per_strip)]


def _entries(
    pixels: npt.NDArray[Any],
    tags: Sequence[VendorTag],
    strips: Sequence[bytes],
    rows_per_strip: int,
    pixel_size_m: float | None,
) -> list[_Entry]:
    height, width = pixels.shape
    entries = [
        _numbers(256, _LONG, width),
        _numbers(257, _LONG, height),
        _numbers(258, _SHORT, pixels.dtype.itemsize * 8),
        _numbers(259, _SHORT, 1),
        _numbers(262, _SHORT, 1),
        _numbers(273, _LONG, *([0] * len(strips))),
        _numbers(277, _SHORT, 1),
        _numbers(278, _LONG, rows_per_strip),
        _numbers(279, _LONG, *(len(strip) for strip in strips)),
    ]
    if pixel_size_m is not None:
        per_cm = struct.pack("<II", round(0.01 / pixel_size_m), 1)
        entries += [
            _Entry(282, _RATIONAL, 1, per_cm),
            _Entry(283, _RATIONAL, 1, per_cm),
            _numbers(296, _SHORT, 3),
        ]
    entries += [_text(tag) for tag in tags]
    return sorted(entries, key=lambda entry: entry.code)


def _numbers(code: int, kind: int, *values: int) -> _Entry:
    return _Entry(
        code, kind, len(values), struct.pack(f"<{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
    )


def _text(tag: VendorTag) -> _Entry:
    value = tag.text.encode("cp1252") + b"\0"
    return _Entry(tag.code, _ASCII, len(value), value)


def _with_offsets(entries: Sequence[_Entry], strips: Sequence[bytes], strips_at: int) -> list[_Entry]:
    offsets, at = [], strips_at
    for strip in strips:
        offsets.append(at)
        at += len(strip)
    return [_numbers(273, _LONG, *offsets) if entry.code == 273 else entry for entry in entries]


def _directory_size(entries: Sequence[_Entry]) -> int:
    return 2 + 12 * len(entries) + 4 + sum(_padded(len(e.value)) for e in entries if len(e.value) > 4)


def _directory(entries: Sequence[_Entry], at: int) -> bytes:
    """Entries, then the values that do not fit into them; the chain of pages ends here."""
    values_at = at + 2 + 12 * len(entries) + 4
    table, values = struct.pack("<H", len(entries)), b""
    for entry in entries:
        inside = entry.value
        if len(inside) > 4:
            inside = struct.pack("<I", values_at + len(values))
            values += entry.value.ljust(_padded(len(entry.value)), b"\0")
        table += struct.pack("<HHI", entry.code, entry.kind, entry.count) + inside.ljust(4, b"\0")
    return table + struct.pack("<I", 0) + values


def _padded(size: int) -> int:
    return size + size % 2
