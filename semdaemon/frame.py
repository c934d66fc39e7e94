"""The frame: one two-dimensional image from the microscope, with what is known about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_NOTHING: Mapping[str, object] = MappingProxyType({})
_BINNED_TOGETHER_PX = 2**17
"""Their sums stay in the cache, and a large frame needs no float copy of its size."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of pixels, half-open: rows ``top`` to ``bottom - 1``, columns ``left`` to ``right - 1``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def shape(self) -> tuple[int, int]:
        return (self.height, self.width)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this area in a frame: ``frame.pixels[area.slices]``."""
        return (slice(self.top, self.bottom), slice(self.left, self.right))

    def as_list(self) -> list[int]:
        """``[top, left, bottom, right]``, the form used in messages and provenance."""
        return [self.top, self.left, self.bottom, self.right]

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Area:
        """The area that covers an image of this shape."""
        return cls(0, 0, int(shape[0]), int(shape[1]))


@dataclass(frozen=True, slots=True)
class Frame:
    """One grey image and what is known about it.

    Attributes
    ----------
    id
        16 hexadecimal digits from content and origin (see `frame_id`).
    source
        Name of the source it came from, e.g. ``folder``.
    uri
        Where it came from (``file:///...``, with ``#page=N`` for later pages of a file, ``#frame=N`` for
        frames of a stack that grows).
    pixels
        (height, width), uint8, uint16, uint32, int8, int16, int32 or float32, native byte order, read-only.
    content_sha256
        Of the file's bytes (of the pixel bytes where there is no file).
    image_area
        The part that is picture, without the vendor's data bar.
    pixel_size_m
        Side of one pixel in metres (y, x), or None where unknown.
    acquired_at
        Aware datetime, or None where unknown.
    vendor
        ``zeiss``, ``fei``, ``tescan``, ``jeol``, ``hitachi``, ``gatan``, ``imagej``, ``ome``,
        ``micromanager`` or None.
    metadata
        What the vendor wrote, as parsed; keys are the vendor's own.
    warnings
        What was odd but did not hinder (a missing sidecar, metadata that do not parse).
    """

    id: str
    source: str
    uri: str
    pixels: Pixels
    content_sha256: str
    image_area: Area
    pixel_size_m: tuple[float, float] | None = None
    acquired_at: datetime | None = None
    vendor: str | None = None
    metadata: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    page: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        return (int(self.pixels.shape[0]), int(self.pixels.shape[1]))

    @property
    def image(self) -> Pixels:
        """The image area's pixels (a view, no copy)."""
        return self.pixels[self.image_area.slices]


def frame_id(content_sha256: str, uri: str) -> str:
    """Identity of a frame: 16 hexadecimal digits of SHA-256 over content and origin."""
    return hashlib.sha256(f"{content_sha256}\n{uri}".encode()).hexdigest()[:16]


def pixels_sha256(pixels: Pixels) -> str:
    """SHA-256 over dtype, shape and C-ordered little-endian bytes of an array."""
    plain = np.ascontiguousarray(pixels)
    plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{plain.dtype.name} {plain.shape}\n".encode())
    digest.update(plain.data if plain.size else b"")
    return digest.hexdigest()


def intensity_range(image: Pixels, *, low: float = 0.1, high: float = 99.9) -> tuple[float, float]:
    """Grey levels that map to 0 and 1: percentiles of the whole frame, never of a tile.

    Percentiles, not extremes, so that one hot pixel does not darken a frame.
    Returns ``(low, high)`` with ``high > low`` even for a constant image.
    """
    step = max(1, int(np.sqrt(image.size / 1_000_000)))
    sample = image[::step, ::step].ravel()
    if sample.itemsize == 1:
        sample = sample.astype(np.int16)  # numpy parts 8 bits up to forty times slower
    lowest, highest = _percentile(sample, low), _percentile(sample, high)
    return lowest, max(highest, lowest + 1e-6 * max(1.0, abs(lowest)))


def _percentile(values: Pixels, percent: float) -> float:
    """As `numpy.percentile`, which is many times slower: it parts the values at several places at once."""
    place = (values.size - 1) * (percent / 100)
    below = int(place)
    parted = np.partition(values, below)
    low = float(parted[below])
    high = float(parted[below + 1 :].min()) if below + 1 < values.size else low
    share = place - below
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def binned(image: Pixels, scale: int) -> FloatImage:
    """Means of blocks of ``scale`` x ``scale`` pixels, (h // scale, w // scale) float32.

    Line by line first, then across: numpy's mean over both axes at once takes many times as long.
    """
    height, width = (side // scale for side in image.shape)
    means = np.empty((height, width), np.float32)
    lines = max(1, _BINNED_TOGETHER_PX // max(1, width * scale**2))
    for first in range(0, height, lines):
        part = image[first * scale : (first + lines) * scale, : width * scale][: (height - first) * scale]
        sums = part.reshape(-1, scale, width * scale).sum(axis=1, dtype=np.float32)
        np.copyto(means[first : first + lines], sums[:, ::scale])
        for column in range(1, scale):
            means[first : first + lines] += sums[:, column::scale]
    means /= np.float32(scale * scale)
    return means


def to_unit(image: Pixels, levels: tuple[float, float]) -> FloatImage:
    """Grey levels to float32 with ``levels`` at 0 and 1 (values beyond them go beyond 0 and 1)."""
    low, high = levels
    unit = image.astype(np.float32)
    unit -= np.float32(low)
    unit *= np.float32(1.0 / (high - low))
    return unit


def from_unit(unit: FloatImage, levels: tuple[float, float], dtype: npt.DTypeLike) -> Pixels:
    """The way back of `to_unit`: rounded and clipped to an integer ``dtype``, plain for float32."""
    low, high = levels
    grey = unit.astype(np.float64) * (high - low) + low
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return grey.astype(kind)
    limits = np.iinfo(kind)
    return np.clip(np.rint(grey), limits.min, limits.max).astype(kind)
