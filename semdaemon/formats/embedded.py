"""The size that a compressed strip, or a picture file, claims for itself, without decoding it."""

from __future__ import annotations

import struct

Bytes = bytes | memoryview

# JPEG start-of-frame markers: all of C0 to CF but DHT (C4), JPG (C8) and DAC (CC).
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def embedded_shape(data: Bytes) -> tuple[int, int] | None:
    """(rows, columns) claimed by a JPEG or JPEG 2000 stream; None where it is neither or does not say."""
    head = bytes(data[:12])
    if head[:2] == b"\xff\xd8":
        return jpeg_shape(data)
    if head[:4] == b"\xff\x4f\xff\x51":
        return _siz(data, 0)
    if head[4:8] == b"jP  ":
        at = bytes(data[:4096]).find(b"\xff\x4f\xff\x51")
        return _siz(data, at) if at >= 0 else None
    return None


def jpeg_shape(data: Bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG from its frame header; None where there is none."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker in _SOF:
            return (data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8])
        if marker == 0xFF:
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + max(2, data[at + 2] << 8 | data[at + 3])
    return None


def _siz(data: Bytes, at: int) -> tuple[int, int] | None:
    if at + 24 > len(data):
        return None
    width, height, left, top = struct.unpack_from(">IIII", data, at + 8)
    return (int(height - top), int(width - left))
