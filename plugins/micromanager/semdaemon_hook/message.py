"""One image as a message ``[JSON header][raw pixels]`` (semdaemon's docs/wire-format.md)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import numpy as np

SCHEMA = "semdaemon-push-1.0"
PIXEL_TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32")
MOST_METADATA_BYTES = 2**19

# Where one of these is among the tags, the daemon takes the time from it.
_TIMES = ("ReceivedTime", "TimeReceivedByCore", "UserData-TimeReceivedByCore")


class NotServedError(Exception):
    """An image that is no grey picture of a type that semdaemon takes."""


def message(
    image: Any,
    metadata: Mapping[str, Any] | None,
    *,
    vendor: str,
    acquired_at: datetime | None = None,
    pixel_size_m: tuple[float, float] | None = None,
    **told: Any,
) -> tuple[bytes, memoryview]:
    """Header and pixels; the pixels are not copied where they lie in one piece.

    Raises
    ------
    NotServedError
        The image is no two-dimensional array of one of `PIXEL_TYPES`.
    """
    pixels = np.asarray(image)
    if pixels.ndim != 2 or pixels.dtype.name not in PIXEL_TYPES or 0 in pixels.shape:
        raise NotServedError(
            f"an image of shape {pixels.shape} and type {pixels.dtype} is not sent; "
            f"grey images of {', '.join(PIXEL_TYPES)} are (set the camera's PixelType to 8bit or 16bit)"
        )
    tags = dict(metadata or {})
    if acquired_at is None and not any(tags.get(key) for key in _TIMES):
        acquired_at = datetime.now(timezone.utc)  # noqa: UP017 - Python 3.9 has no datetime.UTC
    header = {
        "schema": SCHEMA,
        "shape": list(pixels.shape),
        "type": pixels.dtype.name,
        "endianness": _endianness(pixels.dtype),
        "acquired_at": None if acquired_at is None else acquired_at.astimezone().isoformat(),
        "pixel_size_m": pixel_size_m,
        "vendor": vendor,
        "metadata": _plain(tags),
        **told,
    }
    return json.dumps(header).encode(), np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data


def _endianness(kind: np.dtype[Any]) -> str:
    return {"<": "little", ">": "big"}.get(kind.byteorder, sys.byteorder)


def _plain(tags: Mapping[str, Any]) -> Any:
    """The tags as JSON takes them: numbers and texts as they are, everything else as text, not too much."""
    text = json.dumps({str(key): value for key, value in tags.items()}, default=_plain_value)
    if len(text) > MOST_METADATA_BYTES:
        return {"semdaemon_hook": f"{len(text)} bytes of metadata were left out"}
    return json.loads(text, parse_constant=str)


def _plain_value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
