"""PNG, BMP and JPEG: headers are read by hand and checked before a decoder allocates."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np

from semdaemon.formats import faults
from semdaemon.formats.embedded import jpeg_shape
from semdaemon.formats.grey import to_grey
from semdaemon.formats.tiff import PARSER_FAULTS, check_plane_bytes, check_shape
from semdaemon.frame import Pixels
from semdaemon.settings import Limits

_PNG_CHANNELS = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}  # a palette may have opacity
_PNG_BITS = (8, 16)
_DEFLATE_EXPANSION = 4 * 1040  # of the most that deflate does, and a palette's index is four bytes at once


def read_picture(path: Path, data: bytes, kind: str, limits: Limits) -> tuple[Pixels, tuple[str, ...]]:
    """Grey pixels and warnings of a ``png``, ``bmp`` or ``jpeg``."""
    shape = {"png": _png_shape, "bmp": _bmp_shape, "jpeg": _jpeg_shape}[kind](path, data)
    check_shape(path, shape, limits)
    samples, colour = _png(path, data, limits) if kind == "png" else _by_pillow(path, data, kind)
    pixels, warnings = to_grey(path, samples, colour=colour, lossy=kind == "jpeg")
    if pixels.shape != shape:
        raise faults.truncated(path, f"it decodes to {pixels.shape}, its header says {shape}")
    return pixels, warnings


def _png_shape(path: Path, data: bytes) -> tuple[int, int]:
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise faults.truncated(path, "the PNG header is missing")
    width, height = struct.unpack_from(">II", data, 16)
    return (int(height), int(width))


def _bmp_shape(path: Path, data: bytes) -> tuple[int, int]:
    if len(data) < 26:
        raise faults.truncated(path, "the BMP header is cut off")
    claimed = struct.unpack_from("<I", data, 2)[0]
    if claimed > len(data):
        raise faults.truncated(path, f"{len(data):,} of {claimed:,} bytes are there")
    if struct.unpack_from("<I", data, 14)[0] == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return (abs(int(height)), max(0, int(width)))


def _jpeg_shape(path: Path, data: bytes) -> tuple[int, int]:
    shape = jpeg_shape(data)
    if shape is None:
        raise faults.truncated(path, "the JPEG frame header is missing")
    if b"\xff\xd9" not in data[-4096:]:
        raise faults.truncated(path, "the JPEG end marker is missing")
    return shape


def _png(path: Path, data: bytes, limits: Limits) -> tuple[Pixels, bool]:
    import imagecodecs

    bits, colour = data[24], data[25]
    height, width = _png_shape(path, data)
    decoded_bytes = height * width * _PNG_CHANNELS.get(colour, 4) * bits // 8
    check_plane_bytes(path, decoded_bytes, limits)
    if decoded_bytes > _DEFLATE_EXPANSION * len(data):
        raise faults.truncated(path, f"{decoded_bytes:,} bytes of pixels cannot be in {len(data):,} bytes")
    stored_bytes = _png_stored_bytes(data)
    if stored_bytes > 2 * decoded_bytes + 16 * height + 2**16:  # libpng would expand it all and throw it away
        raise faults.truncated(
            path, f"{stored_bytes:,} stored bytes are too many for {decoded_bytes:,} of pixels"
        )
    if bits not in _PNG_BITS:
        raise faults.unsupported_dtype(path, f"a PNG of {bits} bits per sample")
    if b"IEND" not in data[-4096:]:
        raise faults.truncated(path, "the PNG end chunk is missing")
    try:
        samples = np.asarray(imagecodecs.png_decode(data))
    except PARSER_FAULTS as error:
        raise faults.truncated(path, f"its pixels do not decode: {error}") from error
    return samples, colour in (2, 3, 6)


def _png_stored_bytes(data: bytes) -> int:
    """Bytes in all of a PNG's pixel chunks."""
    at, found = 8, 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found += size if kind == b"IDAT" else 0
        at += 12 + size
    return found


def _by_pillow(path: Path, data: bytes, kind: str) -> tuple[Pixels, bool]:
    from PIL import Image, UnidentifiedImageError

    guard = Image.MAX_IMAGE_PIXELS or 2**31
    shape = _bmp_shape(path, data) if kind == "bmp" else _jpeg_shape(path, data)
    if shape[0] * shape[1] > guard:
        raise faults.too_large(path, f"its header says {shape[0]:,} x {shape[1]:,} pixels; save it as TIFF")
    try:
        with Image.open(io.BytesIO(data), formats=[kind.upper()]) as image:
            image.load()
            mode = image.mode
            plain = image.convert("RGB") if mode not in ("L", "LA") else image
            return np.asarray(plain), mode not in ("L", "LA")
    except (UnidentifiedImageError, *PARSER_FAULTS) as error:
        raise faults.truncated(path, f"it does not decode: {error}") from error
