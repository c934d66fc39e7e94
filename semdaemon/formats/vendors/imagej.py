"""ImageJ: ``key=value`` lines in the image description, the scale in the resolution tags."""

from __future__ import annotations

from semdaemon.formats.vendors.texts import number, plain, unit_m
from semdaemon.formats.vendors.told import Evidence, Told


def parse(evidence: Evidence) -> Told | None:
    """What ImageJ wrote; None where it did not."""
    first = evidence.first
    text = first.text(270) if first is not None else ""
    if first is None or not text.startswith("ImageJ="):
        return None
    lines = (line.partition("=") for line in text.splitlines())
    found = {key.strip(): plain(value) for key, equals, value in lines if equals}
    unit = unit_m(str(found.get("unit", "")).replace("\\u00B5", "µ"))
    x, y = (number((first.numbers(code) or (0,))[0]) for code in (282, 283))
    size_m = (unit / y, unit / x) if unit and x and y else None
    return Told(vendor="imagej", metadata=found, pixel_size_m=size_m)
