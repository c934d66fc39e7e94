"""The file that some microscopes write beside an image."""

from __future__ import annotations

import stat
from pathlib import Path

from semdaemon.formats.disk import open_regular
from semdaemon.formats.ifd import decode_text
from semdaemon.formats.vendors import hitachi, jeol, tescan

MAX_BYTES = 2**20
_KINDS = ("hdr", "txt")


def sidecar_path(path: Path, kind: str) -> Path | None:
    """Where a frame's sidecar is, or is expected.

    Parameters
    ----------
    kind
        ``hdr`` or ``txt``: the one that is there, else where it would be.
        ``auto``: one that is there and is a microscope's, else None. ``none``: None.
    """
    if kind in _KINDS:
        return _existing(path, kind) or path.with_suffix(f".{kind}")
    if kind != "auto":
        return None
    for one in _KINDS:
        found = _existing(path, one)
        if found is not None and is_sidecar(_text(found) or ""):
            return found
    return None


def read_sidecar(path: Path, kind: str) -> tuple[str | None, tuple[str, ...]]:
    """The sidecar's text and warnings."""
    where = sidecar_path(path, kind)
    if where is None:
        return None, ()
    text = _text(where)
    if text is None:
        return None, (f"sidecar {where.name} is not there or cannot be read",)
    if not is_sidecar(text):
        return None, (f"sidecar {where.name} is no text of TESCAN, JEOL or Hitachi",)
    return text, ()


def is_sidecar(text: str) -> bool:
    """Whether a text is one of the known sidecars; names alone do not tell JEOL from Hitachi from a note."""
    return tescan.is_sidecar(text) or jeol.is_sidecar(text) or hitachi.is_sidecar(text)


def _existing(path: Path, kind: str) -> Path | None:
    names = [path.with_suffix(f".{kind}"), path.with_suffix(f".{kind.upper()}")]
    if kind == "hdr":  # TESCAN also writes image-tif.hdr beside image.tif
        names.append(path.with_name(f"{path.stem}-{path.suffix.lstrip('.')}.hdr"))
    return next((name for name in names if _is_plain_file(name)), None)


def _is_plain_file(path: Path) -> bool:
    # A link may lead anywhere, and what it leads to would be published with the frame.
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False  # not there, or a frame's name so long that its sidecar can have none


def _text(path: Path) -> str | None:
    try:
        with open_regular(path, follow_links=False) as file:
            raw = file.read(MAX_BYTES)
    except OSError:
        return None
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    return decode_text(raw.removeprefix(b"\xef\xbb\xbf"))
