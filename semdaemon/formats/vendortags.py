"""The original's vendor tags, copied byte for byte."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from semdaemon.errors import FrameError
from semdaemon.formats.disk import read_bytes
from semdaemon.formats.ifd import MAX_TEXT_BYTES, PRIVATE, RATIONALS, Tag
from semdaemon.formats.names import PROVENANCE_TAG
from semdaemon.formats.read import page_tags
from semdaemon.frame import Frame

# Make, Model, DateTime, Artist, HostComputer: plain words of the instrument.
_WORDS = frozenset({271, 272, 306, 315, 316})
# What points into the old file, or describes the old file's pages or coding.
_POINTERS = frozenset({34665, 34853, 40965, 37724, 50831, 50838, 50839, 34377, 32997, 32998, PROVENANCE_TAG})
_IFD_TYPES = frozenset({13, 18})
_ASCII, _UNDEFINED = 2, 7
_MOST_FILE_BYTES, _MOST_FRAMES = 2**31, 64

TagTuple = tuple[int, int, int, bytes | tuple[int, ...], bool]


@dataclass(frozen=True)
class Inherited:
    """What an output takes over from its original's directory."""

    tags: tuple[TagTuple, ...] = ()
    byteorder: Literal["<", ">"] = "<"
    white_is_zero: bool = False
    warnings: tuple[str, ...] = ()


def inherit(frame: Frame, source_path: Path | None) -> Inherited:
    """Tags, byte order and polarity of the file that a frame came from.

    Nothing is taken from a file that changed since the frame was read; that is a warning.
    """
    if source_path is None:
        return Inherited()
    try:
        # A file far larger than the frame's may be was put in its place.
        file = read_bytes(source_path, max(_MOST_FILE_BYTES, _MOST_FRAMES * frame.pixels.nbytes))
        if file.sha256 != frame.content_sha256:
            return Inherited(warnings=("vendor tags are not copied: the original changed since it was read",))
        page = page_tags(source_path, file.data, frame.page)
    except FrameError as error:
        return Inherited(warnings=(f"vendor tags are not copied: {error.message}",))
    if page is None:
        return Inherited()
    return Inherited(
        tags=tuple(_as_extratag(tag) for tag in page.ifd.tags.values() if is_vendors(tag)),
        byteorder=">" if page.ifd.byteorder == ">" else "<",
        white_is_zero=page.photometric == 0,
    )


def is_vendors(tag: Tag) -> bool:
    """Whether a tag is the vendor's word on the frame, not a description of the file."""
    if tag.dtype in _IFD_TYPES or tag.code in _POINTERS or not 0 < tag.size <= MAX_TEXT_BYTES:
        return False
    return tag.code >= PRIVATE or tag.code in _WORDS


def _as_extratag(tag: Tag) -> TagTuple:
    raw = tag.raw
    if tag.dtype in RATIONALS:  # which tifffile miscounts as bytes
        values = struct.unpack(f"{tag.byteorder}{2 * tag.count}{'I' if tag.dtype == 5 else 'i'}", raw)
        return (tag.code, tag.dtype, tag.count, values, True)
    # tifffile would end a text with NUL; as bytes of no type it stays as it is.
    dtype = _UNDEFINED if tag.dtype == _ASCII and raw[-1:] != b"\0" else tag.dtype
    return (tag.code, dtype, tag.count, raw, True)
