"""Zeiss and Zeiss Orion: tag 34118 (lines of text), tag 65000 (XML of Orion)."""

from __future__ import annotations

import re
from datetime import datetime

from semdaemon.formats.ifd import Tag, decode_text
from semdaemon.formats.vendors.texts import length_m, moment, number, parse_xml, plain, xml_values
from semdaemon.formats.vendors.told import Evidence, Told

SEM_TAG, ORION_TAG = 34118, 65000
_DISPLAY_COLUMNS = 1024
_KEY = re.compile(r"[A-Z]{2}_[A-Z0-9_]+$")
_DISAGREE = 0.05


def parse(evidence: Evidence) -> Told | None:
    """What the Zeiss tags tell; None where there are none."""
    tags = evidence.page.tags if evidence.page is not None else {}
    orion = tags.get(ORION_TAG)
    if orion is not None and b"<ImageTags>" in orion.raw[:64]:
        return _orion(orion, evidence.shape)
    return _sem(tags[SEM_TAG], evidence.shape) if SEM_TAG in tags else None


def _sem(tag: Tag, shape: tuple[int, int]) -> Told:
    head, named = _lines(decode_text(tag.raw.rstrip(b"\0")))
    size_m, warnings = _pixel_size(head, named, shape)
    when = f"{_value(named, 'AP_DATE')} {_value(named, 'AP_TIME')}"
    return Told(
        vendor="zeiss",
        metadata={"": head, **{key: plain(value) for key, (_, value) in named.items()}},
        pixel_size_m=(size_m, size_m) if size_m else None,
        acquired_at=moment([when], ("%d %b %Y %H:%M:%S", "%d %B %Y %H:%M:%S", "%m/%d/%Y %H:%M:%S")),
        warnings=warnings,
    )


def _lines(text: str) -> tuple[list[str | int | float], dict[str, tuple[str, str]]]:
    """Nameless numbers at the start, then pairs of lines: key, ``Label = value`` (or ``Label :value``)."""
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", text)]
    starts = next((i for i, line in enumerate(lines) if _KEY.match(line)), len(lines))
    head = [plain(line) for line in lines[:starts] if line]
    named: dict[str, tuple[str, str]] = {}
    for key, line in zip(lines[starts:], lines[starts + 1 :], strict=False):
        if _KEY.match(key) and not _KEY.match(line):
            label, _, value = line.partition("=") if "=" in line else line.partition(":")
            named[key] = (label.strip(), value.strip())
    return head, named


def _value(named: dict[str, tuple[str, str]], key: str) -> str:
    return named.get(key, ("", ""))[1]


def _pixel_size(
    head: list[str | int | float], named: dict[str, tuple[str, str]], shape: tuple[int, int]
) -> tuple[float | None, tuple[str, ...]]:
    """Metres a pixel.

    AP_PIXEL_SIZE belongs to the monitor, not to the image, and is never taken.
    The fourth nameless number is exact but tied to a display of 1024 columns;
    AP_IMAGE_PIXEL_SIZE is rounded to four digits. Where the two agree the exact one is taken.
    """
    columns = shape[1] or _DISPLAY_COLUMNS
    exact = number(head[3]) if len(head) > 3 else None
    exact = exact * _DISPLAY_COLUMNS / columns if exact else None
    width = length_m(_value(named, "AP_WIDTH"))
    said = length_m(_value(named, "AP_IMAGE_PIXEL_SIZE")) or (width / columns if width else None)
    if exact and said and abs(exact / said - 1) > _DISAGREE:
        return said, (f"Zeiss gives two pixel sizes, {exact:.4g} m and {said:.4g} m; the named one is taken",)
    return exact or said, ()


def _orion(tag: Tag, shape: tuple[int, int]) -> Told:
    try:
        values = xml_values(parse_xml(decode_text(tag.raw)))
    except ValueError as error:
        return Told("zeiss", warnings=(f"Zeiss Orion tag {ORION_TAG}: {error}",))
    found = values if isinstance(values, dict) else {}
    x, y = _in_metres(found.get("ScalingX")), _in_metres(found.get("ScalingY"))
    rows, columns = number(_plain_value(found, "ImageHeight")), number(_plain_value(found, "ImageWidth"))
    return Told(
        vendor="zeiss",
        metadata=found,
        pixel_size_m=(y or x, x) if x else None,
        acquired_at=_orion_moment(str(_plain_value(found, "TimeStamp"))),
        picture=(int(rows), int(columns)) if rows and columns else None,
    )


def _plain_value(found: dict[str, object], name: str) -> object:
    entry = found.get(name)
    return entry.get("Value") if isinstance(entry, dict) else None


def _in_metres(entry: object) -> float | None:
    if not isinstance(entry, dict):
        return None
    return length_m(f"{entry.get('Value')} {entry.get('Units')}")


def _orion_moment(text: str) -> datetime | None:
    # Day and month stand in the order of the PC's locale: only told where both orders agree.
    forms = ("%d/%m/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p")
    found = {moment([text], [form]) for form in forms} - {None}
    return found.pop() if len(found) == 1 else None
