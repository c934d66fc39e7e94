"""The size that a compressed strip, or a picture file, claims for itself, without decoding it."""

from __future__ import annotations

import struct

Bytes = bytes | memoryview

# JPEG start-of-frame markers: all of C0 to CF but DHT (C4), JPG (C8) and DAC (CC).
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_HEAD = 4096
_J2K, _JXL = b"\xff\x4f\xff\x51", b"\xff\x0a"
_JXL_BITS = (9, 13, 18, 30)
_JXL_RATIOS = (None, 1.0, 1.2, 4 / 3, 1.5, 16 / 9, 1.25, 2.0)
_JXR_WIDTH, _JXR_HEIGHT = 0xBC80, 0xBC81


def embedded_shape(data: Bytes) -> tuple[int, int] | None:
    """(rows, columns) claimed by a stream that carries its own size; None where it carries none.

    Where a stream can have any number of components, columns counts all of them.
    """
    head = bytes(data[:_HEAD])
    try:
        if head[:2] == b"\xff\xd8":
            return jpeg_shape(data)
        if head[:8] == b"\x89PNG\r\n\x1a\n":
            return _pair(">II", head, 16)
        if head[:6] == b"Lerc2 ":
            return _lerc(head)
        if head[:2] == _JXL or head[4:8] == b"JXL ":
            return _jpeg_xl(head, 0 if head[:2] == _JXL else head.index(_JXL, 12))
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return _webp(head)
        if head[:3] == b"II\xbc":
            return _jpeg_xr(head)
        if head[:4] == _J2K or head[4:8] == b"jP  ":
            return _jpeg_2000(head, head.index(_J2K))
    except (struct.error, ValueError, IndexError):
        return None
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


def _pair(form: str, head: bytes, at: int) -> tuple[int, int]:
    width, height = struct.unpack_from(form, head, at)
    return (int(height), int(width))


def _webp(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return (int.from_bytes(head[27:30], "little") + 1, int.from_bytes(head[24:27], "little") + 1)
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", head, 21)[0]
        return ((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return (height & 0x3FFF, width & 0x3FFF)
    return None


def _lerc(head: bytes) -> tuple[int, int]:
    version = struct.unpack_from("<i", head, 6)[0]
    at = 14 if version >= 3 else 10
    height, width = struct.unpack_from("<ii", head, at)
    depth = struct.unpack_from("<i", head, at + 8)[0] if version >= 4 else 1
    return (int(height), int(width) * int(depth))


def _jpeg_2000(head: bytes, at: int) -> tuple[int, int]:
    width, height, left, top = struct.unpack_from(">IIII", head, at + 8)
    components = struct.unpack_from(">H", head, at + 40)[0]
    return (int(height - top), int(width - left) * int(components))


def _jpeg_xr(head: bytes) -> tuple[int, int] | None:
    start = struct.unpack_from("<I", head, 4)[0]
    found: dict[int, int] = {}
    for number in range(min(64, struct.unpack_from("<H", head, start)[0])):
        code, kind, _, value = struct.unpack_from("<HHII", head, start + 2 + 12 * number)
        found[code] = value & (0xFFFF if kind == 3 else 0xFFFFFFFF)
    if _JXR_WIDTH in found and _JXR_HEIGHT in found:
        return (found[_JXR_HEIGHT], found[_JXR_WIDTH])
    return None


def _jpeg_xl(head: bytes, at: int) -> tuple[int, int]:
    """The size header of ISO/IEC 18181-1: little-endian bits after the marker."""
    bits, used = int.from_bytes(head[at + 2 : at + 14], "little"), 0

    def take(count: int) -> int:
        nonlocal used
        used += count
        return bits >> (used - count) & ((1 << count) - 1)

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take(_JXL_BITS[take(2)]) + 1

    height = side()
    ratio = _JXL_RATIOS[take(3)]
    return (height, side() if ratio is None else int(height * ratio))
