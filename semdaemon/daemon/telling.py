"""What the daemon tells about itself: addresses and status."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from semdaemon import __version__
from semdaemon.daemon.looking import space
from semdaemon.daemon.parts import Parts
from semdaemon.sources import Source
from semdaemon.sources.pushed import PushedSource


def addresses(parts: Parts) -> dict[str, str]:
    """Where the daemon can be reached; empty where it cannot."""
    publisher = parts.publisher
    return {
        "page": parts.page.url if parts.page is not None else "",
        "endpoint": publisher.endpoint if publisher is not None else "",
        "control": publisher.control_endpoint if publisher is not None else "",
        "pushed": next((each.endpoint for each in parts.sources if isinstance(each, PushedSource)), ""),
    }


def status(parts: Parts, started_at: datetime) -> dict[str, Any]:
    """State of every part, plain JSON values."""
    worker, settings = parts.worker, parts.live.newest.settings
    return {
        "version": __version__,
        "pid": os.getpid(),
        "instrument": settings.daemon.instrument,
        "started_at": started_at.isoformat(),
        "settings_fingerprint": parts.live.newest.fingerprint,
        "frames": parts.journal.counts(),
        "oldest_waiting_s": parts.journal.oldest_waiting_s(),
        "worker": {"state": "disabled"} if worker is None else worker.describe(),
        "sources": [_health(source) for source in parts.sources],
        "spool": parts.spool.describe(),
        "output": {"folder": str(settings.output.folder), "fault": parts.pipeline.output_fault},
        "journal": {"path": str(parts.journal.path), "fault": parts.journal.fault or None},
        "space": space(parts),
        "addresses": addresses(parts),
        "page": {} if parts.page is None else {"url": parts.page.url, "reach": parts.page.reach},
    }


def _health(source: Source) -> dict[str, Any]:
    return {str(key): _plain(value) for key, value in asdict(source.health()).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
