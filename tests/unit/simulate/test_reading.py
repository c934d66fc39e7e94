"""The daemon's own readers understand what the simulator writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semdaemon.formats import read_frames
from semdaemon.frame import Area
from semdaemon.settings import Limits
from semdaemon.simulate import VENDORS, Microscope, MicroscopeSettings, Mode, Vendor, WrittenFrame

SETTINGS = MicroscopeSettings(shape=(256, 320), interval_s=0.0, write_s=0.0)


def one_frame(folder: Path, settings: MicroscopeSettings) -> WrittenFrame:
    written: list[WrittenFrame] = []
    Microscope(settings).write_frames(folder, 1, on_frame=written.append)
    return written[0]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("bits", [8, 16])
def test_picture_bar_scale_and_time_are_read_back(tmp_path: Path, vendor: Vendor, bits: int) -> None:
    written = one_frame(tmp_path, replace(SETTINGS, vendor=vendor, bits=bits))
    (frame,) = read_frames(written.path, limits=Limits())
    assert frame.warnings == ()
    assert frame.image_area == Area(0, 0, 256, 320)
    assert np.array_equal(frame.image, written.frame.pixels)
    if vendor == "none":
        assert (frame.vendor, frame.pixel_size_m, frame.acquired_at) == (None, None, None)
    else:
        assert frame.vendor == vendor
        assert frame.pixel_size_m == pytest.approx((20e-9, 20e-9), rel=0.02)
        assert frame.acquired_at is not None


@pytest.mark.parametrize("mode", ["pieces", "preallocate", "rename"])
def test_a_frame_without_data_bar_is_picture_to_its_last_row(tmp_path: Path, mode: Mode) -> None:
    written = one_frame(tmp_path, replace(SETTINGS, data_bar=False, mode=mode))
    (frame,) = read_frames(written.path, limits=Limits())
    assert frame.image_area == Area(0, 0, 256, 320)
