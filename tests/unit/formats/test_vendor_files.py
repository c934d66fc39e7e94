"""Files as instruments wrote them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile

from semdaemon.errors import FrameError
from semdaemon.formats import bar_top, read_frames, read_metadata, tail_is_uniform
from semdaemon.frame import Area, Frame

from .making import LIMITS


def one(path: Path) -> Frame:
    (frame,) = read_frames(path, limits=LIMITS)
    json.dumps(dict(frame.metadata), allow_nan=False)
    return frame


def test_zeiss(vendor_data: Path) -> None:
    frame = one(vendor_data / "zeiss_nanoporous_gold.tif")
    assert frame.vendor == "zeiss"
    assert frame.pixel_size_m == pytest.approx((5.429688e-10, 5.429688e-10))
    assert frame.image_area == Area(0, 0, 691, 1024)
    assert frame.metadata["AP_WIDTH"] == "556.0 nm"
    assert frame.acquired_at is not None
    assert frame.acquired_at.isoformat()[:19] == "2016-07-11T15:54:11"
    assert frame.pixels.dtype == np.uint8  # a palette, but of grey


def test_fei_16_bit_with_a_data_bar(vendor_data: Path) -> None:
    frame = one(vendor_data / "fei_16bit_data_bar.tif")
    assert frame.vendor == "fei"
    assert frame.pixel_size_m == pytest.approx((3.25521e-7, 3.25521e-7))
    assert frame.image_area == Area(0, 0, 1024, 1536)
    assert frame.acquired_at is not None
    assert frame.acquired_at.isoformat()[:19] == "2023-04-17T16:47:49"
    np.testing.assert_array_equal(frame.pixels, tifffile.imread(vendor_data / "fei_16bit_data_bar.tif"))


def test_fei_quanta(vendor_data: Path) -> None:
    frame = one(vendor_data / "fei_quanta.tif")
    assert frame.pixel_size_m == pytest.approx((4.41942e-7, 4.41942e-7))
    assert frame.image_area == Area(0, 0, 884, 1024)


def test_fei_32_bit_without_any_metadata(vendor_data: Path) -> None:
    frame = one(vendor_data / "fei_32bit.tif")
    assert frame.pixels.dtype == np.int32
    assert (frame.vendor, frame.pixel_size_m) == (None, None)


def test_tescan(vendor_data: Path) -> None:
    frame = one(vendor_data / "tescan_16bit.tif")
    assert frame.vendor == "tescan"
    assert frame.pixel_size_m == pytest.approx((1.46484375e-7, 1.46484375e-7))
    assert frame.image_area == Area(0, 0, 768, 1024)
    assert frame.acquired_at == datetime(2023, 3, 27, 0, 47, 19, tzinfo=UTC)
    assert frame.metadata["SEM"]["HV"] == 30000.0  # type: ignore[index]


def test_bar_without_tags(vendor_data: Path) -> None:
    frame = one(vendor_data / "fibres_data_bar_without_tags.tif")
    assert frame.image_area == Area(0, 0, 884, 1024)
    assert frame.pixel_size_m is None  # ImageJ's default of 33 pixels a centimetre is no scale
    assert any("not believed" in warning for warning in frame.warnings)


@pytest.mark.parametrize(
    ("name", "vendor", "size_m", "picture"),
    [
        ("zeiss_orion_blank.tif", "zeiss", (9.7656606023011e-10, 9.765625e-10), (1024, 1024)),
        ("fei_scios_xml.tif", "fei", (2.69792e-8, 2.69792e-8), (1024, 1536)),
        ("tescan_blank.tif", "tescan", (1.5625e-9, 1.5625e-9), (1280, 1280)),
    ],
)
def test_blanked_files_are_constant_and_still_tell(
    vendor_data: Path, name: str, vendor: str, size_m: tuple[float, float], picture: tuple[int, int]
) -> None:
    with pytest.raises(FrameError) as caught:
        read_frames(vendor_data / name, limits=LIMITS)
    assert (caught.value.code, caught.value.may_heal) == ("constant", False)
    told = read_metadata(vendor_data / name)
    assert (told.vendor, told.picture, told.warnings) == (vendor, picture, ())
    assert told.pixel_size_m == pytest.approx(size_m)
    assert told.acquired_at is not None
    assert told.acquired_at.utcoffset() is not None
    json.dumps(dict(told.metadata), allow_nan=False)


def test_fei_xml_is_parsed(vendor_data: Path) -> None:
    told = read_metadata(vendor_data / "fei_scios_xml.tif")
    assert told.metadata["xml"]["Instrument"]["InstrumentClass"] == "Scios 2"  # type: ignore[index]


def test_tescan_sidecar_alone_tells_the_same(vendor_data: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.tif"
    tifffile.imwrite(image, np.zeros((1578, 1280), np.uint16), metadata=None)
    (tmp_path / "a.hdr").write_bytes((vendor_data / "tescan_blank.hdr").read_bytes())
    told = read_metadata(image)
    tagged = read_metadata(vendor_data / "tescan_blank.tif", sidecar="none")
    assert (told.pixel_size_m, told.picture, told.acquired_at) == (
        tagged.pixel_size_m,
        tagged.picture,
        tagged.acquired_at,
    )
    assert told.metadata["SEM"]["Detector"] == "E-T"  # type: ignore[index]


def test_jeol_sidecar(vendor_data: Path, tmp_path: Path) -> None:
    image = tmp_path / "sample.tif"
    tifffile.imwrite(image, np.random.default_rng(1).integers(0, 255, (1024, 1280), np.uint8), metadata=None)
    (tmp_path / "sample.txt").write_bytes((vendor_data / "jeol_sidecar.txt").read_bytes())
    frame = one(image)
    assert frame.vendor == "jeol"
    assert frame.pixel_size_m == pytest.approx((1e-5 / 106, 1e-5 / 106))
    assert frame.image_area == Area(0, 0, 960, 1280)
    assert frame.acquired_at is not None
    assert frame.acquired_at.isoformat()[:19] == "2023-07-13T14:38:59"
    assert frame.metadata["CM_TITLE"] == "sampleA_001"


@pytest.mark.parametrize("name", ["fei_broken_metadata.tif", "fei_no_scan_section.tif"])
def test_broken_directories_are_a_clear_fault(vendor_data: Path, name: str) -> None:
    with pytest.raises(FrameError) as caught:
        read_frames(vendor_data / name, limits=LIMITS)
    assert caught.value.code == "broken_ifd"
    assert "text-mode transfer" in caught.value.remedy


def test_bars_are_found_from_pixels_where_metadata_say_them(vendor_data: Path) -> None:
    for name in ("fei_16bit_data_bar.tif", "fei_quanta.tif", "tescan_16bit.tif"):
        frame = one(vendor_data / name)
        assert bar_top(frame.pixels) == frame.image_area.bottom, name


def test_finished_files_do_not_look_preallocated(vendor_data: Path) -> None:
    for path in sorted(vendor_data.glob("*.tif")):
        if (
            "blank" not in path.name
            and "xml" not in path.name
            and path.name[:8] not in ("fei_brok", "fei_no_s")
        ):
            assert not tail_is_uniform(one(path).pixels), path.name


def test_frames_without_a_bar_keep_every_row(sem_data: Path) -> None:
    for path in sorted(sem_data.glob("*/*.png")):
        frame = one(path)
        assert frame.image_area == Area.whole(frame.shape), path.name
        assert bar_top(frame.pixels >> 6) is None, path.name  # as for JPEG
        top = frame.pixels[: frame.shape[0] * 2 // 3]
        assert bar_top(top) is None, path.name
