"""Micro-Manager's tags and raw pixels become a frame. Tags are texts or numbers, as the version pleases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from semdaemon.errors import FrameError
from semdaemon.formats.vendors import micromanager
from semdaemon.settings import Limits
from semdaemon.sources.pushmessage import true_colour
from semdaemon.sources.unsaved import UnsavedFrame, checked_pixels

_COLOUR = ("RGB32", "RGB64", "RGB")


def frame_from(tags: Mapping[str, Any], buffer: bytes, type_name: str, limits: Limits) -> UnsavedFrame:
    """A frame from an image as the bridge delivers it.

    Parameters
    ----------
    tags
        ``Height`` and ``Width`` must be there; ``PixelType`` may be missing.
    buffer
        The pixels in this machine's byte order.
    type_name
        What numpy calls one element of the array that came.

    Raises
    ------
    FrameError
        ``no_size``, ``true_colour``, ``too_large``, ``wrong_size``, ``unsupported_dtype``.
    """
    height, width = _side(tags, "Height"), _side(tags, "Width")
    kind = np.dtype(type_name)
    said = str(tags.get("PixelType") or "")
    if said.upper() in _COLOUR or (not said and len(buffer) == 4 * height * width and kind.name == "uint8"):
        raise true_colour(f"an image of {width} x {height} pixels of type {said or 'RGB32'}")
    if height * width > limits.max_pixels:
        raise FrameError(
            "too_large",
            f"{height} x {width} pixels; at most limits.max_pixels = {limits.max_pixels:,} are taken.",
        )
    return UnsavedFrame(
        pixels=checked_pixels(buffer, (height, width), kind),
        acquired_at=micromanager.acquired_at(tags) or datetime.now(UTC),
        pixel_size_m=micromanager.pixel_size_m(tags),
        vendor="micromanager",
        metadata=dict(tags),
    )


def _side(tags: Mapping[str, Any], name: str) -> int:
    try:
        side = int(float(tags[name]))
    except (KeyError, TypeError, ValueError, OverflowError):
        side = 0
    if side < 1:
        raise FrameError(
            "no_size", f"An image came whose tag {name} is {tags.get(name)!r}, not a number of pixels."
        )
    return side
