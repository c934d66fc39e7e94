"""Arrays as one compact blob, and back with every claim of the blob checked before memory is taken."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.errors import SemdaemonError

Array = npt.NDArray[Any]

_MOST_BYTES = 2**26
_DAMAGE = (
    ValueError, TypeError, LookupError, EOFError, OSError, NotImplementedError, RuntimeError, SyntaxError,
    ArithmeticError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def packed(arrays: Mapping[str, Array]) -> bytes:
    """Arrays by name as one compressed blob; `unpacked` is the way back."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def unpacked(blob: bytes) -> dict[str, Array]:
    """Arrays by name.

    Raises
    ------
    SemdaemonError
        ``blob_damaged``, whatever is wrong with it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise ValueError(f"it claims more than {_MOST_BYTES:,} bytes")
            return {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()}
    except _DAMAGE as error:
        raise damaged(error) from error


def damaged(error: object) -> SemdaemonError:
    """The fault of a blob that does not hold."""
    return SemdaemonError(
        "blob_damaged",
        f"A stored focus map cannot be read: {error}.",
        remedy="'semdaemon requeue' makes the frame's focus map anew.",
    )


def _array(raw: bytes) -> Array:
    stream = io.BytesIO(raw)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"array format {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    # numpy takes memory for the claimed shape first and finds out afterwards.
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(raw) - stream.tell():
        raise ValueError(f"an array of shape {shape} and type {dtype} does not fill its bytes")
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
