"""An image file becomes a grey picture in [0, 1], whatever its bit depth, without a data bar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.errors import SemdaemonError

Image = npt.NDArray[np.float32]

SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"})

_DEPTHS = (8, 10, 12, 14, 16, 20, 24, 32)
"""Bits that detectors deliver; files have 8, 16 or 32 and often hold fewer."""


@dataclass(frozen=True)
class Picture:
    """What a file held.

    Attributes
    ----------
    pixels
        (h, w) float32 in [0, 1].
    depth
        How it was scaled, in words: ``8 bit``, ``12 bit in 16``, ``float by its own range``.
    bar_rows
        Rows of a data bar that were cut off at the bottom; 0 where there was none.
    """

    pixels: Image
    depth: str
    bar_rows: int = 0


def read_picture(path: str | Path) -> Picture:
    """Any grey image, scaled by the bits it uses, its data bar cut.

    Raises
    ------
    SemdaemonError
        ``unreadable_frame``: broken, of an unknown kind, not grey, or with NaN in it.
    """
    path = Path(path)
    try:
        raw = _grey(_read(path))
        raw, bar_rows = _without_bar(raw, lossy=path.suffix.lower() in {".jpg", ".jpeg"})
        pixels, depth = _to_unit(raw)
    except (OSError, ValueError) as error:
        raise SemdaemonError(
            "unreadable_frame",
            f"{path} cannot be read as a grey image: {error}",
            remedy="Take the file out of the folder, or save it as 8 or 16-bit grey TIFF or PNG.",
        ) from error
    return Picture(pixels, depth, bar_rows)


def read_grey(path: str | Path) -> Image:
    """The pixels of `read_picture` alone: (h, w) float32 in [0, 1]."""
    return read_picture(path).pixels


def _read(path: Path) -> npt.NDArray[Any]:
    if path.suffix.lower() in {".tif", ".tiff"}:
        import tifffile

        try:
            return np.asarray(tifffile.imread(path))
        except tifffile.TiffFileError as error:
            raise ValueError(str(error)) from error
    from PIL import Image as PillowImage

    with PillowImage.open(path) as picture:
        return np.asarray(picture.convert("L") if picture.mode in {"P", "1", "LA", "RGBA"} else picture)


def _grey(raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if raw.ndim == 3:  # colour planes first or last: SEM files repeat the same grey in each
        raw = raw[..., 0] if raw.shape[-1] in (3, 4) else raw[0]
    if raw.ndim != 2 or not raw.size:
        raise ValueError(f"a grey image is needed, not one of shape {raw.shape}")
    if raw.dtype.kind not in "uif":
        raise ValueError(f"grey levels are needed, not {raw.dtype}")
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        raise ValueError("it has NaN or infinite pixels")
    return raw


def _without_bar(raw: npt.NDArray[Any], *, lossy: bool) -> tuple[npt.NDArray[Any], int]:
    try:
        from semdaemon.formats.databar import image_area
    except ImportError:  # a bare training machine; its frames come with an index, made where bars are found
        return raw, 0
    area = image_area(raw, None, min_side_px=32, lossy=lossy)
    return raw[area.slices], raw.shape[0] - area.height


def _to_unit(raw: npt.NDArray[Any]) -> tuple[Image, str]:
    if raw.dtype.kind == "f":
        low, high = float(raw.min()), float(raw.max())
        if low >= 0 and high <= 1:
            return np.asarray(raw, np.float32), "float"
        return _between(raw, low, high), "float by its own range"
    low, high = int(raw.min()), int(raw.max())
    if low < 0:
        return _between(raw, low, high), "signed by its own range"
    stored = 8 * raw.dtype.itemsize
    used = next(bits for bits in _DEPTHS if high < 2**bits)
    pixels = np.asarray(raw.astype(np.float64) / (2**used - 1), np.float32)
    return pixels, f"{used} bit" + (f" in {stored}" if used < stored else "")


def _between(raw: npt.NDArray[Any], low: float, high: float) -> Image:
    return np.asarray((raw.astype(np.float64) - low) / max(high - low, 1e-12), np.float32)
