"""Small files that claim much: refused before memory is taken, or decoded within the limit that is set.

Each is read in a child process of its own, and the child's peak memory is what counts.
"""

from __future__ import annotations

import json
import lzma
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

PIXELS = 4_000_000  # of the limit: 32 MB decoded at the most
BOUND_BYTES = 200 * 2**20  # above an idle reader
SECONDS = 3.0  # of processor time: a busy machine is no bomb

_READER = """
import json, resource, sys, time
from functools import lru_cache
from pathlib import Path
import imagecodecs, tifffile, PIL.Image
from semdaemon.errors import FrameError
from semdaemon.formats import is_own_output, read_frames, read_metadata, verify
from semdaemon.settings import Limits
limits = Limits(max_pixels=int(sys.argv[1]), max_file_bytes=2**26)
def peak():
    if sys.platform == "linux":  # ru_maxrss begins at the size of the test run that started this process
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
for line in sys.stdin:
    path, before, began = Path(line.strip()), peak(), time.process_time()
    try:
        read_frames(path, limits=limits)
        code = "read"
    except FrameError as error:
        code = error.code
    try:
        read_metadata(path, max_file_bytes=2**26)
    except FrameError:
        pass
    is_own_output(path)
    verify(path)
    told = {"code": code, "grown": peak() - before, "seconds": time.process_time() - began}
    print(json.dumps(told), flush=True)
"""

Tags = dict[int, tuple[int, int, int]]
"""Code -> (type, count, value or offset)."""


def tiff(side: int, compression: int, payload: bytes, **more: tuple[int, int, int, int]) -> bytes:
    """One strip of a side x side picture, 8 bits, with what is told otherwise by ``more`` (code first)."""
    tags: Tags = {
        256: (4, 1, side), 257: (4, 1, side), 258: (3, 1, 8), 259: (3, 1, compression), 262: (3, 1, 1),
        273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, side), 279: (4, 1, len(payload)),
    }  # fmt: skip
    tags |= {code: (kind, count, value) for code, kind, count, value in more.values()}
    body = payload + b"\0" * (len(payload) % 2)
    entries = b"".join(struct.pack("<HHII", code, *tags[code]) for code in sorted(tags))
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory


def overlapping_directories() -> bytes:
    """Every two bytes a directory of 4,000 entries, all over the same bytes."""
    unit = struct.pack("<HHII", 4000, 4000, 0, 0)
    return b"II*\0" + struct.pack("<I", 8) + unit * 60_000


def many_directories(pages: int = 3_000, entries: int = 200) -> bytes:
    """A chain of real directories, full of small private tags."""
    tags = b"".join(struct.pack("<HHII", 40_000 + n, 3, 1, n) for n in range(entries))
    size = 2 + len(tags) + 4
    parts = [
        struct.pack("<H", entries) + tags + struct.pack("<I", 8 + size * (n + 1) if n < pages - 1 else 0)
        for n in range(pages)
    ]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(parts)


def png(width: int, height: int, idat: bytes, *, bits: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


def png_text_bomb() -> bytes:
    """A compressed text chunk that expands to 300 MB."""
    data = b"Comment\0\0" + zeros_deflated(300)
    return png(
        64, 64, zlib.compress(bytes(64 * 65)),
        extra=struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data)),
    )  # fmt: skip


@lru_cache
def zeros_deflated(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def zeros_lzma(megabytes: int) -> bytes:
    packer = lzma.LZMACompressor(preset=0)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def greedy_lzma() -> bytes:
    """A stream that asks for a dictionary of 1.5 GB."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**20}]
    raw = bytearray(
        lzma.compress(bytes(64 * 64), format=lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=filters)
    )
    raw[16] = 39  # dictionary size code in the block header; its checksum follows
    raw[20:24] = struct.pack("<I", zlib.crc32(bytes(raw[12:20])))
    return bytes(raw)


def jpeg_claiming(side: int) -> bytes:
    data = bytearray(imagecodecs.jpeg8_encode(np.zeros((64, 64), np.uint8)))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, side, side)
    return bytes(data)


SOME_ZSTD = imagecodecs.zstd_encode(bytes(100))
BOMBS: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "tiff_huge_claim": (lambda: tiff(2**31 - 1, 8, b"x" * 100), {"too_large"}),
    "tiff_deflate_bomb": (lambda: tiff(64, 8, zeros_deflated(300)), {"constant", "truncated"}),
    "tiff_deflate_too_little": (lambda: tiff(1999, 8, zlib.compress(bytes(100))), {"truncated"}),
    "tiff_lzw_too_little": (lambda: tiff(1999, 5, b"\x80\x00\x40\x40"), {"truncated"}),
    "tiff_lzw_bomb": (lambda: tiff(64, 5, imagecodecs.lzw_encode(bytes(2**26))), {"constant", "truncated"}),
    "tiff_zstd_bomb": (
        lambda: tiff(64, 50000, imagecodecs.zstd_encode(bytes(500_000_000))), {"constant", "truncated"}
    ),
    "tiff_lzma_bomb": (lambda: tiff(64, 34925, zeros_lzma(300)), {"constant", "truncated"}),
    "tiff_lzma_dictionary": (lambda: tiff(64, 34925, greedy_lzma()), {"constant", "truncated"}),
    "tiff_packbits_bomb": (lambda: tiff(64, 32773, b"\x81\x00" * 2**22), {"constant", "truncated"}),
    "tiff_jpeg_bomb": (lambda: tiff(64, 7, jpeg_claiming(60_000)), {"broken_ifd"}),
    "tiff_webp_bomb": (
        lambda: tiff(64, 50001, b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8L" + struct.pack("<I", 10)
                     + b"\x2f" + struct.pack("<I", 0xFFFFFFF) + bytes(8)), {"broken_ifd"},
    ),
    "tiff_giant_tile": (
        lambda: tiff(64, 50000, SOME_ZSTD, width=(322, 4, 1, 65_520), length=(323, 4, 1, 65_520),
                     offsets=(324, 4, 1, 8), counts=(325, 4, 1, 20)), {"broken_ifd"},
    ),
    "tiff_many_channels": (
        lambda: tiff(1999, 50000, SOME_ZSTD, samples=(277, 3, 1, 16), bits=(258, 3, 1, 64),
                     kind=(339, 3, 1, 3)), {"too_large", "unsupported_dtype"},
    ),
    "tiff_giant_tag": (lambda: tiff(64, 1, bytes(4096), text=(270, 2, 2**32 - 1, 8)), {"truncated"}),
    "tiff_giant_strip_list": (
        lambda: tiff(64, 1, bytes(40_000_000), offsets=(273, 4, 10_000_000, 8),
                     counts=(279, 4, 10_000_000, 8)), {"truncated", "broken_ifd"},
    ),
    "tiff_overlapping_directories": (overlapping_directories, {"broken_ifd", "too_large", "truncated"}),
    "tiff_many_directories": (many_directories, {"too_large"}),
    "png_huge_claim": (lambda: png(2**31 - 1, 2**31 - 1, zlib.compress(b"")), {"too_large"}),
    "png_too_little": (lambda: png(1999, 1999, zlib.compress(bytes(100)), bits=16, colour=6), {"truncated"}),
    "png_deflate_bomb": (lambda: png(64, 64, zeros_deflated(300)), {"constant", "truncated"}),
    "png_text_bomb": (png_text_bomb, {"constant", "truncated"}),
    "jpeg_huge_claim": (lambda: jpeg_claiming(65_500), {"too_large"}),
    "bmp_huge_claim": (
        lambda: b"BM" + struct.pack("<IHHIIiiHHI", 100, 0, 0, 54, 40, 60_000, -60_000, 1, 24, 0) + bytes(100),
        {"too_large"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def reader() -> Iterator[subprocess.Popen[str]]:
    """A process that reads what it is told to, and says what that took."""
    pytest.importorskip("resource", reason="peak memory of a process is asked the POSIX way")
    command = [sys.executable, "-c", _READER, str(PIXELS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def told_of(reader: subprocess.Popen[str], path: Path) -> dict[str, Any]:
    assert reader.stdin is not None
    assert reader.stdout is not None
    reader.stdin.write(f"{path}\n")
    reader.stdin.flush()
    told: dict[str, Any] = json.loads(reader.stdout.readline())
    return told


@pytest.mark.parametrize("name", BOMBS)
def test_each_bomb_is_defused(tmp_path: Path, reader: subprocess.Popen[str], name: str) -> None:
    make, codes = BOMBS[name]
    path = tmp_path / f"{name}.tif"
    path.write_bytes(make())
    told = told_of(reader, path)
    assert told["code"] in codes, told
    assert told["grown"] < BOUND_BYTES, told
    assert told["seconds"] < SECONDS, told
