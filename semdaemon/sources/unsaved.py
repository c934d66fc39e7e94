"""A frame that exists only in memory, and the small TIFF that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from semdaemon.errors import FrameError
from semdaemon.formats.vendors import spooled
from semdaemon.frame import Pixels

PIXEL_TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32")
"""What a frame may be made of, as numpy names it."""

TEMPORARY_SUFFIX = ".part"
_CM = 0.01


@dataclass(frozen=True)
class UnsavedFrame:
    """A frame as a source holds it, before it has a file.

    Attributes
    ----------
    pixels
        (height, width), one of `PIXEL_TYPES`, any byte order.
    acquired_at
        Aware, or None where unknown.
    pixel_size_m
        (y, x) in metres, or None where unknown.
    vendor
        As in `semdaemon.frame.Frame`; ``""`` where there is none.
    metadata
        What came with it, keys as they came; plain JSON types.
    """

    pixels: Pixels
    acquired_at: datetime | None = None
    pixel_size_m: tuple[float, float] | None = None
    vendor: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def checked_pixels(buffer: bytes | memoryview, shape: tuple[int, int], dtype: np.dtype[np.generic]) -> Pixels:
    """Raw bytes as pixels, without a copy.

    Raises
    ------
    FrameError
        ``unsupported_dtype`` or ``wrong_size``.
    """
    if dtype.name not in PIXEL_TYPES:
        raise FrameError(
            "unsupported_dtype",
            f"Pixels of type {dtype.name} are not served; served are {', '.join(PIXEL_TYPES)}.",
        )
    expected = shape[0] * shape[1] * dtype.itemsize
    if min(shape) < 1 or len(buffer) != expected:
        raise FrameError(
            "wrong_size",
            f"{len(buffer):,} bytes of pixels came, but {shape[0]} x {shape[1]} of {dtype.name} "
            f"are {expected:,}.",
        )
    return np.frombuffer(buffer, dtype).reshape(shape)


def write_unsaved(path: Path, frame: UnsavedFrame) -> None:
    """Write a frame as a TIFF under its final name at once or not at all.

    Pixels stay as they are; what is known of the frame stands as JSON in the description,
    the pixel size in the resolution tags too. Not synced: the journal waits for the file's content anyway.

    Raises
    ------
    OSError
        The disk is full or cannot be written; nothing is left behind.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        tifffile.imwrite(
            temporary,
            np.ascontiguousarray(frame.pixels),
            photometric="minisblack",
            metadata=None,
            description=spooled.description(
                vendor=frame.vendor,
                metadata=frame.metadata,
                pixel_size_m=frame.pixel_size_m,
                acquired_at=frame.acquired_at,
                warnings=frame.warnings,
            ),
            software="semdaemon",
            **_resolution(frame.pixel_size_m),
        )
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _resolution(pixel_size_m: tuple[float, float] | None) -> dict[str, Any]:
    if pixel_size_m is None or min(pixel_size_m) <= 0:
        return {}
    y, x = pixel_size_m
    return {"resolution": (_CM / x, _CM / y), "resolutionunit": "CENTIMETER"}
