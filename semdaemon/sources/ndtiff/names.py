"""Which files are stacks, by name, and what their frames are called."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path, PurePath

SOURCE = "ndtiff"
PATTERNS = ("*NDTiffStack*.tif", "*_MMStack*.tif")
"""NDTiff 2 and 3; Micro-Manager 1.4 and 2 (``*_MMStack_Pos0.ome.tif`` and ``*_MMStack.ome.tif``)."""
PYRAMID = "Downsampled_x*"
"""Folders of an NDTiff pyramid that hold reduced copies of the frames in ``Full resolution``."""

_ANY = re.compile("|".join(fnmatch.translate(pattern.casefold()) for pattern in PATTERNS))
_FRAME = re.compile(r"#frame=(\d+)$")


def may_be_stack(name: str) -> bool:
    """Whether a file's name is one that Micro-Manager gives to stacks; cheap, for every file of a scan."""
    return _ANY.match(name.casefold()) is not None


def is_reduced_copy(relative: PurePath) -> bool:
    """Whether a stack holds a pyramid's reduced copies."""
    return any(fnmatch.fnmatch(part, PYRAMID) for part in relative.parts[:-1])


def frame_uri(path: Path, number: int) -> str:
    """``file:///...tif#frame=N``, counted from 0 within the file."""
    return f"{path.as_uri()}#frame={number}"


def frame_number(uri: str) -> int:
    """The way back; 0 where the URI names no frame."""
    found = _FRAME.search(uri)
    return int(found[1]) if found else 0


def frame_relative(relative: Path, number: int) -> Path:
    """What the frame would be called as a file of its own: the output's name follows from it."""
    stem = relative.name.removesuffix(relative.suffix).removesuffix(".ome")
    return relative.with_name(f"{stem}.frame{number:06d}.tif")
