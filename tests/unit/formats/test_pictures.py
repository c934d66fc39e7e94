"""PNG, BMP and JPEG."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from semdaemon.errors import FrameError
from semdaemon.formats import read_frames

from .making import LIMITS, picture


@pytest.mark.parametrize("extension", ["png", "bmp", "jpg"])
def test_grey_and_equal_channels(tmp_path: Path, extension: str) -> None:
    pixels = np.repeat(np.repeat(picture((48, 40), "uint8"), 2, 0), 2, 1)
    for mode in ("L", "RGB"):
        path = tmp_path / f"{mode}.{extension}"
        Image.fromarray(pixels).convert(mode).save(path)
        (frame,) = read_frames(path, limits=LIMITS)
        assert frame.pixels.dtype == np.uint8
        assert np.abs(frame.pixels.astype(int) - pixels).max() <= (40 if extension == "jpg" else 0)
        assert frame.warnings == ()


def test_png_with_16_bits_grey_rgb_and_opacity(tmp_path: Path) -> None:
    pixels = picture(dtype="uint16")
    opaque = np.full_like(pixels, 65535)
    for name, planes in {"l": [pixels], "la": [pixels, opaque], "rgb": [pixels] * 3}.items():
        samples = pixels if name == "l" else np.stack(planes, axis=-1)
        path = tmp_path / f"{name}.png"
        path.write_bytes(imagecodecs.png_encode(samples))
        np.testing.assert_array_equal(read_frames(path, limits=LIMITS)[0].pixels, pixels)


def test_png_palette(tmp_path: Path) -> None:
    pixels = picture(dtype="uint8")
    path = tmp_path / "a.png"
    image = Image.fromarray(pixels)
    image.convert("P").save(path)
    np.testing.assert_array_equal(read_frames(path, limits=LIMITS)[0].pixels, pixels)


@pytest.mark.parametrize("extension", ["png", "bmp", "jpg"])
def test_true_colour_is_refused(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    with pytest.raises(FrameError) as caught:
        read_frames(path, limits=LIMITS)
    assert caught.value.code == "true_colour"


@pytest.mark.parametrize("extension", ["png", "bmp", "jpg"])
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.95])
def test_cut_off_files_may_heal(tmp_path: Path, extension: str, keep: float) -> None:
    path = tmp_path / f"a.{extension}"
    Image.fromarray(picture(dtype="uint8")).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(FrameError) as caught:
        read_frames(path, limits=LIMITS)
    assert (caught.value.code, caught.value.may_heal) == ("truncated", True)


def test_bilevel_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(picture(dtype="uint8") > 128).save(path)
    with pytest.raises(FrameError) as caught:
        read_frames(path, limits=LIMITS)
    assert caught.value.code == "unsupported_dtype"


@pytest.mark.filterwarnings("error")
def test_pictures_above_pillows_guard_are_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = tmp_path / "a.bmp"
    Image.fromarray(picture(dtype="uint8")).save(path)
    with pytest.raises(FrameError) as caught:
        read_frames(path, limits=LIMITS)
    assert caught.value.code == "too_large"
