"""A changed settings file becomes what is in force: read and checked whole first, else nothing changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from semdaemon.daemon.parts import Parts, in_force
from semdaemon.errors import SemdaemonError
from semdaemon.metrics import Metrics
from semdaemon.settings import Settings
from semdaemon.settings.reload import Reload, merged
from semdaemon.sources.folder import FolderSource
from semdaemon.sources.micromanager import MicroManagerSource
from semdaemon.sources.pushed import PushedSource

_FROM_MEMORY = (PushedSource, MicroManagerSource)
"""Sources whose sockets and buffers are made for the limits of the start."""

_log = structlog.get_logger("semdaemon.daemon")


@dataclass(frozen=True)
class LastReload:
    """How the last one went; ``error`` is None where it took effect.

    A key may stand in both: what has taken effect for files waits for a restart for frames from memory.
    """

    at: datetime
    applied: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    error: SemdaemonError | None = None


class Reloading:
    """Takes over changed settings; used from one thread, described from any.

    Parameters
    ----------
    load
        Reads the settings anew, as the daemon's start did; what it raises leaves everything as it is.
    """

    def __init__(self, load: Callable[[], Settings], parts: Parts, metrics: Metrics) -> None:
        self._load, self._parts, self._metrics = load, parts, metrics
        self._limits_at_start = parts.live.newest.settings.limits
        self._lock = threading.Lock()
        self._last: LastReload | None = None
        self.count = 0

    def reload(self) -> None:
        """Read, check, take over; never raises."""
        with self._lock:
            try:
                reload = merged(self._parts.live.newest.settings, self._load())
                self._take_over(reload)
            except SemdaemonError as error:
                self._keep_old(error)
            except Exception as error:  # noqa: BLE001 - a plugin's scorer may raise anything; the old holds
                _log.exception("settings could not be taken over")
                self._keep_old(
                    SemdaemonError(
                        "settings_unusable", f"{type(error).__name__}: {error}", remedy="See the log."
                    )
                )

    def _take_over(self, reload: Reload) -> None:
        parts, settings = self._parts, reload.settings
        new = in_force(settings, parts.stacks, parts.live.newest)  # may raise; from here on nothing does
        parts.live.swap(new)
        parts.outbound.reload(settings.publish)
        for source in parts.sources:
            if isinstance(source, FolderSource):
                source.reload(settings.folder)
        logging.getLogger().setLevel(settings.daemon.log_level.upper())
        restart = (*reload.restart, *self._held(settings))
        self._last = LastReload(datetime.now(UTC), reload.applied, restart)
        self.count += 1
        told = _log.warning if restart else _log.info
        told(
            "settings reloaded",
            applied=list(reload.applied),
            restart_needed=list(restart),
            settings_fingerprint=new.fingerprint,
        )

    def _held(self, settings: Settings) -> list[str]:
        """Limits that hold for files by now, and for frames from memory at the next start."""
        if not any(isinstance(source, _FROM_MEMORY) for source in self._parts.sources):
            return []
        before, now = self._limits_at_start, settings.limits
        changed = (key for key in type(now).model_fields if getattr(before, key) != getattr(now, key))
        return [f"limits.{key}" for key in changed]

    def _keep_old(self, error: SemdaemonError) -> None:
        before = self._last or LastReload(datetime.now(UTC))
        self._last = LastReload(datetime.now(UTC), before.applied, before.restart, error)
        self._metrics.faults.labels(error.code).inc()
        self._parts.outbound.part_fault(error, part="settings")
        _log.error("settings not reloaded, the old ones hold", code=error.code, error=error.message)

    def describe(self) -> dict[str, Any]:
        """For the status, plain JSON values."""
        last = self._last
        error = None if last is None else last.error
        return {
            "fingerprint": self._parts.live.newest.fingerprint,
            "reloads": self.count,
            "reloaded_at": None if last is None else last.at.isoformat(),
            "applied": [] if last is None else list(last.applied),
            "restart_needed": [] if last is None else list(last.restart),
            "reload_error": None
            if error is None
            else {"code": error.code, "message": error.message, "remedy": error.remedy},
        }
