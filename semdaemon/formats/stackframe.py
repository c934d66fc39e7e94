"""One frame of a growing stack becomes a `Frame`, read by the place of its directory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from semdaemon.formats import faults, grey, tiff
from semdaemon.formats.databar import image_area
from semdaemon.formats.ifd import Ifd, Tag
from semdaemon.formats.metadata import gather
from semdaemon.formats.stack import METADATA_TAG, Directory, Entry, Header, StackFile
from semdaemon.formats.vendors import Evidence, Told
from semdaemon.formats.vendors.micromanager import acquired_at, pixel_size_m
from semdaemon.frame import Frame, Pixels, frame_id
from semdaemon.settings import Limits

_MOST_TAG_BYTES = 2**26
_INDICES = {"PositionIndex": "position", "FrameIndex": "time", "ChannelIndex": "channel", "SliceIndex": "z"}
_UNCOMPRESSED, _RGB = 1, 2


def read_stack_frame(
    file: StackFile,
    header: Header,
    directory: Directory,
    number: int,
    *,
    source: str,
    uri: str,
    limits: Limits,
) -> Frame:
    """A complete frame.

    ``content_sha256`` is that of the pixels' and the metadata's bytes as stored: two frames of the same
    pixels, taken one after the other, are two frames.

    Parameters
    ----------
    number
        Of the frame in its file, from 0; stands in the metadata and in messages.

    Raises
    ------
    FrameError
        ``true_colour``, ``too_large``, ``unsupported_dtype`` and the like; ``truncated`` where the file
        ends before the frame does.
    """
    path = _numbered(file.path, number)
    page = tiff.TiffPage(_ifd(file, directory, number))
    if page.samples != 1 or page.photometric == _RGB:
        raise faults.true_colour(path, f"{page.samples} samples a pixel, photometric {page.photometric}")
    tiff.check(path, page, limits, file.stat().st_size)
    stored, pixels = _pixels(file, page, path)
    told = gather(Evidence(page.ifd.shape, page.ifd))
    grey.check_finite(path, pixels)
    area = image_area(pixels, told.picture, min_side_px=limits.min_side_px)
    grey.check_not_constant(path, pixels[area.slices])
    pixels.flags.writeable = False
    content = _sha256(stored, page.ifd.tags[METADATA_TAG].raw if METADATA_TAG in page.ifd.tags else b"")
    return Frame(
        id=frame_id(content, uri),
        source=source,
        uri=uri,
        pixels=pixels,
        content_sha256=content,
        image_area=area,
        pixel_size_m=told.pixel_size_m or pixel_size_m(header.summary),
        acquired_at=told.acquired_at,
        vendor=told.vendor or "micromanager",
        metadata=_with_place(told, header, file.path, number),
        warnings=told.warnings,
    )


def read_numbered_frame(path: Path, number: int, limits: Limits) -> Frame | None:
    """Frame ``number`` of a stack; None where the file is no stack or has no such frame.

    Raises
    ------
    FrameError
        As `read_stack_frame`.
    OSError
        The file cannot be read.
    """
    with StackFile(path, follow_links=True) as file:
        header = file.header()
        found = file.numbered(header, number) if header is not None else None
        if header is None or found is None:
            return None
        uri = f"{path.resolve().as_uri()}#frame={number}"
        return read_stack_frame(file, header, found, number, source="ndtiff", uri=uri, limits=limits)


def stamp_ns(found: Mapping[str, object], raw: bytes) -> int:
    """A number that stays with a frame whatever happens to its file: its time, nanoseconds since 1970.

    Where the metadata tell no time it is a checksum of them, which lies in the first seconds of 1970.
    """
    when = acquired_at(found)
    if when is None:
        return int.from_bytes(hashlib.sha256(raw).digest()[:4], "little") + 1
    return int(when.timestamp() * 1_000_000) * 1000


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name} (frame {number})")


def _ifd(file: StackFile, directory: Directory, number: int) -> Ifd:
    tags = {code: _tag(file, directory, entry) for code, entry in directory.entries.items() if entry.size}
    return Ifd(number, tags, directory.byteorder)


def _tag(file: StackFile, directory: Directory, entry: Entry) -> Tag:
    if entry.size > _MOST_TAG_BYTES:
        raise faults.broken_ifd(file.path, f"tag {entry.code} claims {entry.size:,} bytes")
    raw = file.read(entry.at, entry.size)
    if len(raw) < entry.size:
        raise faults.truncated(file.path, f"tag {entry.code} lies beyond its end")
    return Tag(entry.code, entry.dtype, entry.count, directory.byteorder, raw, 0, entry.size)


def _pixels(file: StackFile, page: tiff.TiffPage, path: Path) -> tuple[bytes, Pixels]:
    """The strips' bytes and the pixels in them (rows, columns), native byte order."""
    if page.compression != _UNCOMPRESSED or 324 in page.ifd.tags:
        raise faults.unsupported_compression(path, "a growing stack is expected uncompressed, in strips")
    stored = b"".join(file.read(at, size) for at, size in page.ifd.segments)
    dtype = np.dtype(f"{page.ifd.byteorder}{page.dtype_name[0]}{int(page.dtype_name[1:]) // 8}")
    needed = math.prod(page.ifd.shape)
    if len(stored) < needed * dtype.itemsize:
        raise faults.truncated(
            path, f"{len(stored):,} of {needed * dtype.itemsize:,} bytes of pixels are there"
        )
    samples = np.frombuffer(stored, dtype, needed).reshape(page.ifd.shape)
    pixels, _ = grey.to_grey(
        path, samples.astype(dtype.newbyteorder("="), copy=False), colour=False, lossy=False
    )
    return stored, pixels.view()


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _with_place(told: Told, header: Header, path: Path, number: int) -> dict[str, object]:
    """The frame's metadata with its axes, and where in which stack it stands."""
    found = dict(told.metadata)
    if "Axes" not in found:
        axes = {name: found[key] for key, name in _INDICES.items() if key in found}
        found |= {"Axes": axes} if axes else {}
    found["Stack"] = {"file": path.name, "dataset": path.parent.name, "frame": number, "kind": header.kind}
    return found
