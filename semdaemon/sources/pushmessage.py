"""The message with which a script's hook pushes a frame: ``[JSON header][raw pixels]``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from semdaemon.errors import FrameError
from semdaemon.formats.vendors import micromanager
from semdaemon.settings import Limits
from semdaemon.sources.unsaved import UnsavedFrame, checked_pixels

SCHEMA = "semdaemon-push-1.0"
MOST_HEADER_BYTES = 2**20
MOST_BYTES_A_PIXEL = 4

_Side = Annotated[int, Field(ge=1, le=2**31 - 1)]
_Metres = Annotated[float, Field(gt=0, le=1.0, allow_inf_nan=False)]


class PushedHeader(BaseModel):
    """The header; keys that are not named here are left alone, so that 1.x can add some."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    schema_name: str = Field(alias="schema", pattern=r"^semdaemon-push-1\.\d+$")
    shape: Annotated[list[_Side], Field(min_length=2, max_length=4)]
    type: Literal["uint8", "uint16", "uint32", "int8", "int16", "int32", "float32"]
    endianness: Literal["little", "big"] = "little"
    acquired_at: AwareDatetime | None = None
    pixel_size_m: tuple[_Metres, _Metres] | None = None
    vendor: str = Field("", pattern=r"^[a-z0-9_-]{0,32}$")
    metadata: dict[str, Any] = Field(default_factory=dict)
    sender: str = Field("", max_length=64)
    dropped: int = Field(0, ge=0, le=2**63 - 1)


def parse_header(raw: bytes | memoryview) -> PushedHeader:
    """The header of a message; raises `FrameError` ``not_understood``."""
    if len(raw) > MOST_HEADER_BYTES:
        raise _not_understood(f"its header has {len(raw):,} bytes; at most {MOST_HEADER_BYTES:,} are read")
    try:
        return PushedHeader.model_validate_json(bytes(raw))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _not_understood(f"{'.'.join(map(str, first['loc'])) or 'header'}: {first['msg']}") from error


def frame_of(header: PushedHeader, buffer: bytes | memoryview, limits: Limits) -> UnsavedFrame:
    """The frame of a message; its pixels look into ``buffer``.

    Raises
    ------
    FrameError
        ``true_colour``, ``too_large``, ``wrong_size``.
    """
    if len(header.shape) != 2:
        raise true_colour(f"an array of shape {header.shape}")
    height, width = header.shape
    if height * width > limits.max_pixels:
        raise FrameError(
            "too_large",
            f"{height} x {width} pixels; at most limits.max_pixels = {limits.max_pixels:,} are taken.",
        )
    kind = np.dtype(header.type).newbyteorder("<" if header.endianness == "little" else ">")
    told = header.metadata if header.vendor == "micromanager" else {}
    return UnsavedFrame(
        pixels=checked_pixels(buffer, (height, width), kind),
        acquired_at=header.acquired_at or micromanager.acquired_at(told),
        pixel_size_m=header.pixel_size_m or micromanager.pixel_size_m(told),
        vendor=header.vendor,
        # Which hook it came from: its frames are one run.
        metadata={**header.metadata, "Sender": header.sender} if header.sender else header.metadata,
    )


def true_colour(what: str) -> FrameError:
    """For pictures of several channels."""
    return FrameError(
        "true_colour",
        f"{what} is no grey image; a two-dimensional one was expected.",
        remedy="Set the camera to a grey PixelType (8bit or 16bit), or push one channel.",
    )


def _not_understood(what: str) -> FrameError:
    return FrameError(
        "not_understood",
        f"A message was pushed that is no frame: {what}.",
        remedy="docs/wire-format.md, 'Frames pushed by a hook', says what is expected.",
    )
