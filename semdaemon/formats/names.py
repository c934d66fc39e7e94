"""Names of what is written: where an output goes and whose it is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from semdaemon.errors import FrameError
from semdaemon.formats.disk import open_regular
from semdaemon.formats.leftovers import is_temporary
from semdaemon.formats.portable import portable, shortened

SUFFIX = ".refocused.tif"
JSON_SUFFIX = ".refocused.json"
PROVENANCE_TAG = 64117
"""Private TIFF tag that holds the provenance as JSON (UTF-8)."""

_MAX_PROVENANCE_BYTES = 2**26


def output_path(output_root: Path, relative: Path, page: int = 0) -> Path:
    """Where the refocused frame of a file goes: ``<output>/<folder>/<stem>[.pageNNNN].refocused.tif``.

    Parameters
    ----------
    relative
        The original's path below its root.

    Names are kept but for what some system cannot write or would misunderstand, see
    `semdaemon.formats.portable`; very long ones are shortened.

    Raises
    ------
    FrameError
        ``outside_output``: ``relative`` leads out of the output folder.
    """
    return _named(output_root, relative, relative.stem, page)


def _named(root: Path, relative: Path, stem: str, page: int) -> Path:
    if relative.is_absolute() or relative.drive or ".." in relative.parts:
        raise FrameError(
            "outside_output",
            f"{relative} leads out of the output folder; a path below its source's root was expected.",
            remedy="This is a mistake of the source that delivered the frame: report it.",
        )
    folders = [portable(part) for part in relative.parts[:-1]]
    name = f"{shortened(portable(stem))}{f'.page{page:04d}' if page else ''}{SUFFIX}"
    return root.joinpath(*folders, portable(name))


def claim_output_path(output_root: Path, relative: Path, page: int = 0, uri: str = "") -> Path:
    """`output_path`, or another name where that one belongs to another original.

    ``a.png`` and ``a.tif`` would both become ``a.refocused.tif``: the second becomes ``a.tif.refocused.tif``.
    A file of that name that is no output of ours is never replaced, nor is a folder.

    Raises
    ------
    FrameError
        ``outside_output``, see `output_path`; ``output_names_taken``: so is the name that is made of the
        original's URI, again and again.
    """
    for stem in _stems(relative, uri):
        path = _named(output_root, relative, stem, page)
        if _is_free(path, uri):
            return path
    raise FrameError(
        "output_names_taken",
        f"{uri or relative}: every name for its output is taken, the last one was {path}.",
        remedy="Remove what is no output from that folder, or choose another output folder; "
        "'semdaemon requeue' tries the frame again.",
    )


def _stems(relative: Path, uri: str) -> Iterator[str]:
    """Few to look at, however many originals have one name: the checksum is this original's alone."""
    digest = hashlib.sha256(_without_page(uri).encode("utf-8", "surrogatepass")).hexdigest()[:10]
    yield relative.stem
    for stem in (relative.name, f"{relative.name}~{digest}"):
        yield from (stem, *(f"{stem}.{n}" for n in range(2, 10)))


def _is_free(path: Path, uri: str) -> bool:
    if os.path.isdir(json_path(path)):  # noqa: PTH112 - a name that is too long is no folder, and no error
        return False  # the provenance could not stand beside it
    return not os.path.lexists(path) or belongs_to(path, uri)


def belongs_to(path: Path, uri: str) -> bool:
    """Whether a file is an output of ours, of this original."""
    provenance = read_provenance(path) or {}
    original = provenance.get("original")
    found = original.get("uri") if isinstance(original, dict) else None
    return isinstance(found, str) and _without_page(found) == _without_page(uri)


def _without_page(uri: str) -> str:
    return re.sub(r"#page=\d+$", "", uri)


def json_path(path: Path) -> Path:
    """The provenance file beside an output."""
    # a.tif.refocused.tif, which gave way to a.refocused.tif, must not give its JSON to that one.
    suffix = SUFFIX if path.name.endswith(SUFFIX) else ".tif"
    return path.with_name(path.name.removesuffix(suffix) + JSON_SUFFIX)


def is_own_output(path: Path) -> bool:
    """Whether a file was written by this program: by its name, else by the provenance tag. Reads little."""
    name = path.name.lower()
    if name.endswith((SUFFIX, JSON_SUFFIX)) or is_temporary(path.name):
        return True
    try:
        with open_regular(path) as file:
            return _find_tag(file, PROVENANCE_TAG) is not None
    except OSError:
        return False


def read_provenance(path: Path) -> dict[str, object] | None:
    """The provenance inside an output, without reading its pixels; None where none can be read."""
    try:
        with open_regular(path) as file:
            found = _find_tag(file, PROVENANCE_TAG)
            if found is None or found[1] > _MAX_PROVENANCE_BYTES:
                return None
            file.seek(found[0])
            provenance = json.loads(file.read(found[1]))
    except (OSError, ValueError):
        return None
    return provenance if isinstance(provenance, dict) else None


def _find_tag(file: BinaryIO, code: int) -> tuple[int, int] | None:
    """(offset, bytes) of a byte-sized tag in the first directory of a TIFF; None where there is none."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return None
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    start = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0]
    size, inline = (20, 8) if big else (12, 4)
    end = os.fstat(file.fileno()).st_size
    if start >= end:
        return None
    file.seek(start)
    entries = _number(file.read(8 if big else 2), order)
    for _ in range(min(entries, 4096)):
        entry = file.read(size)
        if len(entry) < size:
            return None
        if struct.unpack(order + "H", entry[:2])[0] == code:
            count = _number(entry[4:-inline], order)
            where = file.tell() - inline if count <= inline else _number(entry[-inline:], order)
            return (where, count) if where + count <= end else None
    return None


def _number(raw: bytes, order: str) -> int:
    return int.from_bytes(raw, "little" if order == "<" else "big")
