"""TIFF written by Gatan DigitalMicrograph: scales in the tags 65003 to 65027."""

from __future__ import annotations

from collections.abc import Mapping

from semdaemon.formats.ifd import Tag
from semdaemon.formats.vendors.texts import number, unit_m
from semdaemon.formats.vendors.told import Evidence, Told

_NAMES = {
    65003: "x unit", 65004: "y unit", 65005: "z unit",
    65006: "x origin", 65007: "y origin", 65008: "z origin",
    65009: "x scale", 65010: "y scale", 65011: "z scale", 65012: "x unit name", 65013: "y unit name",
    65022: "intensity unit", 65024: "intensity origin", 65025: "intensity scale",
}  # fmt: skip


def parse(evidence: Evidence) -> Told | None:
    """What DigitalMicrograph's tags tell; None where there are none."""
    tags = evidence.page.tags if evidence.page is not None else {}
    if 65009 not in tags and 65003 not in tags:
        return None
    found = {name: value for code, name in _NAMES.items() if (value := _value(tags, code)) is not None}
    x, y = number(found.get("x scale")), number(found.get("y scale"))
    x_unit, y_unit = unit_m(str(found.get("x unit", ""))), unit_m(str(found.get("y unit", "")))
    size_m = (y * y_unit, x * x_unit) if x and y and x_unit and y_unit else None
    return Told(vendor="gatan", metadata=found, pixel_size_m=size_m)


def _value(tags: Mapping[int, Tag], code: int) -> str | float | None:
    tag = tags.get(code)
    if tag is None:
        return None
    if "unit" in _NAMES[code]:
        return _text(tag)
    return number(tag.numbers[0]) if tag.numbers else None


def _text(tag: Tag) -> str:
    # DigitalMicrograph writes UTF-16 as ASCII or SHORT; HyperSpy writes plain text.
    raw = tag.raw
    wide = len(raw) >= 2 and b"\0" in raw[:2] + raw[3:4] and raw.strip(b"\0")[1:2] in (b"\0", b"")
    if wide and len(raw) % 2 == 0 and len(raw) > 2:
        return raw.decode("utf-16-le" if raw[0] else "utf-16-be", "replace").split("\0")[0]
    return tag.text
