"""Vendors: one module each, one row each in the table below, asked in this order.

A reader takes the `Evidence` and returns what it was `Told`, or None where the file is not its vendor's.
Metadata that do not parse are a warning, never a fault.
"""

from __future__ import annotations

from collections.abc import Callable

from semdaemon.formats.vendors import (
    fei,
    gatan,
    hitachi,
    imagej,
    jeol,
    micromanager,
    ome,
    spooled,
    tescan,
    zeiss,
)
from semdaemon.formats.vendors.told import Evidence, Told

Reader = Callable[[Evidence], Told | None]

READERS: dict[str, Reader] = {
    "zeiss": zeiss.parse,
    "fei": fei.parse,
    "tescan": tescan.parse,
    "gatan": gatan.parse,
    "jeol": jeol.parse,
    "hitachi": hitachi.parse,
    "micromanager": micromanager.parse,
    "spooled": spooled.parse,
    "ome": ome.parse,
    "imagej": imagej.parse,
}

__all__ = ["READERS", "Evidence", "Reader", "Told"]
