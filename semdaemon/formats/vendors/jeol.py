"""JEOL: the ``.txt`` sidecar of ``$KEY value`` lines."""

from __future__ import annotations

import re

from semdaemon.formats.vendors.texts import length_m, lengths_m, moment, number, plain
from semdaemon.formats.vendors.told import Evidence, Told

_KNOWN_LINE = re.compile(r"^\$(CM_FORMAT|SEM_DATA_VERSION|CM_MAG|\$SM_MICRON_BAR)\b", re.MULTILINE)


def is_sidecar(text: str) -> bool:
    """Whether a text is a JEOL sidecar."""
    return _KNOWN_LINE.search(text) is not None


def parse(evidence: Evidence) -> Told | None:
    """What a JEOL sidecar tells; None where there is none."""
    if evidence.sidecar is None or not is_sidecar(evidence.sidecar):
        return None
    found = _pairs(evidence.sidecar)
    full = re.findall(r"\d+", found.get("CM_FULL_SIZE", ""))
    picture = (int(full[1]), int(full[0])) if len(full) == 2 else None
    columns = picture or evidence.shape
    return Told(
        vendor="jeol",
        metadata={key: plain(value) for key, value in found.items()},
        pixel_size_m=_pixel_size(found, columns),
        acquired_at=moment(
            [f"{found.get('CM_DATE', '')} {found.get('CM_TIME', '')}"],
            ("%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %I:%M:%S %p"),
        ),
        picture=picture,
    )


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("$"):
            key, _, value = line.lstrip("$").strip().partition(" ")
            found[key] = value.strip()
    return found


def _pixel_size(found: dict[str, str], shape: tuple[int, int]) -> tuple[float, float] | None:
    """From the field of view, else the pixel size, else the length and pixels of the scale bar.

    The field of view comes in two styles: ``128.000um 96.000um`` and ``128.000 x 96.000`` (micrometres);
    newer files give ``$CM_PIXEL_SIZE`` in micrometres as well.
    """
    field_m = lengths_m(found.get("CM_FIELD_OF_VIEW", ""), "um")
    if field_m and field_m[0] > 0 and min(shape) > 0:
        x = field_m[0] / shape[1]
        return (field_m[1] / shape[0] if len(field_m) > 1 and field_m[1] > 0 else x, x)
    size_m = lengths_m(found.get("CM_PIXEL_SIZE", ""), "um")
    if size_m and size_m[0] > 0:
        return (size_m[-1], size_m[0])
    bar_px, bar_m = number(found.get("SM_MICRON_BAR")), length_m(found.get("SM_MICRON_MARKER", ""), "um")
    return (bar_m / bar_px, bar_m / bar_px) if bar_px and bar_m else None
