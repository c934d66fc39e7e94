"""PNG, BMP and JPEG: headers are read by hand and checked before a decoder allocates."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np

from semdaemon.formats import faults
from semdaemon.formats.embedded import jpeg_shape
from semdaemon.formats.grey import to_grey
from semdaemon.formats.tiff import PARSER_FAULTS, check_shape
from semdaemon.frame import Pixels
from semdaemon.settings import Limits

_PNG_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and opacity", 6: "RGB and opacity"}
_PNG_BITS = (8, 16)


def read_picture(path: Path, data: bytes, kind: str, limits: Limits) -> tuple[Pixels, tuple[str, ...]]:
    """Grey pixels and warnings of a ``png``, ``bmp`` or ``jpeg``."""
    shape = {"png": _png_shape, "bmp": _bmp_shape, "jpeg": _jpeg_shape}[kind](path, data)
    check_shape(path, shape, limits)
    samples, colour = _png(path, data) if kind == "png" else _by_pillow(path, data, kind)
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


def _png(path: Path, data: bytes) -> tuple[Pixels, bool]:
    import imagecodecs

    bits, colour = data[24], data[25]
    if bits not in _PNG_BITS:
        raise faults.unsupported_dtype(path, f"a PNG of {bits} bits per sample")
    if b"IEND" not in data[-4096:]:
        raise faults.truncated(path, "the PNG end chunk is missing")
    try:
        samples = np.asarray(imagecodecs.png_decode(data))
    except PARSER_FAULTS as error:
        raise faults.truncated(path, f"its pixels do not decode: {error}") from error
    return samples, colour in (2, 3, 6)


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
