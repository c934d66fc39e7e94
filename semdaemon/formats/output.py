"""The output: one TIFF that carries the refocused frame, the mask, the blur, the original, and the proof.

Pages: refocused, mask (uint8, 0 or 255), ``sigma_px`` (float32, one value a tile), original.
It is OME-TIFF with resolution tags as well, so Fiji, napari, HyperSpy and tifffile find the physical scale.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from semdaemon import __version__
from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.formats import tiff
from semdaemon.formats.disk import read_bytes
from semdaemon.formats.names import (
    PROVENANCE_TAG,
    claim_output_path,
    clean_leftovers,
    is_own_output,
    json_path,
    output_path,
    read_provenance,
    temporary_path,
)
from semdaemon.formats.vendortags import Inherited, inherit
from semdaemon.frame import Area, Frame, Mask, Pixels, pixels_sha256

__all__ = [
    "PAGES",
    "PROVENANCE_TAG",
    "Refocused",
    "Written",
    "claim_output_path",
    "clean_leftovers",
    "is_own_output",
    "output_path",
    "read_output",
    "read_provenance",
    "same_bits",
    "write_refocused",
]

SCHEMA = "semdaemon-provenance-1.0"
PAGES = ("refocused", "mask", "sigma_px", "original")
_COMPRESSIONS = {"none": None, "zstd": "zstd", "deflate": "zlib"}
_LEVELS = {"zstd": 1, "deflate": 6}
_DM_UNIT, _DM_SCALE = (65003, 65004), (65009, 65010)  # x, y
_BIG_BYTES = 3_900_000_000
_MAX_PER_CM = 4e9


class FocusArrays(Protocol):
    """What of a focus map is written."""

    @property
    def sigma_px(self) -> npt.NDArray[Any]: ...
    @property
    def tile_px(self) -> int: ...
    @property
    def area(self) -> Area: ...


@dataclass(frozen=True)
class Written:
    """What `write_refocused` left on disk."""

    path: Path
    json_path: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Refocused:
    """An output, read back.

    Attributes
    ----------
    refocused, original
        (rows, columns), the frame's dtype; ``original`` is None where the page was not kept.
    mask
        (rows, columns) bool: the pixels that refocusing changed.
    sigma_px
        (tile rows, tile columns) float32.
    """

    refocused: Pixels
    mask: Mask
    sigma_px: npt.NDArray[np.float32]
    original: Pixels | None
    provenance: Mapping[str, Any]


def write_refocused(
    path: Path,
    *,
    frame: Frame,
    refocused: Pixels,
    mask: Mask,
    focus: FocusArrays,
    provenance: Mapping[str, object],
    compression: str = "none",
    keep_original_page: bool = True,
    source_path: Path | None = None,
) -> Written:
    """Write an output and the provenance beside it, whole or not at all.

    Parameters
    ----------
    path
        See `claim_output_path`. Its folder is made.
    refocused
        (rows, columns), the frame's dtype; equal to ``frame.pixels`` outside the mask, bit for bit.
    mask
        (rows, columns) bool, False outside the image area.
    provenance
        JSON values; ``weights.sha256`` is required. Hashes of all pages are added.
    compression
        ``none``, ``zstd`` or ``deflate``.
    source_path
        The original: its vendor tags are copied where it still is what was read.

    Raises
    ------
    SemdaemonError
        ``outside_mask_changed``, ``outside_area_changed``, ``output_mismatch`` or ``provenance_incomplete``:
        a mistake of the caller's; nothing is written.
    OSError
        The disk refused; nothing of the name is changed.
    """
    _check(frame, refocused, mask, provenance)
    inherited = inherit(frame, source_path)
    pages: dict[str, Pixels] = {
        "refocused": refocused,
        "mask": mask.astype(np.uint8) * np.uint8(255),
        "sigma_px": np.atleast_2d(np.asarray(focus.sigma_px, dtype=np.float32)),
    }
    if keep_original_page:
        pages["original"] = frame.pixels
    full = _provenance(frame, pages, mask, provenance, inherited, compression)
    path.parent.mkdir(parents=True, exist_ok=True)
    clean_leftovers(path.parent, recursive=False)
    with _temporary(path) as temporary, _temporary(json_path(path)) as temporary_json:
        _write_tiff(temporary, frame, pages, focus, full, inherited, compression)
        sha256, size = _hashed(temporary)
        beside = {**full, "output": {"file": path.name, "sha256": sha256, "bytes": size}}
        temporary_json.write_bytes(_json(beside, indent=1))
        for one in (temporary, temporary_json):
            _sync(one)
        temporary_json.replace(json_path(path))
        temporary.replace(path)
    _sync_folder(path.parent)
    return Written(path, json_path(path), sha256, size)


class _temporary:  # noqa: N801 - reads as a verb where it is used
    """A temporary name that is gone when the block ends, whatever happened."""

    def __init__(self, path: Path) -> None:
        self.path = temporary_path(path)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def _check(frame: Frame, refocused: Pixels, mask: Mask, provenance: Mapping[str, object]) -> None:
    if refocused.shape != frame.shape or refocused.dtype != frame.pixels.dtype or mask.shape != frame.shape:
        raise SemdaemonError(
            "output_mismatch",
            f"{frame.uri}: refocused {refocused.dtype} {refocused.shape} and mask {mask.shape} were given, "
            f"{frame.pixels.dtype} {frame.shape} expected.",
        )
    if not same_bits(refocused, frame.pixels, where=~mask):
        raise SemdaemonError("outside_mask_changed", f"{frame.uri}: pixels outside the mask would change.")
    inside = np.zeros(frame.shape, bool)
    inside[frame.image_area.slices] = True
    if (mask & ~inside).any():
        raise SemdaemonError("outside_area_changed", f"{frame.uri}: the mask reaches into the data bar.")
    if weights_sha256(provenance) is None:
        raise SemdaemonError("provenance_incomplete", f"{frame.uri}: provenance without weights.sha256.")


def same_bits(a: Pixels, b: Pixels, *, where: Mask) -> bool:
    """Whether two images of one dtype agree bit for bit where told (so that -0.0 and 0.0 differ)."""
    bits = np.dtype(f"u{a.dtype.itemsize}")
    different = np.ascontiguousarray(a).view(bits) != np.ascontiguousarray(b).view(bits)
    return not bool((different & where).any())


def weights_sha256(provenance: Mapping[str, object]) -> str | None:
    """The weights' sha256 in a provenance, or None where it is missing or no sha256."""
    weights = provenance.get("weights")
    found = weights.get("sha256") if isinstance(weights, Mapping) else None
    good = isinstance(found, str) and len(found) == 64 and all(c in "0123456789abcdef" for c in found)
    return str(found) if good else None


def _provenance(
    frame: Frame,
    pages: Mapping[str, Pixels],
    mask: Mask,
    provenance: Mapping[str, object],
    inherited: Inherited,
    compression: str,
) -> dict[str, object]:
    given = provenance.get("original")
    original: dict[str, object] = {
        "uri": frame.uri,
        "sha256": frame.content_sha256,
        "frame_id": frame.id,
        "page": frame.page,
        "image_area": frame.image_area.as_list(),
        "vendor": frame.vendor,
        "metadata": dict(frame.metadata),
        "pixels_sha256": pixels_sha256(frame.pixels),
        **(dict(given) if isinstance(given, Mapping) else {}),
    }
    return {
        "schema": SCHEMA,
        "statement": "Pixels inside the mask were refocused by a network; all others are the original's.",
        **provenance,
        "original": original,
        "pages": {
            name: {"index": i, "sha256": pixels_sha256(page)} for i, (name, page) in enumerate(pages.items())
        },
        "mask_pixels": int(np.count_nonzero(mask)),
        "compression": compression,
        "copied_tags": [tag[0] for tag in inherited.tags],
        "output_warnings": list(inherited.warnings),
    }


def _write_tiff(
    path: Path,
    frame: Frame,
    pages: Mapping[str, Pixels],
    focus: FocusArrays,
    provenance: dict[str, object],
    inherited: Inherited,
    compression: str,
) -> None:
    import tifffile

    total = sum(page.nbytes for page in pages.values())
    proof = (PROVENANCE_TAG, 1, None, _json(provenance), True)
    with tifffile.TiffWriter(
        path, ome=True, byteorder=inherited.byteorder, bigtiff=total > _BIG_BYTES
    ) as writer:
        for name, page in pages.items():
            scale = focus.tile_px if name == "sigma_px" else 1
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


def _json(value: Mapping[str, object], indent: int | None = None) -> bytes:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, indent=indent).encode()


def _plain(value: object) -> object:
    """JSON types only: what is not finite becomes null, arrays become lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def _hashed(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened; the replace itself is what there is
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_output(path: Path) -> Refocused:
    """An output's pages and provenance.

    Raises
    ------
    SemdaemonError
        ``not_an_output``: no TIFF, or one without our provenance and pages.
    FrameError
        The file cannot be read.
    """
    provenance = read_provenance(path)
    data = read_bytes(path, 2**63 - 1).data
    found = _pages_of(path, data)
    if provenance is None or len(found) < 3:
        raise SemdaemonError(
            "not_an_output",
            f"{path} is no output of semdaemon: its provenance or its pages are missing.",
            remedy="Outputs are called *.refocused.tif; programs that save them anew drop the provenance.",
        )
    return Refocused(
        refocused=found[0],
        mask=found[1] != 0,
        sigma_px=found[2].astype(np.float32, copy=False),
        original=found[3] if len(found) > 3 else None,
        provenance=provenance,
    )


def _pages_of(path: Path, data: bytes) -> list[Pixels]:
    try:
        return [tiff.decode(path, page, data) for page in tiff.pages(path, data)]
    except FrameError as error:
        raise SemdaemonError("not_an_output", error.message, remedy=error.remedy) from error
