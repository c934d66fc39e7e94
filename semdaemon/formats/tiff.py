"""TIFF pages: what they claim is checked first, then they are decoded from the bytes in memory."""

from __future__ import annotations

import io
import logging
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semdaemon.formats import faults
from semdaemon.formats.embedded import embedded_shape
from semdaemon.formats.ifd import Ifd, walk
from semdaemon.frame import Pixels

if TYPE_CHECKING:
    from semdaemon.errors import FrameError
    from semdaemon.settings import Limits

_PALETTE, _RGB, _YCBCR = 3, 2, 6
LOSSY = frozenset({6, 7, 34892})
"""Compressions that round: channels of a grey picture may differ a little."""
_UNCOMPRESSED = 1
_KINDS = {1: "u", 2: "i", 3: "f", 4: "u"}
_KINDS_NAMED = {
    1: "unsigned integers",
    2: "signed integers",
    3: "floats",
    5: "complex integers",
    6: "complex numbers",
}
_DTYPES = {"u8", "u16", "u32", "i8", "i16", "i32", "f16", "f32", "f64"}
# Codes that carry no picture of their own size, and those that do (see embedded.py).
_COMPRESSIONS = {
    1: "none", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate", 22610: "JPEG XR", 32773: "PackBits",
    32946: "deflate", 33003: "JPEG 2000", 33004: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000",
    34887: "LERC", 34892: "JPEG", 34925: "LZMA", 34926: "zstd", 34927: "WebP", 34933: "PNG", 34934: "JPEG XR",
    50000: "zstd", 50001: "WebP", 50002: "JPEG XL", 50013: "deflate", 52546: "JPEG XL",
}  # fmt: skip

_SMALL_TILE_BYTES = 2**26  # a larger tile than this, and than its image, is a bomb
MOST_BYTES_A_PIXEL = 8
# The most that a stored byte can become: a file with fewer bytes than that cannot hold what it claims.
_MOST_EXPANSION = {5: 4096, 8: 1040, 32946: 1040, 50013: 1040, 32773: 64, 34933: 1040}

# What tifffile and the codecs raise on damaged input; MemoryError where a codec trusts a size.
PARSER_FAULTS = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, OSError, EOFError,
    MemoryError, struct.error,
)  # fmt: skip

# tifffile tells its troubles to the log; ours are told as faults and warnings.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False


@dataclass(frozen=True)
class TiffPage:
    """One image of a TIFF: its directory, and its place where several images share one directory."""

    ifd: Ifd
    plane: int = 0

    @property
    def samples(self) -> int:
        return self.ifd.number(277, 1)

    @property
    def dtype_name(self) -> str:
        """Kind and bits, e.g. ``u16``."""
        return f"{_KINDS.get(self.ifd.number(339, 1), 'c')}{self.ifd.number(258, 1)}"

    @property
    def compression(self) -> int:
        return self.ifd.number(259, _UNCOMPRESSED)

    @property
    def photometric(self) -> int:
        return self.ifd.number(262, 1)

    @property
    def plane_bytes(self) -> int:
        """Bytes of one decoded image."""
        return math.prod(self.ifd.shape) * self.samples * int(self.dtype_name[1:] or 8) // 8


def pages(path: Path, data: bytes) -> list[TiffPage]:
    """Every image of a TIFF, thumbnails left out, before anything of it is decoded or believed."""
    ifds = walk(path, data)
    kept = [ifd for ifd in ifds if not ifd.is_reduced] or ifds[:1]
    planes = _planes_behind_one_directory(ifds)
    if planes > 1:
        return [TiffPage(ifds[0], plane) for plane in range(planes)]
    return [TiffPage(ifd) for ifd in kept]


def first_directory(path: Path, data: bytes) -> Ifd:
    """The directory that holds what is said about the whole file."""
    return walk(path, data, most=1)[0]


def _planes_behind_one_directory(ifds: Sequence[Ifd]) -> int:
    # ImageJ writes large stacks as one directory followed by all planes.
    if len(ifds) != 1 or ifds[0].number(259, 1) != _UNCOMPRESSED:
        return 1
    text = ifds[0].text(270)
    if not text.startswith("ImageJ="):
        return 1
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == "images" and value.strip().isdecimal():
            return max(1, min(int(value), 1_000_000))
    return 1


def check(path: Path, page: TiffPage, limits: Limits, file_bytes: int) -> None:
    """Raise where a page's claims are beyond the limits, beyond the file, or not served."""
    height, width = page.ifd.shape
    if 256 not in page.ifd.tags or 257 not in page.ifd.tags:
        raise faults.broken_ifd(path, f"directory {page.ifd.index} has no image width or length")
    check_shape(path, (height, width), limits)
    if page.samples < 1 or page.samples > 16:
        raise faults.broken_ifd(path, f"{page.samples} samples per pixel")
    _check_kind(path, page)
    check_plane_bytes(path, page.plane_bytes, limits)
    _check_segments(path, page, file_bytes)


def check_shape(path: Path, shape: tuple[int, int], limits: Limits) -> None:
    """Raise ``zero_sized``, ``too_large`` or ``too_small``."""
    height, width = shape
    if height * width == 0:
        raise faults.zero_sized(path, shape)
    if height * width > limits.max_pixels:
        raise faults.too_large(
            path,
            f"its header says {height:,} x {width:,} pixels; at most {limits.max_pixels:,} in all are read",
        )
    if min(shape) < limits.min_side_px:
        raise faults.too_small(path, shape, limits.min_side_px)


def check_plane_bytes(path: Path, decoded_bytes: int, limits: Limits) -> None:
    """Raise ``too_large`` where channels and depth make more of a picture than a grey one may have."""
    most = limits.max_pixels * MOST_BYTES_A_PIXEL
    if decoded_bytes > most:
        raise faults.too_large(path, f"it decodes to {decoded_bytes:,} bytes; at most {most:,} are taken")


def _check_kind(path: Path, page: TiffPage) -> None:
    if page.ifd.number(32997, 1) != 1:
        raise faults.unsupported_dtype(path, "a volume behind one directory")
    if page.compression not in _COMPRESSIONS:
        raise faults.unsupported_compression(path, f"TIFF compression {page.compression}")
    bits = set(page.ifd.numbers(258) or (1,))
    if page.dtype_name not in _DTYPES or len(bits) != 1:
        kind = _KINDS_NAMED.get(page.ifd.number(339, 1), "values of unknown kind")
        raise faults.unsupported_dtype(path, f"{kind} of {page.ifd.number(258, 1)} bits")


def _check_segments(path: Path, page: TiffPage, file_bytes: int) -> None:
    expected = _expected_segments(path, page)
    found = page.ifd.segments
    if not found:
        raise faults.broken_ifd(path, "it does not say where its pixels are")
    if len(found) < expected:
        raise faults.broken_ifd(path, f"{len(found)} strips or tiles listed, {expected} needed")
    _check_total(path, page, file_bytes)
    _check_expansion(path, page, file_bytes)
    for number, (offset, size) in enumerate(found[:expected]):
        if offset <= 0 or size <= 0:  # below zero where a type with a sign says so
            raise faults.truncated(path, f"strip or tile {number} of {expected} was not written yet")
        if offset + size > file_bytes:
            raise faults.truncated(
                path,
                f"strip or tile {number} of {expected} ends at {offset + size:,}, the file at {file_bytes:,}",
            )


def _check_total(path: Path, page: TiffPage, file_bytes: int) -> None:
    if page.compression != _UNCOMPRESSED or 324 in page.ifd.tags:
        return
    stored = sum(size for _, size in page.ifd.segments)
    start = page.ifd.segments[0][0] + page.plane * page.plane_bytes
    if page.plane == 0 and stored < page.plane_bytes:
        raise faults.broken_ifd(
            path, f"its strips claim {stored:,} bytes of pixels, {page.plane_bytes:,} are needed"
        )
    if page.plane and start + page.plane_bytes > file_bytes:
        raise faults.truncated(path, f"plane {page.plane} would end at {start + page.plane_bytes:,}")


def _check_expansion(path: Path, page: TiffPage, file_bytes: int) -> None:
    most = _MOST_EXPANSION.get(page.compression)
    if most is not None and page.plane_bytes > most * file_bytes:
        raise faults.truncated(
            path, f"{page.plane_bytes:,} bytes of pixels cannot be in a file of {file_bytes:,} bytes"
        )


def _expected_segments(path: Path, page: TiffPage) -> int:
    """How many strips or tiles the page's size needs."""
    height, width = page.ifd.shape
    if 324 in page.ifd.tags:
        rows, columns = page.ifd.number(323, 0), page.ifd.number(322, 0)
    else:
        rows, columns = min(page.ifd.number(278, height), height), width
    tile_bytes = rows * columns * page.plane_bytes // (height * width)
    if rows <= 0 or columns <= 0 or tile_bytes > max(_SMALL_TILE_BYTES, 4 * page.plane_bytes):
        raise faults.broken_ifd(path, f"strips or tiles of {rows} x {columns} pixels")
    planar = page.ifd.number(284, 1) == 2
    return math.ceil(height / rows) * math.ceil(width / columns) * (page.samples if planar else 1)


def decode(path: Path, page: TiffPage, data: bytes) -> Pixels:
    """The page's samples as stored: (rows, columns) or (rows, columns, samples), native byte order.

    Raises
    ------
    FrameError
        ``truncated`` where strips do not decode, ``unsupported_compression`` where the codec is not there.
    """
    plain = _plain(page, data)
    if plain is not None:
        return plain
    _check_embedded(path, page, data)
    return _decoded_by_tifffile(path, page, data)


def _plain(page: TiffPage, data: bytes) -> Pixels | None:
    """A view into the file's bytes where pixels lie there as they are; None where they do not."""
    segments = page.ifd.segments
    if (
        page.compression != _UNCOMPRESSED
        or page.samples != 1
        or 324 in page.ifd.tags
        or page.ifd.number(266, 1) != 1
    ):
        return None
    gapless = all(a[0] + a[1] == b[0] for a, b in pairwise(segments))
    start = segments[0][0] + page.plane * page.plane_bytes
    if not gapless or start + page.plane_bytes > len(data):
        return None
    dtype = np.dtype(f"{page.ifd.byteorder}{page.dtype_name[0]}{int(page.dtype_name[1:]) // 8}")
    pixels = np.frombuffer(data, dtype, math.prod(page.ifd.shape), start).reshape(page.ifd.shape)
    native = pixels.astype(dtype.newbyteorder("="), copy=False)
    # A view keeps the whole file in memory: fine for a file that is one image, not for a page of a stack.
    return native if native.flags.aligned and 2 * native.nbytes > len(data) else native.copy()


def _check_embedded(path: Path, page: TiffPage, data: bytes) -> None:
    # Codecs such as JPEG bring a size of their own and would allocate what it says.
    if 324 in page.ifd.tags:
        most = page.ifd.number(323, 0) * page.ifd.number(322, 0)
    else:
        most = math.prod(page.ifd.shape)
    most *= page.samples
    for offset, size in page.ifd.segments:
        shape = embedded_shape(memoryview(data)[offset : offset + size])
        if shape is not None and shape[0] * shape[1] > 2 * most:
            raise faults.broken_ifd(
                path, f"a strip or tile holds a picture of {shape[0]:,} x {shape[1]:,} pixels"
            )


def _decoded_by_tifffile(path: Path, page: TiffPage, data: bytes) -> Pixels:
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tif:
            decoded = np.asarray(tif.pages[page.ifd.index].asarray(maxworkers=1))
    except (tifffile.TiffFileError, *PARSER_FAULTS) as error:
        raise _decode_fault(path, page, error) from error
    return _samples_last(path, page, decoded)


def _decode_fault(path: Path, page: TiffPage, error: Exception) -> FrameError:
    name = _COMPRESSIONS[page.compression]
    text = str(error)
    if (
        "requires the 'imagecodecs'" in text
        or "not available" in text
        or isinstance(error, NotImplementedError)
    ):
        return faults.unsupported_compression(path, f"{name}: {text}")
    return faults.truncated(path, f"its pixels ({name}) do not decode: {text or type(error).__name__}")


def _samples_last(path: Path, page: TiffPage, decoded: Pixels) -> Pixels:
    shape: tuple[int, ...] = page.ifd.shape
    if decoded.ndim == 3 and decoded.shape[1:] == shape and page.ifd.number(284, 1) == 2:
        decoded = np.moveaxis(decoded, 0, -1)
    if decoded.shape[:2] != shape or decoded.ndim > 3:
        raise faults.broken_ifd(path, f"its pixels decode to the shape {decoded.shape}, {shape} was claimed")
    native: np.ndarray[Any, np.dtype[Any]] = decoded.astype(decoded.dtype.newbyteorder("="), copy=False)
    return native


def palette(page: TiffPage) -> Pixels | None:
    """The colour map as (3, colours) uint16, None where the page has none."""
    if page.photometric != _PALETTE:
        return None
    levels = page.ifd.numbers(320)
    if not levels or len(levels) % 3 or not all(0 <= level <= 0xFFFF for level in levels):
        return None
    return np.array(levels, dtype=np.uint16).reshape(3, -1)


def is_colour_model(page: TiffPage) -> bool:
    """RGB or YCbCr by its own words."""
    return page.photometric in (_RGB, _YCBCR)
