"""Bytes to message and back.

A message is ``[topic][JSON header][raw buffer...]``: first the buffers of the arrays, then those of the
blobs, each list in header order. `encode` and `decode` are a symmetric pure pair.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from semdaemon.errors import SemdaemonError
from semdaemon.frame import Frame
from semdaemon.wire.headers import (
    MAX_BUFFERS,
    SCHEMA,
    SCHEMA_FAMILY,
    TYPES,
    ArrayDescription,
    BlobDescription,
    Header,
)

MAX_HEADER_BYTES = 4 * 2**20

Array = npt.NDArray[Any]
Part = bytes | memoryview
NamedArray = tuple[str, Array]
NamedBlob = tuple[str, str, bytes]


READY_PREFIX = "semdaemon-ready/"


@dataclass(frozen=True)
class Blob:
    """An encoded file in a message."""

    media_type: str
    data: bytes


@dataclass(frozen=True)
class Message:
    """One received message.

    Attributes
    ----------
    topic, event
        e.g. ``sem/score/`` and ``score``.
    header
        The JSON header as a plain dictionary, unknown keys included.
    arrays
        Name to read-only array, shape and dtype as the header says.
    blobs
        Name to encoded file, e.g. ``preview``.
    healed
        True where it was fetched from the replay store: lost on the way, or sent before we came.
    """

    topic: str
    event: str
    header: Mapping[str, Any]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    healed: bool = False

    @property
    def epoch(self) -> str:
        return str(self.header["epoch"])

    @property
    def sequence(self) -> int:
        return int(self.header["sequence"])


def topic_of(instrument: str, event: str) -> str:
    """``<instrument>/<event>/``; the closing slash keeps ``sem/frame/`` apart from ``sem/frames``."""
    return f"{instrument}/{event}/"


def now() -> str:
    """This moment, RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def frame_header(frame: Frame) -> dict[str, Any]:
    """Header key ``frame`` of a frame event."""
    return {
        "id": frame.id,
        "source": frame.source,
        "uri": frame.uri,
        "acquired_at": frame.acquired_at.isoformat() if frame.acquired_at else None,
        "shape": list(frame.shape),
        "type": frame.pixels.dtype.name,
        "pixel_size_m": list(frame.pixel_size_m) if frame.pixel_size_m else None,
        "image_area": frame.image_area.as_list(),
        "page": frame.page,
    }


def plain(value: object) -> Any:
    """A value as JSON can say it: numpy scalars, paths and times become plain, NaN and infinities null."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return plain(str(value))
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    raise TypeError(f"a header cannot carry {type(value).__name__}")


def describe_array(name: str, array: Array) -> dict[str, Any]:
    """Entry of header key ``arrays`` for one array, as `buffer_of` will send it."""
    if array.dtype.name not in TYPES:
        raise SemdaemonError(
            "unsendable_array",
            f"Array {name} is {array.dtype.name}; the wire knows {', '.join(TYPES)}.",
            remedy="Convert it before publishing.",
        )
    return {
        "name": name,
        "htype": "array-1.0",
        "shape": [int(side) for side in array.shape],
        "type": array.dtype.name,
        "endianness": endianness(array.dtype),
    }


def endianness(dtype: np.dtype[Any]) -> str:
    """``little`` or ``big``; single bytes count as little."""
    order = dtype.byteorder
    if order == "=":
        return sys.byteorder
    return "big" if order == ">" else "little"


def buffer_of(array: Array) -> memoryview:
    """The bytes of an array in C order; no copy where it is contiguous already."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8).data if flat.size else memoryview(b"")


def encode(
    topic: str,
    header: Mapping[str, Any],
    arrays: Sequence[NamedArray] = (),
    blobs: Sequence[NamedBlob] = (),
) -> list[Part]:
    """A message as the parts that go on the wire.

    Parameters
    ----------
    topic
        ``<instrument>/<event>/``.
    header
        Everything but ``arrays`` and ``blobs``, which are written here; ``schema`` is added where missing.
    arrays
        ``(name, array)``; contiguous arrays are not copied: they must not change until sent.
    blobs
        ``(name, media type, bytes)``.

    Returns
    -------
    list of bytes or memoryview
        Topic, JSON header, buffers.

    Raises
    ------
    SemdaemonError
        ``unsendable_array`` for element types that the wire does not know.
    """
    said = {
        "schema": SCHEMA,
        **plain(header),
        "arrays": [describe_array(name, array) for name, array in arrays],
        "blobs": [{"name": name, "media_type": media, "bytes": len(data)} for name, media, data in blobs],
    }
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return [topic.encode(), text.encode(), *(buffer_of(array) for _, array in arrays), *(b[2] for b in blobs)]


def decode(parts: Sequence[bytes | memoryview]) -> Message:
    """The way back of `encode`; everything is checked, nothing is trusted.

    Raises
    ------
    SemdaemonError
        ``bad_message`` where parts, header and buffers do not hold together; ``unknown_schema`` for another
        generation of the format.
    """
    if not 2 <= len(parts) <= 2 + 2 * MAX_BUFFERS:
        raise _bad(f"{len(parts)} parts, expected topic, header and buffers")
    try:
        topic = bytes(parts[0]).decode()
    except UnicodeDecodeError as error:
        raise _bad("the topic is not UTF-8") from error
    header = parse_header(parts[1])
    known = _checked(header)
    buffers = parts[2:]
    if len(buffers) != len(known.arrays) + len(known.blobs):
        raise _bad(f"{len(buffers)} buffers, the header describes {len(known.arrays) + len(known.blobs)}")
    count = len(known.arrays)
    arrays = {said.name: _array(said, raw) for said, raw in zip(known.arrays, buffers[:count], strict=True)}
    blobs = {said.name: _blob(said, raw) for said, raw in zip(known.blobs, buffers[count:], strict=True)}
    if len(arrays) + len(blobs) != len(buffers):
        raise _bad("two buffers have the same name")
    return Message(topic, known.event, header, arrays, blobs)


def parse_header(raw: bytes | memoryview) -> dict[str, Any]:
    """JSON object from bytes, bounded in size."""
    if len(raw) > MAX_HEADER_BYTES:
        raise _bad(f"a header of {len(raw)} bytes, at most {MAX_HEADER_BYTES} are read")
    try:
        header = json.loads(bytes(raw))
    except (ValueError, RecursionError) as error:
        raise _bad("the header is not JSON") from error
    if not isinstance(header, dict):
        raise _bad(f"the header is a {type(header).__name__}, expected an object")
    return header


def _checked(header: dict[str, Any]) -> Header:
    schema = header.get("schema")
    if not (isinstance(schema, str) and schema.startswith(SCHEMA_FAMILY)):
        raise SemdaemonError(
            "unknown_schema",
            f"The message says schema {schema!r}; this reader knows {SCHEMA_FAMILY}x.",
            remedy="Use a client of the publisher's generation.",
        )
    try:
        return Header.model_validate(header)
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(f"header key {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _array(said: ArrayDescription, raw: bytes | memoryview) -> Array:
    if said.type not in TYPES:
        raise _bad(f"array {said.name} is of unknown type {said.type!r}")
    dtype = np.dtype(said.type).newbyteorder(">" if said.endianness == "big" else "<")
    if any(side < 0 for side in said.shape):
        raise _bad(f"array {said.name} has a negative side: {said.shape}")
    # math.prod on Python integers: no overflow, so an absurd shape cannot match a small buffer.
    if math.prod(said.shape) * dtype.itemsize != len(raw):
        raise _bad(f"array {said.name}: {said.type} {said.shape} does not fill {len(raw)} bytes")
    try:
        array = np.frombuffer(raw, dtype=dtype).reshape(said.shape)
    except (ValueError, OverflowError) as error:
        raise _bad(f"array {said.name}: no array has the shape {said.shape}") from error
    array = array if dtype.isnative else array.astype(dtype.newbyteorder("="))
    array.flags.writeable = False
    return array


def _blob(said: BlobDescription, raw: bytes | memoryview) -> Blob:
    if said.bytes != len(raw):
        raise _bad(f"blob {said.name}: {said.bytes} bytes announced, {len(raw)} there")
    return Blob(said.media_type, bytes(raw))


def _bad(what: str) -> SemdaemonError:
    return SemdaemonError(
        "bad_message",
        f"Not a semdaemon message: {what}.",
        remedy="Is this the right endpoint? See docs/wire-format.md.",
    )
