"""Micro-Manager's tags, as its versions and backends write them, become a frame or a clear refusal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from semdaemon.errors import FrameError
from semdaemon.settings import Limits
from semdaemon.sources.micromanager.camera import identity_of, number_of
from semdaemon.sources.micromanager.owned import explained
from semdaemon.sources.micromanager.tags import frame_from
from semdaemon.sources.unsaved import UnsavedFrame

PIXELS = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)
JAVA = {
    "Height": "40", "Width": "50", "PixelType": "GRAY16", "PixelSizeUm": "0.5", "ImageNumber": "7",
    "Exposure": "50.0", "ReceivedTime": "2026-03-01 18:00:00.250 +0100", "Z-Position": "1.25",
}  # fmt: skip
PYTHON = {
    "Height": 40, "Width": 50, "PixelType": None, "PixelSize_um": 1.0, "ElapsedTime-ms": 12.5,
    "Time": "2026-03-01 18:00:00 -",
}  # fmt: skip


def frame(tags: dict[str, Any], pixels: np.ndarray = PIXELS) -> UnsavedFrame:
    return frame_from(tags, pixels.tobytes(), pixels.dtype.name, Limits(max_pixels=10_000))


def refusal(tags: dict[str, Any], pixels: np.ndarray = PIXELS) -> str:
    with pytest.raises(FrameError) as caught:
        frame(tags, pixels)
    return caught.value.code


def test_tags_as_texts() -> None:
    made = frame(JAVA)
    assert (made.pixels == PIXELS).all()
    assert made.pixel_size_m == (5e-7, 5e-7)
    assert made.acquired_at == datetime(2026, 3, 1, 17, 0, 0, 250000, UTC)
    assert made.vendor == "micromanager"
    assert dict(made.metadata) == JAVA


def test_tags_as_numbers_with_the_other_name_for_the_pixel_size_and_no_pixel_type() -> None:
    made = frame(PYTHON)
    assert made.pixel_size_m == (1e-6, 1e-6)
    assert made.acquired_at is not None  # of its arrival: the tag's time has no zone that can be read


@pytest.mark.parametrize("size", [0, "0", 0.0, "", None, "none", float("nan")])
def test_a_pixel_size_that_says_nothing_is_unknown(size: object) -> None:
    assert frame({**JAVA, "PixelSizeUm": size}).pixel_size_m is None


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_other_grey_types(kind: str) -> None:
    made = frame({**JAVA, "PixelType": "GRAY8"}, PIXELS.astype(kind))
    assert made.pixels.dtype == kind


@pytest.mark.parametrize(
    ("tags", "pixels"),
    [
        ({**JAVA, "PixelType": "RGB32"}, np.zeros((40, 50, 4), np.uint8)),
        ({**JAVA, "PixelType": "RGB64"}, np.zeros((40, 50, 4), np.uint16)),
        ({**JAVA, "PixelType": None}, np.zeros((40, 50, 4), np.uint8)),
        ({**JAVA, "PixelType": "RGB32"}, np.zeros((40, 50), np.uint32)),
    ],
)
def test_colour_is_refused_with_what_to_set(tags: dict[str, Any], pixels: np.ndarray) -> None:
    with pytest.raises(FrameError) as caught:
        frame(tags, pixels)
    assert caught.value.code == "true_colour"
    assert "8bit or 16bit" in caught.value.remedy


def test_what_does_not_fit_is_refused() -> None:
    assert refusal({**JAVA, "Height": "41"}) == "wrong_size"
    assert refusal({**JAVA, "Height": "-40"}) == "no_size"
    assert refusal({**JAVA, "Width": "many"}) == "no_size"
    assert refusal({**JAVA, "Width": "1e400"}) == "no_size"
    assert refusal({name: tag for name, tag in JAVA.items() if name != "Width"}) == "no_size"
    assert refusal({**JAVA, "Height": "100000", "Width": "100000"}) == "too_large"
    assert refusal(JAVA, PIXELS.astype(np.float64)) == "unsupported_dtype"


def test_the_same_number_in_the_next_sequence_is_another_image() -> None:
    first = {"Camera": "C", "ImageNumber": "0", "ElapsedTime-ms": "1.0"}
    assert identity_of(first) == identity_of(dict(first))
    assert identity_of(first) != identity_of({**first, "ImageNumber": "1"})
    assert identity_of(first) != identity_of({**first, "ElapsedTime-ms": "2.0"})
    assert identity_of({"Camera": "C"}) == ""
    assert (number_of(first), number_of({}), number_of({"ImageNumber": None})) == (0, None, None)


def test_drivers_of_another_device_interface_name_the_packages_to_pin() -> None:
    said = explained(
        'Line 7: Device,DHub,DemoCamera,DHub\nFailed to load device adapter "DemoCamera" from "/x.so.0" '
        "[ Incompatible device interface version (MMCore requires 75; device adapter has 74) ]\n\n",
        "MMCore Device API version 75, Module API version 10",
    )
    assert "Pin pymmcore" in said
    assert "x.y.z.74.w" in said
    assert "mm-test-adapters 75.*" in said
    assert "\n" not in said
    other = explained("Camera is not\nconnected", "Device API version 75")
    assert other == "Camera is not connected"
