"""Files that no reader may trip over: each with the final states that are right for it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from random import Random

import numpy as np
import tifffile
from PIL import Image

FAILED = ("failed",)
Maker = Callable[[Random, bytes], bytes]


def _tiff(pixels: np.ndarray, **options: object) -> bytes:  # type: ignore[type-arg]
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def _giant(_: Random, __: bytes) -> bytes:
    """A header that claims 100,000 x 100,000 pixels, and nothing behind it."""
    return _directory([(256, 4, 1, 100_000), (257, 4, 1, 100_000), (258, 3, 1, 8), (259, 3, 1, 1),
                       (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 100_000),
                       (279, 4, 1, 4_000_000_000)])  # fmt: skip


def _directory(entries: list[tuple[int, int, int, int]]) -> bytes:
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *each) for each in entries)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", 0)


def _bomb(rng: Random, _: bytes) -> bytes:
    """One deflated strip that decodes to far more than its 64 x 64 pixels, rightly said to be there."""
    strip = zlib.compress(bytes(2**26) + rng.randbytes(8), 9)
    size = 8 + 2 + 12 * 9 + 4
    return _directory([(256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1),
                       (273, 4, 1, size), (277, 3, 1, 1), (278, 4, 1, 64),
                       (279, 4, 1, len(strip))]) + strip  # fmt: skip


def _png_bomb(rng: Random, _: bytes) -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few kilobytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(2**20) + rng.randbytes(8), 9)
    parts = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _loop(rng: Random, good: bytes) -> bytes:
    """A directory that names itself as the next."""
    raw = bytearray(good)
    at = struct.unpack_from("<I", raw, 4)[0]
    count = struct.unpack_from("<H", raw, at)[0]
    struct.pack_into("<I", raw, at + 2 + 12 * count, at)
    return bytes(raw) + rng.randbytes(4)


def _colour(rng: Random, _: bytes) -> bytes:
    pixels = np.random.default_rng(rng.randrange(2**32)).integers(0, 255, (64, 64, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _constant(rng: Random, _: bytes) -> bytes:
    return _tiff(np.full((64, 64), 7, np.uint8), description=f"constant {rng.randrange(2**60)}")


def _nan(rng: Random, _: bytes) -> bytes:
    return _tiff(np.full((64, 64), np.nan, np.float32), description=f"nan {rng.randrange(2**60)}")


def _tiny(rng: Random, _: bytes) -> bytes:
    return _tiff(np.arange(16, dtype=np.uint8).reshape(4, 4), description=f"tiny {rng.randrange(2**60)}")


def _complex(rng: Random, _: bytes) -> bytes:
    return _tiff(np.ones((64, 64), np.complex64), description=f"complex {rng.randrange(2**60)}")


def _bits(rng: Random, good: bytes) -> bytes:
    """A sound file in which a share of all bytes was flipped; may still be read."""
    raw = bytearray(good)
    for _ in range(rng.randrange(1, 40)):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(raw) + rng.randbytes(4)


POISONS: dict[str, tuple[str, tuple[str, ...], Maker]] = {
    "truncated": (".tif", FAILED, lambda rng, good: good[: rng.randrange(200, len(good) - 1000)]),
    "garbage": (".tif", FAILED, lambda rng, _: rng.randbytes(rng.randrange(1, 5000))),
    "zeros": (".tif", FAILED, lambda rng, _: bytes(rng.randrange(100, 9000))),
    "text": (".tiff", FAILED, lambda rng, _: b"This is no picture %d.\n" % rng.randrange(2**60)),
    "empty": (".tif", FAILED, lambda *_: b""),
    "one byte": (".png", FAILED, lambda rng, _: rng.randbytes(1)),
    "giant claim": (".tif", FAILED, _giant),
    "deflate bomb": (".tif", ("failed", "published", "skipped"), _bomb),
    "PNG bomb": (".png", FAILED, _png_bomb),
    "directory loop": (".tif", FAILED, _loop),
    "true colour": (".png", FAILED, _colour),
    "constant": (".tif", FAILED, _constant),
    "NaN": (".tif", FAILED, _nan),
    "too small": (".tif", FAILED, _tiny),
    "complex": (".tif", FAILED, _complex),
    "flipped bits": (".tif", ("failed", "published"), _bits),
    "wrong extension": (".png", ("published",), lambda _, good: good),
}
"""Name -> extension, right final states, maker from a sound TIFF. Twins of one content are ``skipped``."""
