"""What a vendor's tags, texts and sidecars tell about a frame, and what they are told from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from semdaemon.formats.ifd import Ifd

MIN_PIXEL_M, MAX_PIXEL_M = 1e-13, 1e-4
"""Pixel sizes that a scanning electron or ion microscope can have, metres."""


@dataclass(frozen=True)
class Evidence:
    """What a frame's file gives a vendor's reader to work on.

    Attributes
    ----------
    shape
        (rows, columns) of the stored image, data bar included; (0, 0) where unknown.
    page
        The page's own TIFF directory; None where the file is no TIFF.
    first
        The file's first directory: OME-XML and ImageJ's text stand there.
    sidecar
        Text of the file beside the frame; None where there is none.
    """

    shape: tuple[int, int]
    page: Ifd | None = None
    first: Ifd | None = None
    sidecar: str | None = None


@dataclass(frozen=True)
class Told:
    """What one vendor told.

    Attributes
    ----------
    metadata
        Plain JSON types; keys are the vendor's own.
    pixel_size_m
        (y, x) in metres.
    picture
        (rows, columns) of the picture from the top left corner, without the data bar.
    """

    vendor: str
    metadata: Mapping[str, object] = field(default_factory=dict)
    pixel_size_m: tuple[float, float] | None = None
    acquired_at: datetime | None = None
    picture: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()


def plausible(size_m: tuple[float, float] | None) -> tuple[float, float] | None:
    """The pixel size, or None where no microscope of this kind could have it."""
    if size_m is None or not all(MIN_PIXEL_M <= side <= MAX_PIXEL_M for side in size_m):
        return None
    return size_m
