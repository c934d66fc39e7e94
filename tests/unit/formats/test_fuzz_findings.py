"""Each input that fuzzing (``python -m tests.torture --scenario fuzz``) found to be more than a fault."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from semdaemon.errors import FrameError
from semdaemon.formats import read_frames

from .making import LIMITS, picture


def _with_entry(data: bytes, code: int, dtype: int, count: int, value: bytes) -> bytes:
    """A little-endian TIFF with one entry of its first directory replaced; the value stands in the entry."""
    raw = bytearray(data)
    at = struct.unpack_from("<I", raw, 4)[0]
    for number in range(struct.unpack_from("<H", raw, at)[0]):
        entry = at + 2 + 12 * number
        if struct.unpack_from("<H", raw, entry)[0] == code:
            raw[entry + 2 : entry + 12] = struct.pack("<HI", dtype, count) + value
    return bytes(raw)


def _written(**options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, picture(dtype="uint8"), metadata=None, **options)  # type: ignore[arg-type]
    return file.getvalue()


def _read(tmp_path: Path, data: bytes) -> list[np.ndarray]:  # type: ignore[type-arg]
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    return [frame.pixels for frame in read_frames(path, limits=LIMITS)]


def test_one_channel_that_calls_itself_colour_is_grey(tmp_path: Path) -> None:
    data = _with_entry(_written(tile=(32, 32), compression="zlib"), 262, 3, 1, struct.pack("<HH", 2, 0))
    (pixels,) = _read(tmp_path, data)
    np.testing.assert_array_equal(pixels, picture(dtype="uint8"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("code", [257, 278, 273, 279])
def test_a_number_that_is_none_is_a_fault_or_left_alone(tmp_path: Path, code: int, value: float) -> None:
    data = _with_entry(_written(), code, 11, 1, struct.pack("<f", value))
    if code == 278:  # rows per strip: one strip is what there is
        assert len(_read(tmp_path, data)) == 1
        return
    with pytest.raises(FrameError) as caught:
        _read(tmp_path, data)
    assert caught.value.code in ("truncated", "zero_sized", "broken_ifd")


def test_a_strip_below_zero_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FrameError) as caught:
        _read(tmp_path, _with_entry(_written(), 273, 9, 1, struct.pack("<i", -4000)))
    assert caught.value.code == "truncated"


def test_a_colour_map_of_numbers_too_large_is_left_alone(tmp_path: Path) -> None:
    palette = _written(photometric="palette", colormap=np.full((3, 256), 65535, np.uint16))
    at = palette.index(b"\xff" * 1536)
    raw = bytearray(palette)
    raw[at : at + 4] = struct.pack("<I", 2036465664)
    data = _with_entry(bytes(raw), 320, 4, 384, struct.pack("<I", at))
    assert len(_read(tmp_path, data)) == 1


@pytest.mark.parametrize(
    ("compression", "find", "at", "claim"),
    [
        ("lerc", b"Lerc2 ", 22, struct.pack("<i", 16_777_217)),
        ("jpeg2000", b"\xff\x4f\xff\x51", 40, struct.pack(">H", 16_384)),
        ("webp", b"WEBPVP8L", 13, struct.pack("<I", 0x0FFFFFFF)),
    ],
)
def test_a_stream_that_claims_more_than_its_page_is_a_fault_before_memory_is_taken(
    tmp_path: Path, compression: str, find: bytes, at: int, claim: bytes
) -> None:
    file = io.BytesIO()
    pixels = picture(dtype="uint8")
    shown = np.stack([pixels] * 3, -1) if compression == "webp" else pixels
    tifffile.imwrite(file, shown, metadata=None, compression=compression)
    raw = bytearray(file.getvalue())
    start = raw.index(find) + at
    raw[start : start + len(claim)] = claim
    with pytest.raises(FrameError) as caught:
        _read(tmp_path, bytes(raw))
    assert caught.value.code == "broken_ifd"
    assert "holds a picture" in caught.value.message
