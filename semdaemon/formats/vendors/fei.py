"""FEI and Thermo Fisher: tags 34680 and 34682 (sections of text), 34683 (XML)."""

from __future__ import annotations

import re
from datetime import datetime

from semdaemon.formats.ifd import Tag, decode_text
from semdaemon.formats.vendors.texts import iso_moment, moment, number, parse_xml, sections, xml_values
from semdaemon.formats.vendors.told import Evidence, Told

TEXT_TAGS, XML_TAG = (34682, 34680), 34683
_BEAMS = ("EBeam", "IBeam", "IRBeam")
_SCANS = ("Scan", "EScan", "IScan")
Sections = dict[str, dict[str, str | int | float]]


def parse(evidence: Evidence) -> Told | None:
    """What the FEI tags tell; None where there are none."""
    tags = evidence.page.tags if evidence.page is not None else {}
    texts = [tags[code] for code in TEXT_TAGS if code in tags and b"[" in tags[code].raw]
    if not texts and XML_TAG not in tags:
        return None
    found = sections(decode_text(texts[0].raw.rstrip(b"\0"))) if texts else {}
    xml, warnings = _xml(tags.get(XML_TAG))
    picture = _picture(found, xml, evidence.shape)
    size_m = _pixel_size(found, picture) or _xml_pixel_size(xml)
    if size_m is None:
        warnings += ("FEI metadata without a pixel size",)
    return Told(
        vendor="fei",
        metadata={**found, **({"xml": xml} if xml else {})},
        pixel_size_m=size_m,
        acquired_at=iso_moment(str(_at(xml, "Acquisition", "AcquisitionDatetime") or "")) or _moment(found),
        picture=picture,
        warnings=warnings,
    )


def _xml(tag: Tag | None) -> tuple[dict[str, object], tuple[str, ...]]:
    if tag is None:
        return {}, ()
    try:
        values = xml_values(parse_xml(decode_text(tag.raw)))
    except ValueError as error:
        return {}, (f"FEI tag {XML_TAG}: {error}",)
    return (values if isinstance(values, dict) else {}), ()


def _at(found: object, *names: str) -> object:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _picture(found: Sections, xml: dict[str, object], shape: tuple[int, int]) -> tuple[int, int] | None:
    bar = number(_at(found, "PrivateFei", "DatabarHeight"))
    rows, columns = number(_at(found, "Image", "ResolutionY")), number(_at(found, "Image", "ResolutionX"))
    if not rows or not columns:
        rows = number(_at(xml, "BinaryResult", "ImageSize", "Y"))
        columns = number(_at(xml, "BinaryResult", "ImageSize", "X"))
    if rows and columns and columns <= shape[1] and rows <= shape[0]:
        return (int(rows), int(columns))
    if bar and 0 < bar < shape[0]:
        return (shape[0] - int(bar), shape[1])
    return None


def _pixel_size(found: Sections, picture: tuple[int, int] | None) -> tuple[float, float] | None:
    for name in _SCANS:
        x, y = number(_at(found, name, "PixelWidth")), number(_at(found, name, "PixelHeight"))
        if x and y:
            return (y, x)
    # Files without a [Scan] section still say how wide the field is.
    for name in _BEAMS:
        wide, high = number(_at(found, name, "HFW")), number(_at(found, name, "VFW"))
        if wide and picture is not None:
            x = wide / picture[1]
            y = high / picture[0] if high else x
            # VFW is kept from the full field in some versions; pixels are square in a scan.
            return (y, x) if 0.9 < y / x < 1.1 else (x, x)
    return None


def _xml_pixel_size(xml: dict[str, object]) -> tuple[float, float] | None:
    x, y = (number(_at(xml, "BinaryResult", "PixelSize", axis)) for axis in ("X", "Y"))
    return (y or x, x) if x else None


def _moment(found: Sections) -> datetime | None:
    created = str(_at(found, "PrivateFei", "TimeOfCreation") or "")
    date, time = str(_at(found, "User", "Date") or ""), str(_at(found, "User", "Time") or "")
    return moment([created], ["%d.%m.%Y %H:%M:%S"]) or moment([f"{date} {time}"], _date_formats(date, time))


def _date_formats(date: str, time: str) -> list[str]:
    clock = "%I:%M:%S %p" if re.search(r"[ap]m", time, re.IGNORECASE) else "%H:%M:%S"
    if "." in date:
        return [f"%d.%m.%Y {clock}"]
    parts = [int(part) for part in date.split("/") if part.isdecimal()]
    if len(parts) == 3 and parts[0] > 12:
        return [f"%d/%m/%Y {clock}"]
    # 04/05/2023 is told apart only by the clock: twelve hours mean an American locale.
    american = len(parts) == 3 and (parts[1] > 12 or "%p" in clock)
    return [f"%m/%d/%Y {clock}"] if american else []
