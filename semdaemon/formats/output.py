"""The output: one TIFF that carries the refocused frame, the mask, the blur, the original, and the proof.

Pages: refocused, mask (uint8, 0 or 255), ``sigma_px`` (float32, one value a tile), original.
It is OME-TIFF with resolution tags as well, so Fiji, napari, HyperSpy and tifffile find the physical scale.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.formats import tiff
from semdaemon.formats.container import write_tiff
from semdaemon.formats.disk import read_bytes
from semdaemon.formats.leftovers import clean_leftovers, temporary_for
from semdaemon.formats.names import (
    PROVENANCE_TAG,
    belongs_to,
    claim_output_path,
    is_own_output,
    json_path,
    output_path,
    read_provenance,
)
from semdaemon.formats.proof import (
    PAGES,
    SCHEMA,
    as_json,
    provenance_with_hashes,
    same_bits,
    weights_sha256,
)
from semdaemon.formats.vendortags import inherit
from semdaemon.frame import Area, Frame, Mask, Pixels
from semdaemon.settings import Limits

__all__ = [
    "PAGES",
    "PROVENANCE_TAG",
    "SCHEMA",
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

_NO_LINKS = frozenset(
    getattr(errno, name)
    for name in ("EPERM", "EACCES", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EINVAL")
)
"""What file systems without hard links (FAT, many network shares) answer."""
_DISK_FAULTS = frozenset(getattr(errno, name, -1) for name in ("EIO", "ENOSPC", "EDQUOT", "EROFS"))

ANY_SIZE = Limits(max_pixels=2**34, max_file_bytes=2**62, min_side_px=1)
"""For files that were frames once: what was taken then is not refused now."""


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
    FileExistsError
        The name was taken by another original's output, or a foreign file, in the meantime: claim another.
    OSError
        The disk refused; nothing of the name is changed.
    """
    _check(frame, refocused, mask, provenance)
    inherited = inherit(frame, source_path)
    pages = _pages(refocused, mask, focus, frame.pixels if keep_original_page else None)
    full = provenance_with_hashes(frame, pages, mask, provenance, inherited, compression)
    path.parent.mkdir(parents=True, exist_ok=True)
    clean_leftovers(path.parent, recursive=False)
    with temporary_for(path) as temporary, temporary_for(json_path(path)) as temporary_json:
        write_tiff(temporary, frame, pages, focus.tile_px, full, inherited, compression)
        sha256, size = _hashed(temporary)
        beside = {**full, "output": {"file": path.name, "sha256": sha256, "bytes": size}}
        temporary_json.write_bytes(as_json(beside, indent=1))
        for one in (temporary, temporary_json):
            _sync(one)
        _publish(temporary, path, frame.uri)
        temporary_json.replace(json_path(path))
    _sync_folder(path.parent)
    return Written(path, json_path(path), sha256, size)


def _pages(refocused: Pixels, mask: Mask, focus: FocusArrays, original: Pixels | None) -> dict[str, Pixels]:
    """By name, in their order in the file."""
    pages: dict[str, Pixels] = {
        "refocused": refocused,
        "mask": mask.astype(np.uint8) * np.uint8(255),
        "sigma_px": np.atleast_2d(np.asarray(focus.sigma_px, dtype=np.float32)),
    }
    return pages if original is None else {**pages, "original": original}


def _publish(temporary: Path, path: Path, uri: str) -> None:
    """Give an output its name: never over what belongs to another original, be it a moment old."""
    if os.path.lexists(path):
        if not belongs_to(path, uri):
            raise FileExistsError(errno.EEXIST, "taken by another original's output", str(path))
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)  # alone among renames it refuses a name that is taken, on every system
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        temporary.replace(path)


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


def _hashed(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened; the replace itself is what there is
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in _DISK_FAULTS:  # the name may be gone after a power cut: it is written again
            raise
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
    found = []
    try:
        for page in tiff.pages(path, data):
            tiff.check(path, page, ANY_SIZE, len(data))
            found.append(tiff.decode(path, page, data))
    except FrameError as error:
        raise SemdaemonError("not_an_output", error.message, remedy=error.remedy) from error
    return found
