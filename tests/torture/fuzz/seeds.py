"""Sound input to begin from: files of every flavour made here, and instruments' own where there are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from semdaemon.focus import FocusMap
from semdaemon.formats.output import write_refocused
from semdaemon.frame import Area, Frame, frame_id

SIDE = 64
_MOST_VENDOR_BYTES = 1_100_000
VENDOR_FOLDER = (
    Path(
        os.environ.get("SEMDAEMON_TEST_DATA", Path(__file__).resolve().parents[3].parent / "shared" / "data")
    )
    / "vendor"
)
EPOCH = "6f9619ff-8b86-4d11-b42d-00c04fc964ff"


def picture(dtype: str = "uint16", side: int = SIDE, seed: int = 7) -> np.ndarray[Any, Any]:
    """Noise over a ramp."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.2, 0.6, side)[None, :] + rng.uniform(0, 0.3, (side, side))
    kind = np.dtype(dtype)
    top = 1000.0 if kind.kind == "f" else float(np.iinfo(kind).max)
    return (ramp * top).astype(kind)


ZEISS = "\r\n".join(
    ["0", "0", "0", "9e-9", "1.0", "6", "AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 5.0 nm", "AP_WIDTH",
     "Width = 2.048 µm", "AP_DATE", "Date :12 Mar 2024", "AP_TIME", "Time :10:11:12", "DP_DETECTOR_TYPE",
     "Detector = InLens", "AP_WD", "WD = 4.0 mm"]
).encode("latin-1") + b"\0"  # fmt: skip
FEI = (
    b"[User]\r\nDate=04/17/2023\r\nTime=04:47:49 PM\r\n[System]\r\nType=SEM\r\n"
    b"[Scan]\r\nPixelWidth=2e-009\r\n"
    b"PixelHeight=3e-009\r\n[EBeam]\r\nHFW=8e-7\r\nVFW=9.6e-7\r\n[Image]\r\nResolutionX=64\r\nResolutionY=48\r\n"
)
FEI_XML = (
    b'<?xml version="1.0"?><Metadata><Core><Guid>x</Guid></Core><BinaryResult><PixelSize><X unit="m">2e-9</X>'
    b'<Y unit="m">3e-9</Y></PixelSize></BinaryResult></Metadata>'
)
TESCAN = (
    b"[MAIN]\nDate=2024-01-02\nTime=03:04:05\nImageStripSize=8\nPixelSizeX=1e-9\nPixelSizeY=1e-9\n"
    b"[SEM]\nHV=5000\n"
)
JEOL = (
    b"$SEM_DATA_VERSION 1\n$CM_FORMAT JEOL-SEM\n$CM_FULL_SIZE 64 48\n$CM_FIELD_OF_VIEW 128.000um 96.000um\n"
    b"$CM_DATE 2024/01/02\n$CM_TIME 03:04:05\n$$SM_MICRON_BAR 100\n$$SM_MICRON_MARKER 10um\n"
)
HITACHI = (
    b"[SemImageFile]\r\nInstructName=SU8000\r\nDataSize=64x48\r\nPixelSize=4.96\r\nDate=01/02/2024\r\n"
    b"Time=03:04:05\r\nMagnification=20000\r\n"
)
OME = (
    b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    b'<Image ID="Image:0">'
    b'<AcquisitionDate>2024-01-02T03:04:05Z</AcquisitionDate><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
    b'Type="uint16" SizeX="64" SizeY="64" SizeZ="1" SizeC="1" SizeT="1" PhysicalSizeX="5" '
    b'PhysicalSizeXUnit="nm" '
    b'PhysicalSizeY="5" PhysicalSizeYUnit="nm"><TiffData/></Pixels></Image></OME>'
)
IMAGEJ = b"ImageJ=1.54f\nimages=1\nunit=micron\nspacing=1.0\nmin=0.0\nmax=255.0\n"
MICROMANAGER = json.dumps(
    {"PixelSizeUm": 0.25, "PixelSize_um": "0.25", "Height": "64", "Width": 64, "PixelType": "GRAY16",
     "Time": "2026-03-01 10:00:01 +0100", "ReceivedTime": "2026-03-01 10:00:01.123 +0100",
     "TimeReceivedByCore": "2026-03-01 10:00:01.1", "Axes": {"time": 3, "z": 1}, "Camera": "Cam",
     "Binning": "1"}
).encode()  # fmt: skip
SPOOLED = json.dumps(
    {"schema": "semdaemon-spool-1.0", "vendor": "micromanager", "pixel_size_m": [5e-9, 5e-9],
     "acquired_at": "2024-01-02T03:04:05+00:00", "warnings": ["w"], "metadata": {"a": 1}}
).encode()  # fmt: skip
TEXTS = (ZEISS, FEI, FEI_XML, TESCAN, JEOL, HITACHI, OME, IMAGEJ, MICROMANAGER, SPOOLED)


def tiffs(folder: Path) -> list[bytes]:
    """TIFFs as programs and instruments write them."""
    pixels = picture()
    stack = np.stack([pixels, pixels[::-1]])
    made = [
        _tiff(folder, stack, rowsperstrip=8),
        _tiff(folder, pixels, tile=(32, 32), compression="zstd", predictor=True),
        _tiff(folder, stack, compression="lzw", byteorder=">"),
        _tiff(folder, stack, compression="zlib", bigtiff=True),
        _tiff(folder, stack, ome=True),
        _tiff(folder, stack, imagej=True),
        _tiff(folder, picture("uint8"), compression="jpeg"),
        _tiff(folder, picture("float32"), rowsperstrip=16),
        _tiff(folder, picture("uint8"), compression="packbits"),
        _tiff(folder, pixels, compression="png"),
        _tiff(folder, pixels, compression="jpeg2000"),
        _tiff(folder, picture("uint8"), compression="jpegxl"),
        _tiff(folder, pixels, compression="lerc"),
        _tiff(folder, np.stack([picture("uint8")] * 3, -1), photometric="rgb", compression="webp"),
        _tiff(folder, picture("uint8"), photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
    ]
    for code, raw in ((34118, ZEISS), (34682, FEI), (34683, FEI_XML), (50431, TESCAN), (51123, MICROMANAGER)):
        made.append(_tiff(folder, pixels, metadata=None, extratags=[(code, 2, None, raw, True)]))
    made.append(_tiff(folder, pixels, metadata=None, description=SPOOLED.decode()))
    return made


def _tiff(folder: Path, pixels: np.ndarray[Any, Any], **options: Any) -> bytes:
    path = folder / "seed.tif"
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    data = path.read_bytes()
    path.unlink()
    return data


def instruments() -> list[bytes]:
    """Files as instruments wrote them; none where they are not on this machine."""
    if not VENDOR_FOLDER.is_dir():
        return []
    files = sorted(VENDOR_FOLDER.glob("*.tif"))
    return [path.read_bytes() for path in files if path.stat().st_size <= _MOST_VENDOR_BYTES]


def pictures(folder: Path) -> dict[str, list[bytes]]:
    """PNG, BMP and JPEG."""
    grey, colour = picture("uint8"), np.stack([picture("uint8")] * 3, axis=-1)
    found: dict[str, list[bytes]] = {
        "png": [imagecodecs.png_encode(each) for each in (grey, picture(), colour)], "bmp": [], "jpeg": []
    }  # fmt: skip
    for kind, modes in (("png", ("P", "LA")), ("bmp", ("L", "P", "RGB")), ("jpeg", ("L", "RGB"))):
        for mode in modes:
            path = folder / f"seed.{kind}"
            Image.fromarray(grey).convert(mode).save(path)
            found[kind].append(path.read_bytes())
            path.unlink()
    return found


def output(folder: Path) -> bytes:
    """An output of ours, whole."""
    pixels = picture()
    frame = Frame(
        id=frame_id("0" * 64, "memory:a"), source="test", uri="memory:a", pixels=pixels,
        content_sha256="0" * 64, image_area=Area.whole((SIDE, SIDE)),
    )  # fmt: skip
    mask = np.zeros(pixels.shape, bool)
    mask[16:32, 16:32] = True
    changed = pixels.copy()
    changed[mask] = np.roll(pixels, 5, axis=1)[mask]
    provenance = {"weights": {"name": "light", "sha256": "0123456789abcdef" * 4}}
    path = folder / "seed.refocused.tif"
    write_refocused(path, frame=frame, refocused=changed, mask=mask, focus=focus(), provenance=provenance)
    data = path.read_bytes()
    for each in folder.glob("seed.*"):
        each.unlink()
    return data


def focus() -> FocusMap:
    """A focus map of four tiles with every verdict."""
    sigma = np.array([[0.6, 3.5], [16, np.nan]], np.float32)
    verdict = np.array([[0, 1], [2, 3]], np.uint8)
    return FocusMap(32, Area.whole((SIDE, SIDE)), sigma, sigma * 0.1, sigma * 0.05, verdict, "test 1")


def joined(parts: list[Any]) -> bytes:
    """Parts of a multipart message as one text of bytes, for a mutator; the way back is `split`."""
    return json.dumps([bytes(part).hex() for part in parts]).encode()


def split(rng_data: bytes) -> list[bytes]:
    """The way back of `joined`."""
    return [bytes.fromhex(part) for part in json.loads(rng_data)]


Seeds = Callable[[Path], list[bytes]]
