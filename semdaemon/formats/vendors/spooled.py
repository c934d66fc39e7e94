"""Our own spool: frames that came from memory, with what was told about them as JSON in the description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from semdaemon.formats.vendors.texts import number
from semdaemon.formats.vendors.told import Evidence, Told

SCHEMA = "semdaemon-spool-1.0"
_DESCRIPTION = 270


def description(
    *,
    vendor: str,
    metadata: Mapping[str, object],
    pixel_size_m: tuple[float, float] | None,
    acquired_at: datetime | None,
    warnings: tuple[str, ...],
) -> str:
    """The text that `parse` reads back; ASCII."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "vendor": vendor,
            "pixel_size_m": pixel_size_m,
            "acquired_at": None if acquired_at is None else acquired_at.isoformat(),
            "warnings": warnings,
            "metadata": metadata,
        },
        default=str,
    )


def parse(evidence: Evidence) -> Told | None:
    """What stands in the description of a spooled frame; None where the file is none."""
    text = evidence.page.text(_DESCRIPTION) if evidence.page is not None else ""
    if not text.startswith("{") or SCHEMA not in text[:64]:
        return None
    found = json.loads(text, parse_constant=str)
    moment, metadata = found.get("acquired_at"), found.get("metadata")
    return Told(
        vendor=str(found.get("vendor") or ""),
        metadata=metadata if isinstance(metadata, dict) else {},
        pixel_size_m=_pair(found.get("pixel_size_m")),
        acquired_at=datetime.fromisoformat(moment) if isinstance(moment, str) else None,
        warnings=tuple(str(warning) for warning in found.get("warnings") or ()),
    )


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    y, x = number(value[0]), number(value[1])
    return None if y is None or x is None else (y, x)
