"""Micro-Manager: JSON in tag 51123 of every page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from semdaemon.formats.ifd import decode_text
from semdaemon.formats.vendors.texts import iso_moment, moment, number
from semdaemon.formats.vendors.told import Evidence, Told

TAG = 51123


def parse(evidence: Evidence) -> Told | None:
    """What Micro-Manager's tags tell; None where there are none."""
    tag = evidence.page.tags.get(TAG) if evidence.page is not None else None
    if tag is None:
        return None
    try:
        found = json.loads(decode_text(tag.raw.rstrip(b"\0")), parse_constant=str)
    except (ValueError, RecursionError) as error:
        return Told("micromanager", warnings=(f"Micro-Manager tag {TAG}: {error}",))
    if not isinstance(found, dict):
        return Told("micromanager", warnings=(f"Micro-Manager tag {TAG} holds no object",))
    return Told(
        vendor="micromanager",
        metadata=found,
        pixel_size_m=pixel_size_m(found),
        acquired_at=acquired_at(found),
    )


def pixel_size_m(found: Mapping[str, object]) -> tuple[float, float] | None:
    """(y, x) in metres from an image's tags; None where Micro-Manager has no calibration."""
    for key in ("PixelSizeUm", "PixelSize_um", "PixelSizeMicrons"):
        size_um = number(found.get(key))
        if size_um:  # 0 means: not calibrated
            return (size_um * 1e-6, size_um * 1e-6)
    return None


def acquired_at(found: Mapping[str, object]) -> datetime | None:
    """When an image was taken, from its tags."""
    for key in ("ReceivedTime", "Time", "TimeReceivedByCore", "UserData-TimeReceivedByCore"):
        text = str(found.get(key, "")).removesuffix(" -")  # the Python writer leaves the zone's place empty
        when = moment([text], ("%Y-%m-%d %H:%M:%S.%f %z", "%Y-%m-%d %H:%M:%S %z")) or iso_moment(text)
        if when is not None:
            return when
    return None
