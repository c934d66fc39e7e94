"""Texts that vendors write: sections, quantities, moments, XML; all to plain JSON types."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,14})$")
_FLOAT = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*([eE][+-]?\d+)?|[eE][+-]?\d+)|\.\d+([eE][+-]?\d+)?)$")
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\s\d]*)")
_UNIT_M = {
    "m": 1.0, "meter": 1.0, "metre": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6,
    "micron": 1e-6, "microns": 1e-6, "micrometer": 1e-6, "\\u00b5m": 1e-6, "\\u00B5m": 1e-6, "nm": 1e-9,
    "nanometer": 1e-9, "a": 1e-10, "å": 1e-10, "angstrom": 1e-10, "pm": 1e-12, "fm": 1e-15, "inch": 0.0254,
    "\ufffdm": 1e-6,
}  # fmt: skip
_MAX_XML_DEPTH = 64


def plain(text: str) -> str | int | float:
    """A number where the text is one and nothing of it would be lost, else the text."""
    text = text.strip()
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text):
        value = float(text)
        return value if math.isfinite(value) else text
    return text


def number(value: object) -> float | None:
    """A finite number, or None."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def unit_m(unit: str) -> float | None:
    """Metres in a unit of length, or None where it is none."""
    return _UNIT_M.get(unit.strip().lower()) or _UNIT_M.get(unit.strip())


def length_m(text: str, default_unit: str = "") -> float | None:
    """Metres in a text such as ``543.0 pm``; None where it says no length."""
    found = _QUANTITY.search(text)
    if not found:
        return None
    scale = unit_m(found.group(2) or default_unit)
    return float(found.group(1)) * scale if scale else None


def lengths_m(text: str, default_unit: str = "") -> list[float]:
    """All lengths in a text; a number without a unit takes the next one's, or the default."""
    found = [(float(value), unit_m(unit)) for value, unit in _QUANTITY.findall(text)]
    fallback = next((scale for _, scale in reversed(found) if scale), unit_m(default_unit))
    return [value * (scale or fallback) for value, scale in found if scale or fallback]  # type: ignore[operator]


def sections(text: str) -> dict[str, dict[str, str | int | float]]:
    """``[Section]`` and ``key=value`` lines; lines before the first section go to ``""``."""
    found: dict[str, dict[str, str | int | float]] = {}
    current = found.setdefault("", {})
    for line in re.split(r"[\r\n]+", text):
        line = line.strip("\0 \t")
        if line.startswith("[") and line.endswith("]"):
            current = found.setdefault(line[1:-1], {})
        else:
            key, equals, value = line.partition("=")
            if equals and key.strip():
                current[key.strip()] = plain(value)
    return {name: values for name, values in found.items() if name or values}


def moment(texts: Iterable[str], formats: Iterable[str], *, utc: bool = False) -> datetime | None:
    """The first text that one of the formats explains; a time without a zone is this machine's local time.

    Vendors write no zone; the daemon runs beside the microscope, so its zone is the best guess.
    """
    for text in texts:
        for form in formats:
            try:
                found = datetime.strptime(text.strip(), form)  # noqa: DTZ007 - `aware` gives it a zone
            except ValueError:
                continue
            if found.year < 1980:
                continue
            return aware(found, utc=utc)
    return None


def aware(found: datetime, *, utc: bool = False) -> datetime | None:
    """With a zone; None for a time that this machine cannot express."""
    if found.tzinfo is not None:
        return found
    if utc:
        return found.replace(tzinfo=UTC)
    try:
        return found.astimezone()
    except (OverflowError, OSError, ValueError):
        return None


def iso_moment(text: str) -> datetime | None:
    """An ISO 8601 time."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return aware(found) if found.year >= 1980 else None


def parse_xml(text: str) -> ET.Element:
    """The root of an XML text; DOCTYPE and entities are refused.

    Raises
    ------
    ValueError
        Not XML, or XML that defines entities or external documents.
    """
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError("it defines a DOCTYPE or entities, which are refused")
    try:
        # As text: an encoding declaration in it can no longer mislead the check above.
        return ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text.strip("\0 \r\n\t\ufeff")))  # noqa: S314
    except ET.ParseError as error:
        raise ValueError(f"not well-formed: {error}") from error


def local_name(tag: str) -> str:
    """An XML name without its namespace."""
    return tag.rpartition("}")[2]


def xml_values(element: ET.Element, depth: int = 0) -> object:
    """An XML element as plain JSON types: children by name, repeated ones as lists, leaves plain."""
    children = list(element)
    if not children or depth >= _MAX_XML_DEPTH:
        return plain(element.text or "")
    found: dict[str, object] = {}
    for child in children:
        name, value = local_name(str(child.tag)), xml_values(child, depth + 1)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)  # type: ignore[attr-defined]
        else:
            found[name] = [found[name], value]
    return found
