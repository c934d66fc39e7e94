"""Metadata say the truth about pixel size and data bar in each vendor's own way."""

from __future__ import annotations

import configparser
import io
from datetime import UTC, datetime

import numpy as np
import pytest
import tifffile

from semdaemon.simulate import VENDORS, Microscope, MicroscopeSettings, Vendor
from semdaemon.simulate.acquisition import Acquisition, metres, scale_bar, sidecar
from semdaemon.simulate.databar import bar_height_px, draw_bar, with_data_bar

WHEN = datetime(2026, 3, 4, 15, 6, 7, tzinfo=UTC)
FACTS = Acquisition("frame_00001", WHEN, (768, 1024), 59, 20e-9, 8)


def encoded(vendor: Vendor, bits: int = 8) -> tifffile.TiffFile:
    microscope = Microscope(MicroscopeSettings(shape=(128, 256), vendor=vendor, bits=bits))
    file, _ = microscope.encode(microscope.frame(0), "frame_00000", WHEN)
    return tifffile.TiffFile(io.BytesIO(file.data))


def test_zeiss_pixel_size_stands_in_tag_34118_in_metres_and_in_words() -> None:
    with encoded("zeiss") as file:
        metadata = file.sem_metadata
    assert metadata is not None
    assert metadata[""][3] == pytest.approx(20e-9 * 256 / 1024)
    assert metadata["ap_image_pixel_size"] == ("Image Pixel Size", 20.0, "nm")
    assert metadata["ap_wd"][1:] == (5.0, "mm")


def test_fei_pixel_size_and_bar_height_stand_in_tag_34682() -> None:
    with encoded("fei") as file:
        metadata = file.fei_metadata
        height = file.pages.first.shape[0]
    assert metadata is not None
    assert metadata["Scan"]["PixelWidth"] == pytest.approx(20e-9)
    assert metadata["Image"]["ResolutionY"] + metadata["PrivateFei"]["DatabarHeight"] == height


def test_tescan_sidecar_has_pixel_size_and_strip_size() -> None:
    found = sidecar("tescan", FACTS)
    assert found is not None
    assert found[0] == ".hdr"
    parser = configparser.ConfigParser()
    parser.read_string(found[1])
    assert parser.getfloat("MAIN", "PixelSizeX") == pytest.approx(20e-9)
    assert parser.getint("MAIN", "ImageStripSize") == 59


def test_jeol_sidecar_gives_the_scale_by_its_bar() -> None:
    found = sidecar("jeol", FACTS)
    assert found is not None
    values = dict(line.lstrip("$").split(" ", 1) for line in found[1].splitlines())
    length_m = float(values["SM_MICRON_MARKER"].removesuffix("um")) * 1e-6
    assert length_m / int(values["SM_MICRON_BAR"]) == pytest.approx(20e-9, rel=0.02)
    assert values["CM_FULL_SIZE"] == "1024 768"


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("bits", [8, 16])
def test_the_bar_stands_below_the_picture_and_leaves_it_alone(vendor: Vendor, bits: int) -> None:
    kind = np.uint8 if bits == 8 else np.uint16
    picture = np.full((768, 1024), 100, kind)
    whole = with_data_bar(picture, vendor, FACTS)
    assert whole.shape == (827, 1024)
    assert whole.dtype == kind
    assert np.array_equal(whole[:768], picture)
    assert set(np.unique(whole[768:])) >= {0, np.iinfo(kind).max}


def test_the_scale_bar_is_drawn_as_long_as_it_says() -> None:
    length_m, length_px = scale_bar(FACTS)
    assert (length_m, length_px) == (pytest.approx(2e-6), 100)
    bar = draw_bar("fei", FACTS)
    row = bar[round(59 * 0.72), 760:1020] == 255
    assert row.sum() == pytest.approx(length_px, abs=3)


def test_lengths_are_printed_as_people_write_them() -> None:
    assert metres(20.48e-6, 3) == "20.5 µm"
    assert metres(543e-12) == "543 pm"
    assert bar_height_px(1024) == 59
