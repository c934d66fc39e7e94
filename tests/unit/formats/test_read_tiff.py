"""Every flavour of grey TIFF gives its pixels, in native byte order, unchanged."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile

from semdaemon.formats import read_frames, tail_is_uniform
from semdaemon.settings import Limits

from .making import LIMITS, picture, write_tiff

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")
LAYOUTS = ({"rowsperstrip": 7}, {"rowsperstrip": 96}, {"tile": (32, 48)})
COMPRESSIONS = (None, "lzw", "zlib", "zstd", "packbits", "lzma", "deflate-predictor", "zstd-predictor")


def _options(compression: str | None, dtype: str) -> dict[str, object]:
    if compression is None:
        return {}
    name, _, predictor = compression.partition("-")
    # Predictors are defined for whole bytes of integers; floats have their own.
    return {"compression": name, **({"predictor": True} if predictor else {})}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_round_trip_over_byte_order_and_layout(tmp_path: Path, dtype: str, compression: str | None) -> None:
    pixels = picture(dtype=dtype)
    for number, (order, layout) in enumerate(itertools.product("<>", LAYOUTS)):
        options = _options(compression, dtype)
        path = write_tiff(tmp_path / f"{number}.tif", pixels, byteorder=order, **layout, **options)
        (frame,) = read_frames(path, limits=LIMITS)
        np.testing.assert_array_equal(frame.pixels, pixels)
        assert frame.pixels.dtype == pixels.dtype
        assert frame.pixels.dtype.isnative
        assert not frame.pixels.flags.writeable
        assert frame.warnings == ()


@pytest.mark.parametrize("compression", ["jpegxl", "jpegxr", "jpeg2000", "lerc", "png"])
def test_lossless_picture_codecs(tmp_path: Path, compression: str) -> None:
    pixels = picture(dtype="uint8")
    args = {"compressionargs": {"lossless": True}} if compression == "jpegxl" else {}
    path = write_tiff(tmp_path / "a.tif", pixels, compression=compression, **args)
    (frame,) = read_frames(path, limits=LIMITS)
    assert np.abs(frame.pixels.astype(int) - pixels).max() <= 1


def test_bigtiff(tmp_path: Path) -> None:
    pixels = picture()
    path = write_tiff(tmp_path / "a.tif", pixels, bigtiff=True, byteorder=">", rowsperstrip=5)
    np.testing.assert_array_equal(read_frames(path, limits=LIMITS)[0].pixels, pixels)


def test_float64_becomes_float32_with_a_warning(tmp_path: Path) -> None:
    pixels = picture(dtype="float64")
    (frame,) = read_frames(write_tiff(tmp_path / "a.tif", pixels), limits=LIMITS)
    np.testing.assert_array_equal(frame.pixels, pixels.astype(np.float32))
    assert any("float32" in warning for warning in frame.warnings)


def test_content_hash_and_uri(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a b.tif", picture())
    (frame,) = read_frames(path, limits=LIMITS, source="elsewhere")
    assert frame.content_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert frame.uri == path.resolve().as_uri()
    assert frame.source == "elsewhere"


def test_every_page_is_a_frame_and_thumbnails_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = [picture(seed=k) for k in range(3)]
    with tifffile.TiffWriter(path) as writer:
        for page in pages:
            writer.write(page, metadata=None, contiguous=False)
            writer.write(page[::2, ::2], metadata=None, subfiletype=1)
    frames = read_frames(path, limits=LIMITS)
    assert [frame.page for frame in frames] == [0, 1, 2]
    for frame, page in zip(frames, pages, strict=True):
        np.testing.assert_array_equal(frame.pixels, page)
    assert [frame.uri.partition("#")[2] for frame in frames] == ["", "page=1", "page=2"]
    assert len({frame.id for frame in frames}) == 3
    (only,) = read_frames(path, limits=LIMITS, only_page=2)
    assert only.id == frames[2].id


def test_imagej_hyperstack_with_one_directory(tmp_path: Path) -> None:
    stack = np.stack([picture(seed=k) for k in range(4)])
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, imagej=True, resolution=(20, 20), metadata={"axes": "TYX", "unit": "um"})
    whole = read_frames(path, limits=LIMITS)
    cut = tmp_path / "cut.tif"  # ImageJ itself writes one directory for all planes
    data = bytearray(path.read_bytes())
    _end_directories_after_the_first(data)
    cut.write_bytes(data)
    for frames in (whole, read_frames(cut, limits=LIMITS)):
        assert len(frames) == 4
        np.testing.assert_array_equal(np.stack([frame.pixels for frame in frames]), stack)
        assert frames[0].vendor == "imagej"
        assert frames[3].pixel_size_m == pytest.approx((5e-8, 5e-8))


def _end_directories_after_the_first(data: bytearray) -> None:
    order = "little" if data[:2] == b"II" else "big"
    start = int.from_bytes(data[4:8], order)
    entries = int.from_bytes(data[start : start + 2], order)
    at = start + 2 + 12 * entries
    data[at : at + 4] = bytes(4)


def test_rgb_with_equal_channels_is_grey(tmp_path: Path) -> None:
    pixels = picture(dtype="uint16")
    opaque = np.full_like(pixels, 65535)
    cases = {
        "rgb": np.stack([pixels] * 3, axis=-1),
        "rgba": np.stack([*[pixels] * 3, opaque], axis=-1),
    }
    for name, samples in cases.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, samples, photometric="rgb", compression="zstd")
        np.testing.assert_array_equal(read_frames(path, limits=LIMITS)[0].pixels, pixels)
    planar = tmp_path / "planar.tif"
    tifffile.imwrite(planar, np.stack([pixels] * 3), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_frames(planar, limits=LIMITS)[0].pixels, pixels)


def test_grey_palettes_give_grey_levels(tmp_path: Path) -> None:
    pixels = picture(dtype="uint8")
    identity = np.stack([np.arange(256, dtype=np.uint16) * 257] * 3)
    path = tmp_path / "identity.tif"
    tifffile.imwrite(path, pixels, photometric="palette", colormap=identity)
    np.testing.assert_array_equal(read_frames(path, limits=LIMITS)[0].pixels, pixels)
    path = tmp_path / "inverted.tif"
    tifffile.imwrite(path, pixels, photometric="palette", colormap=identity[:, ::-1].copy())
    np.testing.assert_array_equal(read_frames(path, limits=LIMITS)[0].pixels, 255 - pixels)


def test_white_is_zero_keeps_the_stored_values(tmp_path: Path) -> None:
    pixels = picture()
    path = write_tiff(tmp_path / "a.tif", pixels, photometric="miniswhite")
    np.testing.assert_array_equal(read_frames(path, limits=LIMITS)[0].pixels, pixels)


def test_a_page_that_cannot_be_served_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture(), metadata=None)
        writer.write(np.zeros((96, 80), np.uint16), metadata=None)
        writer.write(picture(seed=9), metadata=None)
    frames = read_frames(path, limits=LIMITS)
    assert [frame.page for frame in frames] == [0, 2]
    assert any("page 1 is left out" in warning and "constant" in warning for warning in frames[0].warnings)


def test_tail_of_a_preallocated_file_is_uniform(tmp_path: Path) -> None:
    pixels = picture()
    assert not tail_is_uniform(pixels)
    pixels[50:] = 0
    assert tail_is_uniform(pixels)
    path = write_tiff(tmp_path / "a.tif", pixels)
    assert tail_is_uniform(read_frames(path, limits=LIMITS)[0].pixels)


def test_small_sides_are_allowed_down_to_the_limit(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", picture((32, 40)))
    assert read_frames(path, limits=Limits(min_side_px=32))[0].shape == (32, 40)
