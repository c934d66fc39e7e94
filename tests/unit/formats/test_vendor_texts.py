"""What vendors write, made by hand: styles, traps, damage."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import tifffile

from semdaemon.formats import read_frames, read_metadata, sidecar_path
from semdaemon.formats.vendors.texts import length_m, lengths_m, parse_xml, plain

from .making import LIMITS, picture, write_tiff


def zeiss(path: Path, lines: list[str], shape: tuple[int, int] = (96, 80)) -> Path:
    raw = "\r\n".join(lines).encode("latin-1") + b"\0"
    return write_tiff(path, picture(shape), extratags=[(34118, 2, None, raw, True)])


def fei(path: Path, text: str, shape: tuple[int, int] = (96, 80)) -> Path:
    return write_tiff(path, picture(shape), extratags=[(34682, 2, None, text.encode("latin-1"), True)])


def test_zeiss_takes_the_images_pixel_not_the_monitors(tmp_path: Path) -> None:
    # hyperspy#2056: a 2048-column image on a 1024-column display; AP_PIXEL_SIZE is the display's.
    head = ["0", "0", "0", "1.000000e-009", "1.0", "6"]
    named = ["AP_PIXEL_SIZE", "Pixel Size = 1.000 nm", "AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 500.0 pm"]
    told = read_metadata(zeiss(tmp_path / "a.tif", head + named, (100, 2048)))
    assert told.pixel_size_m == pytest.approx((5e-10, 5e-10))
    assert told.warnings == ()
    without = read_metadata(
        zeiss(tmp_path / "b.tif", [*head[:3], *named[:2], "AP_WIDTH", "Width = 2.048 µm"], (64, 2048))
    )
    assert without.pixel_size_m == pytest.approx((1e-9, 1e-9))
    only_monitor = read_metadata(zeiss(tmp_path / "c.tif", named[:2], (64, 2048)))
    assert only_monitor.pixel_size_m is None


def test_zeiss_pixel_sizes_that_disagree_are_told(tmp_path: Path) -> None:
    lines = ["0", "0", "0", "9e-9", "AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 500.0 pm"]
    told = read_metadata(zeiss(tmp_path / "a.tif", lines, (64, 1024)))
    assert told.pixel_size_m == pytest.approx((5e-10, 5e-10))
    assert any("two pixel sizes" in warning for warning in told.warnings)


FEI_IMAGE = "[Image]\r\nResolutionX=80\r\nResolutionY=96\r\n"


@pytest.mark.parametrize(
    ("text", "size_m"),
    [
        ("[Scan]\r\nPixelWidth=2e-009\r\nPixelHeight=3e-009\r\n", (3e-9, 2e-9)),
        ("[EScan]\r\nPixelWidth=2e-009\r\nPixelHeight=2e-009\r\n", (2e-9, 2e-9)),
        (FEI_IMAGE + "[EBeam]\r\nHFW=8e-7\r\nVFW=9.6e-7\r\n", (1e-8, 1e-8)),
        (FEI_IMAGE + "[IRBeam]\r\nHFW=8e-7\r\nVFW=4e-7\r\n", (1e-8, 1e-8)),
        ("[User]\r\nUser=x\r\n", None),
    ],
)
def test_fei_without_a_scan_section(tmp_path: Path, text: str, size_m: tuple[float, float] | None) -> None:
    told = read_metadata(fei(tmp_path / "a.tif", text))
    assert told.vendor == "fei"
    assert told.pixel_size_m == (pytest.approx(size_m) if size_m else None)
    assert bool(told.warnings) == (size_m is None)


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("04/17/2023", "04:47:49 PM", "2023-04-17T16:47:49"),
        ("17/04/2023", "16:47:49", "2023-04-17T16:47:49"),
        ("04/05/2023", "04:47:49 PM", "2023-04-05T16:47:49"),
        ("04/05/2023", "16:47:49", None),  # nobody can tell April from May
    ],
)
def test_fei_dates(tmp_path: Path, date: str, time: str, expected: str | None) -> None:
    told = read_metadata(fei(tmp_path / "a.tif", f"[User]\r\nDate={date}\r\nTime={time}\r\n"))
    assert (told.acquired_at and told.acquired_at.isoformat()[:19]) == expected


def test_fei_xml_that_defines_entities_is_refused(tmp_path: Path) -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    path = write_tiff(tmp_path / "a.tif", picture(), extratags=[(34683, 2, None, bomb, True)])
    (frame,) = read_frames(path, limits=LIMITS)
    assert any("DOCTYPE" in warning for warning in frame.warnings)


@pytest.mark.parametrize("text", ["<!DOCTYPE a><a/>", "<!doctype a><a/>", "<a", "", "<a>&undefined;</a>"])
def test_bad_xml_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_xml(text)


@pytest.mark.parametrize(
    ("lines", "size_m"),
    [
        ("$CM_FIELD_OF_VIEW 128.000um 96.000um", (1e-7, 1e-7)),
        ("$CM_FIELD_OF_VIEW 128.000µm 96.000µm", (1e-7, 1e-7)),
        ("$CM_FIELD_OF_VIEW 128.000 x 96.000", (1e-7, 1e-7)),
        ("$CM_FIELD_OF_VIEW 128.000 96.000 um", (1e-7, 1e-7)),
        ("$CM_FIELD_OF_VIEW 0.128mm 0.096mm", (1e-7, 1e-7)),
        ("$CM_PIXEL_SIZE 0.1um", (1e-7, 1e-7)),
        ("$$SM_MICRON_BAR 100\n$$SM_MICRON_MARKER 10um", (1e-7, 1e-7)),
        ("$$SM_MICRON_BAR 200\n$$SM_MICRON_MARKER 100nm", (5e-10, 5e-10)),
        ("$$SM_MICRON_BAR 0\n$$SM_MICRON_MARKER 100nm", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_jeol_fields_of_view(
    tmp_path: Path, lines: str, size_m: tuple[float, float] | None, encoding: str
) -> None:
    image = write_tiff(tmp_path / "a.tif", picture((1024, 1280)))
    text = f"$SEM_DATA_VERSION 1\n$CM_FORMAT JEOL-SEM\n$CM_FULL_SIZE 1280 960\n{lines}\n"
    image.with_suffix(".txt").write_bytes(text.encode(encoding))
    told = read_metadata(image)
    assert told.vendor == "jeol"
    assert told.picture == (960, 1280)
    assert told.pixel_size_m == (pytest.approx(size_m) if size_m else None)


HITACHI = (
    "[SemImageFile]\r\nInstructName=SU8000\r\nDate=10/22/2015\r\nTime=14:45:26\r\nDataSize=80x64\r\n"
    "PixelSize=24.8\r\nMagnification=4000\r\nAcceleratingVoltage=5000 Volt\r\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_hitachi_sidecar(tmp_path: Path, encoding: str) -> None:
    image = write_tiff(tmp_path / "a.tif", picture((96, 80)))
    (tmp_path / "a.txt").write_bytes(HITACHI.encode(encoding))
    (frame,) = read_frames(image, limits=LIMITS)
    assert frame.vendor == "hitachi"
    assert frame.pixel_size_m == pytest.approx((2.48e-8, 2.48e-8))
    assert frame.image_area.bottom == 64
    assert frame.acquired_at is not None
    assert frame.acquired_at.isoformat()[:19] == "2015-10-22T14:45:26"


def test_sidecars_are_told_by_content(tmp_path: Path) -> None:
    image = write_tiff(tmp_path / "a.tif", picture())
    assert sidecar_path(image, "auto") is None
    assert sidecar_path(image, "none") is None
    assert sidecar_path(image, "txt") == tmp_path / "a.txt"
    note = tmp_path / "a.txt"
    note.write_text("Remember to buy milk")
    assert sidecar_path(image, "auto") is None
    assert read_frames(image, limits=LIMITS)[0].warnings == ()
    assert any(
        "TESCAN, JEOL or Hitachi" in w for w in read_frames(image, limits=LIMITS, sidecar="txt")[0].warnings
    )
    note.unlink()
    assert any("is not there" in w for w in read_frames(image, limits=LIMITS, sidecar="hdr")[0].warnings)
    other = tmp_path / "a-tif.hdr"
    other.write_text("[MAIN]\nDevice=TESCAN VEGA\nPixelSizeX=1e-9\nPixelSizeY=1e-9\n")
    assert sidecar_path(image, "auto") == other
    assert read_metadata(image).pixel_size_m == (1e-9, 1e-9)


def test_sidecar_beside_a_png(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(picture(dtype="uint8")).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text(HITACHI)
    (frame,) = read_frames(tmp_path / "a.png", limits=LIMITS)
    assert (frame.vendor, frame.pixel_size_m) == ("hitachi", pytest.approx((2.48e-8, 2.48e-8)))


@pytest.mark.parametrize("wide", [False, True])
def test_gatan(tmp_path: Path, wide: bool) -> None:
    unit = "nm\0".encode("utf-16-le") if wide else b"nm\0"
    kind = 3 if wide else 2  # DigitalMicrograph writes UTF-16 as SHORT
    tags = [
        (65003, kind, None, unit, True),
        (65004, kind, None, unit, True),
        (65009, 12, 1, 2.5, True),
        (65010, 12, 1, 2.5, True),
    ]
    told = read_metadata(write_tiff(tmp_path / "a.tif", picture(), extratags=tags))
    assert told.vendor == "gatan"
    assert told.pixel_size_m == pytest.approx((2.5e-9, 2.5e-9))
    assert told.metadata["x unit"] == "nm"


@pytest.mark.parametrize(
    ("unit", "scale"), [("um", 1e-6), ("nm", 1e-9), ("\\u00B5m", 1e-6), ("micron", 1e-6), ("mm", 1e-3)]
)
def test_imagej_units(tmp_path: Path, unit: str, scale: float) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        picture(),
        metadata=None,
        description=f"ImageJ=1.54f\nunit={unit}\n",
        resolution=(100.0, 50.0),
        resolutionunit="NONE",
    )
    told = read_metadata(path)
    assert told.vendor == "imagej"
    assert told.pixel_size_m == pytest.approx((scale / 50, scale / 100))


def test_ome_units_dates_and_several_images(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for nm in (5.0, 8.0):
            metadata = {
                "axes": "YX",
                "PhysicalSizeX": nm,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": nm / 1000,
                "AcquisitionDate": "2024-05-06T07:08:09+02:00",
            }
            writer.write(picture(), metadata=metadata)
    frames = read_frames(path, limits=LIMITS)
    assert [frame.pixel_size_m for frame in frames] == [
        pytest.approx((5e-9, 5e-9)),
        pytest.approx((8e-9, 8e-9)),
    ]
    assert frames[1].acquired_at == datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
    assert frames[0].vendor == "ome"


@pytest.mark.parametrize(
    ("tags", "size_m", "when"),
    [
        ({"PixelSizeUm": 0.25, "Time": "2024-05-06 07:08:09 +0200"}, 2.5e-7, True),
        ({"PixelSize_um": "0.25", "ReceivedTime": "2024-05-06 07:08:09.123 +0200"}, 2.5e-7, True),
        ({"PixelSizeUm": 0, "Width": 80}, None, False),
    ],
)
def test_micromanager(tmp_path: Path, tags: dict[str, object], size_m: float | None, when: bool) -> None:
    raw = json.dumps(tags).encode() + b"\0"
    told = read_metadata(write_tiff(tmp_path / "a.tif", picture(), extratags=[(51123, 2, None, raw, True)]))
    assert told.vendor == "micromanager"
    assert told.pixel_size_m == (pytest.approx((size_m, size_m)) if size_m else None)
    assert (told.acquired_at is not None) == when
    if told.acquired_at is not None:
        assert told.acquired_at.astimezone(UTC).hour == 5


@pytest.mark.parametrize(
    ("code", "raw"),
    [
        (51123, b"{not json\0"),
        (51123, b"[1, 2]\0"),
        (51123, b"[" * 100_000 + b"\0"),
        (34118, b"\0"),
        (34118, b"AP_WIDTH\r\n\0"),
        (34682, b"[\xff\xfe\0"),
        (34683, b"<Metadata>\0"),
        (50431, b"\xff" * 64),
        (65009, b"\0\0"),
        (65000, b"<ImageTags><ScalingX>\0"),
    ],
)
def test_damaged_metadata_are_at_most_a_warning(tmp_path: Path, code: int, raw: bytes) -> None:
    path = write_tiff(tmp_path / "a.tif", picture(), extratags=[(code, 7, None, raw, True)])
    (frame,) = read_frames(path, limits=LIMITS)
    assert frame.pixel_size_m is None


def test_resolution_tags_without_a_vendor(tmp_path: Path) -> None:
    fine = write_tiff(tmp_path / "a.tif", picture(), resolution=(2e6, 2e6), resolutionunit="CENTIMETER")
    assert read_metadata(fine).pixel_size_m == pytest.approx((5e-9, 5e-9))
    screen = write_tiff(tmp_path / "b.tif", picture(), resolution=(300, 300), resolutionunit="INCH")
    assert read_metadata(screen).pixel_size_m is None


@pytest.mark.parametrize(
    ("text", "metres"),
    [("543.0 pm", 5.43e-10), ("Pixel = 1 µm", 1e-6), ("10um", 1e-5), ("3", None), ("x", None)],
)
def test_lengths(text: str, metres: float | None) -> None:
    assert length_m(text) == (pytest.approx(metres) if metres else None)


def test_plain_values_lose_nothing() -> None:
    assert [plain(t) for t in ("12", "007", "1e-5", "1E400", " a ", "-3.5", "0x1F", "nan")] == [
        12, "007", 1e-5, "1E400", "a", -3.5, "0x1F", "nan",
    ]  # fmt: skip
    assert lengths_m("1 2 mm") == [1e-3, 2e-3]


def test_metadata_are_plain_json_types(tmp_path: Path) -> None:
    path = fei(tmp_path / "a.tif", "[A]\r\nx=1\r\ny=inf\r\nz=\r\n")
    (frame,) = read_frames(path, limits=LIMITS)
    assert json.loads(json.dumps(dict(frame.metadata), allow_nan=False)) == {
        "A": {"x": 1, "y": "inf", "z": ""}
    }


def test_picture_told_larger_than_the_image_is_not_believed(tmp_path: Path) -> None:
    text = "[Image]\r\nResolutionX=80\r\nResolutionY=20\r\n"
    (frame,) = read_frames(fei(tmp_path / "a.tif", text), limits=LIMITS)
    assert frame.image_area.bottom == 96  # 20 of 96 rows: cropped or scaled since
    assert np.shape(frame.pixels) == (96, 80)
