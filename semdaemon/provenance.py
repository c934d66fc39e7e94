"""What is written beside every refocused pixel, so that a reader of the paper can check it."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from typing import Any

from semdaemon import __version__
from semdaemon.focus import FocusMap
from semdaemon.frame import Frame
from semdaemon.settings import Focus, Settings
from semdaemon.worker import WorkerAnswer


def provenance_of(
    frame: Frame,
    focus: FocusMap,
    answer: WorkerAnswer,
    settings: Settings,
    judged_by: Focus,
    fingerprint: str,
) -> dict[str, Any]:
    """Plain JSON values: original, weights, settings, focus map, regions with their audit.

    Parameters
    ----------
    settings
        As they were set.
    judged_by
        Their section ``focus`` as it was in force, ``auto`` as the number that it stood for.
    fingerprint
        Of what was set and of the networks, as in the journal.
    """
    return {
        "software": {"name": "semdaemon", "version": __version__, "python": platform.python_version()},
        "refocused_at": datetime.now(UTC).isoformat(),
        "original": {
            "uri": frame.uri,
            "sha256": frame.content_sha256,
            "frame_id": frame.id,
            "page": frame.page,
            "acquired_at": None if frame.acquired_at is None else frame.acquired_at.isoformat(),
            "vendor": frame.vendor,
            "pixel_size_m": None if frame.pixel_size_m is None else list(frame.pixel_size_m),
            "image_area": frame.image_area.as_list(),
            "warnings": list(frame.warnings),
        },
        "weights": answer.weights,
        "device": answer.device,
        "seconds": answer.seconds,
        "rung": dict(answer.rung),
        "levels": list(answer.levels),
        "regions": answer.regions,
        "focus": focus.as_json(),
        "settings": {
            "fingerprint": fingerprint,
            "focus": judged_by.model_dump(mode="json"),
            "refocus": settings.refocus.model_dump(mode="json"),
        },
    }
