"""Hitachi: the ``.txt`` sidecar that starts with ``[SemImageFile]``."""

from __future__ import annotations

import re

from semdaemon.formats.vendors.texts import lengths_m, moment, sections
from semdaemon.formats.vendors.told import Evidence, Told

_HEADS = ("[SemImageFile]", "[TemImageFile]")


def is_sidecar(text: str) -> bool:
    """Whether a text is a Hitachi sidecar."""
    return any(head in text[:4096] for head in _HEADS)


def parse(evidence: Evidence) -> Told | None:
    """What a Hitachi sidecar tells; None where there is none."""
    if evidence.sidecar is None or not is_sidecar(evidence.sidecar):
        return None
    found = sections(evidence.sidecar)
    values = next((found[head.strip("[]")] for head in _HEADS if head.strip("[]") in found), {})
    size_m = lengths_m(str(values.get("PixelSize", "")), "nm")
    columns_rows = re.findall(r"\d+", str(values.get("DataSize", "")))
    date, time = str(values.get("Date", "")), str(values.get("Time", ""))
    return Told(
        vendor="hitachi",
        metadata=found,
        pixel_size_m=(size_m[-1], size_m[0]) if size_m and size_m[0] > 0 else None,
        acquired_at=moment([f"{date} {time}"], _date_formats(date, time)),
        picture=(int(columns_rows[1]), int(columns_rows[0])) if len(columns_rows) == 2 else None,
    )


def _date_formats(date: str, time: str) -> list[str]:
    clock = "%I:%M:%S %p" if re.search(r"[ap]m", time, re.IGNORECASE) else "%H:%M:%S"
    if re.match(r"\d{4}/", date):
        return [f"%Y/%m/%d {clock}"]
    # Month first in the files known; day first only where the numbers leave no choice.
    return [f"%m/%d/%Y {clock}", f"%d/%m/%Y {clock}"]
