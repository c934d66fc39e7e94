"""The output's TIFF: pages, scale, tags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semdaemon import __version__
from semdaemon.formats.names import PROVENANCE_TAG
from semdaemon.formats.proof import as_json, weights_sha256
from semdaemon.formats.vendortags import Inherited
from semdaemon.frame import Frame, Pixels

_COMPRESSIONS = {"none": None, "zstd": "zstd", "deflate": "zlib"}
_LEVELS = {"zstd": 1, "deflate": 6}
_DM_UNIT, _DM_SCALE = (65003, 65004), (65009, 65010)  # x, y
_BIG_BYTES = 3_900_000_000
_MAX_PER_CM = 4e9


def write_tiff(
    path: Path,
    frame: Frame,
    pages: Mapping[str, Pixels],
    tile_px: int,
    provenance: dict[str, object],
    inherited: Inherited,
    compression: str,
) -> None:
    """All pages with their scale; vendor's tags and proof on the first."""
    import tifffile

    total = sum(page.nbytes for page in pages.values())
    proof = (PROVENANCE_TAG, 1, None, as_json(provenance), True)
    with tifffile.TiffWriter(
        path, ome=True, byteorder=inherited.byteorder, bigtiff=total > _BIG_BYTES
    ) as writer:
        for name, page in pages.items():
            scale = tile_px if name == "sigma_px" else 1
            polar = inherited.white_is_zero and name in ("refocused", "original")
            writer.write(
                page,
                photometric="miniswhite" if polar else "minisblack",
                software=_software(),
                metadata=_ome(name, frame, provenance, scale),
                extratags=_extratags(name, frame, inherited, scale)
                + ([proof] if name == "refocused" else []),
                **_resolution(frame, scale),
                **_coding(compression, page),
            )


def _extratags(name: str, frame: Frame, inherited: Inherited, scale: int) -> list[tuple[Any, ...]]:
    """The vendor's tags where the page is the vendor's picture, and DigitalMicrograph's scale tags.

    HyperSpy and DigitalMicrograph read the scale from these, not from OME or resolution tags.
    """
    tags: list[tuple[Any, ...]] = list(inherited.tags) if name in ("refocused", "original") else []
    if frame.pixel_size_m is None or any(tag[0] in _DM_SCALE for tag in tags):
        return tags
    y, x = (side * scale * 1e9 for side in frame.pixel_size_m)
    words = [(code, 2, None, b"nm\0", True) for code in _DM_UNIT]
    return [
        *tags,
        *words,
        *((code, 12, 1, value, True) for code, value in zip(_DM_SCALE, (x, y), strict=True)),
    ]


def _software() -> str:
    return f"semdaemon {__version__}"


def _coding(compression: str, page: Pixels) -> dict[str, Any]:
    codec = _COMPRESSIONS[compression]
    if codec is None:
        return {"contiguous": False}
    # A predictor needs rows of more than one pixel; mask and tiny maps gain nothing from it.
    predictor = page.dtype.kind in "ui" and page.dtype.itemsize > 1 and page.shape[1] > 1
    return {"compression": codec, "predictor": predictor, "compressionargs": {"level": _LEVELS[compression]}}


def _resolution(frame: Frame, scale: int) -> dict[str, Any]:
    """XResolution and YResolution per centimetre: what ImageJ reads when it opens a file plainly."""
    if frame.pixel_size_m is None:
        return {}
    y, x = (1 / (side * scale * 100) for side in frame.pixel_size_m)
    if max(x, y) > _MAX_PER_CM or min(x, y) <= 0:
        return {}
    return {"resolution": (x, y), "resolutionunit": "CENTIMETER"}


def _ome(name: str, frame: Frame, provenance: Mapping[str, object], scale: int) -> dict[str, Any]:
    words = {
        "refocused": f"refocused by a network ({_software()}, weights sha256 {weights_sha256(provenance)})",
        "mask": "255 where refocusing changed pixels, 0 where they are the original's",
        "sigma_px": "blur of each tile in pixels (equivalent Gaussian), before refocusing",
        "original": "the original as the microscope wrote it",
    }
    found: dict[str, Any] = {
        "axes": "YX",
        "Name": name,
        "Description": f"{words[name]}; original: {frame.uri}",
    }
    if frame.acquired_at is not None:
        found["AcquisitionDate"] = frame.acquired_at.isoformat(timespec="milliseconds")
    if frame.pixel_size_m is not None:
        for axis, side in zip("YX", frame.pixel_size_m, strict=True):
            found |= {f"PhysicalSize{axis}": side * scale * 1e6, f"PhysicalSize{axis}Unit": "µm"}
    return found
