"""Names that every system can write and means the same by."""

from __future__ import annotations

import hashlib
import os
import re

# Control characters hide in terminals and logs; lone surrogates are bytes that are no text.
_NEVER = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\\/]')
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE)
_MOST_STEM_BYTES = 180
"""What is left of 255 for page, suffix, and the temporary name's host and process."""


def portable(name: str) -> str:
    """A file's or folder's name without what some system refuses or takes for something else.

    Windows opens the console for ``CON.refocused.tif`` and drops dots and spaces at a name's end,
    so that two folders would become one.
    """
    name = _NEVER.sub("_", name)
    if os.name == "nt":
        name = _NOT_ON_WINDOWS.sub("_", name)
    bare = name.rstrip(". ")
    name = bare + "_" * (len(name) - len(bare))
    device = _DEVICES.match(name)
    return f"{device[1]}_{name[device.end(1) :]}" if device else name


def shortened(stem: str) -> str:
    """A stem that leaves room for suffixes; a shortened one ends in a checksum, so that no two meet."""
    raw = stem.encode("utf-8", "surrogatepass")
    if len(raw) <= _MOST_STEM_BYTES:
        return stem
    digest = hashlib.sha256(raw).hexdigest()[:10]
    return f"{raw[: _MOST_STEM_BYTES - 11].decode('utf-8', 'ignore')}~{digest}"
