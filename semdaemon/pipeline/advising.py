"""Advice beside a frame's journey: whatever goes wrong with it, no frame loses its result over it."""

from __future__ import annotations

from typing import Any

import structlog

from semdaemon.advice import Follower
from semdaemon.focus import FocusMap
from semdaemon.frame import Frame
from semdaemon.journal import Row
from semdaemon.pipeline.journey import Journey

ADVICE_FAILED = "advice_failed"

_log = structlog.get_logger("semdaemon.advice")


class Advising:
    """Follows runs and publishes what is advised; called by the scoring thread alone."""

    def __init__(self, journey: Journey, follower: Follower) -> None:
        self._journey, self._follower = journey, follower

    def about(self, row: Row, frame: Frame, focus: FocusMap, *, redelivered: bool) -> dict[str, Any]:
        """Take a scored frame in and publish the advice, if any; what the journal keeps of it.

        Never raises: a failure is logged and counted as ``advice_failed``, and the frame goes on without.
        """
        try:
            return self._advised(row, frame, focus, redelivered=redelivered)
        except Exception:  # noqa: BLE001 - advice is an extra: logged and counted, the frame keeps its result
            self._journey.metrics.faults.labels(ADVICE_FAILED).inc()
            _log.exception("advice failed", code=ADVICE_FAILED, number=row.key, file=str(row.path))
            return {}

    def _advised(self, row: Row, frame: Frame, focus: FocusMap, *, redelivered: bool) -> dict[str, Any]:
        settings = self._journey.settings
        followed = self._follower.follow(frame, focus, settings, number=row.key, seen_at=row.seen_at)
        if followed.advice is not None:
            self._journey.outbound.advice(frame, followed.advice, redelivered=redelivered)
        return followed.noted(frame)
