"""The Micro-Manager source: images of live mode become spooled frames."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import structlog

from semdaemon.errors import FrameError
from semdaemon.settings import Limits, MicroManager
from semdaemon.sources.micromanager.supervisor import WELL, Supervisor
from semdaemon.sources.micromanager.tags import frame_from
from semdaemon.sources.pushmessage import MOST_BYTES_A_PIXEL
from semdaemon.sources.source import Deliver, SourceHealth
from semdaemon.sources.spool import Spool

_REMEMBERED = 64
_WAITING = ("starting", "not_running")
_SAID = {
    "starting": "connecting to Micro-Manager",
    "idle": "connected; live mode is off",
    "live": "",
}
_log = structlog.get_logger("semdaemon.sources")


class MicroManagerSource:
    """Live mode over the Java bridge, or a camera owned through pymmcore.

    It connects by itself whenever Micro-Manager is there, and stops within a fraction of a second.
    """

    name = "micromanager"

    def __init__(self, settings: MicroManager, limits: Limits, spool: Spool) -> None:
        self._limits, self._spool = limits, spool
        self._supervisor = Supervisor(settings, limits.max_pixels * MOST_BYTES_A_PIXEL, self._take)
        # Two children may tell of the same image when one takes over from the other.
        self._told: deque[str] = deque(maxlen=_REMEMBERED)
        self._last_number: int | None = None
        self._refused = self._missed = 0
        self._last_refusal = ""
        self._lock = threading.Lock()

    def start(self, deliver: Deliver) -> None:
        """Start the child; a Micro-Manager that is not there is no error."""
        self._spool.attach(self.name, deliver)
        self._supervisor.start()

    def stop(self) -> None:
        """End the child, whatever it is waiting for."""
        self._supervisor.stop()

    def wake(self) -> None:
        """Nothing to do: it looks all the time."""

    def health(self) -> SourceHealth:
        """What Micro-Manager does, and how many images came, were missed between looks, or not taken."""
        state, tally = self._supervisor.state, self._spool.tally(self.name)
        said = [state.detail or _SAID.get(state.state, state.state), tally["fault"], self._last_refusal]
        return SourceHealth(
            name=self.name,
            ok=state.state in WELL and not tally["fault"] and not self._last_refusal,
            detail="; ".join(words for words in said if words),
            waiting=state.state in _WAITING and not tally["fault"] and not self._last_refusal,
            watching="polling" if state.state in WELL else "nothing",
            counters={
                "taken": tally["taken"],
                "dropped": tally["dropped"],
                "refused": self._refused,
                "missed": self._missed,
                "restarts": state.restarts,
                "recycled": state.recycled,
            },
        )

    def _take(self, message: dict[str, Any], pixels: bytes) -> None:
        """One image from the child; called from its listening thread."""
        with self._lock:
            if message["identity"] in self._told:
                return
            self._told.append(message["identity"])
            self._count_missed(message["number"])
        try:
            frame = frame_from(message["tags"], pixels, message["type"], self._limits)
        except (FrameError, TypeError) as error:
            self._refuse(str(error))
            return
        self._last_refusal = ""
        self._spool.take(self.name, frame)

    def _count_missed(self, number: int | None) -> None:
        last, self._last_number = self._last_number, number
        if number is not None and last is not None and number > last + 1:
            self._missed += number - last - 1

    def _refuse(self, why: str) -> None:
        self._refused += 1
        news, self._last_refusal = why != self._last_refusal, why
        if news:
            _log.warning("image refused", source=self.name, error=why)
