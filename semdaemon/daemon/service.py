"""The daemon's life: builds the parts, starts them, waits, and takes them down in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from semdaemon import __version__, systemd
from semdaemon.daemon import telling
from semdaemon.daemon.parts import Asked, Parts, build_parts
from semdaemon.daemon.reload import Reloading
from semdaemon.daemon.takedown import Takedown
from semdaemon.daemon.threads import WorkingThread
from semdaemon.formats.leftovers import clean_leftovers
from semdaemon.inforce import Live
from semdaemon.journal import Journal
from semdaemon.metrics import Metrics
from semdaemon.page.changes import Changes
from semdaemon.settings import Settings
from semdaemon.sources import Sighting
from semdaemon.worker import Worker

_GIVEN_UP_S = 5.0
_LOOK_S = 1.0
_log = structlog.get_logger("semdaemon.daemon")


class Daemon:
    """The running service.

    Use as a context manager: entering starts everything, leaving drains and stops it.

    Parameters
    ----------
    load
        Reads the settings anew for a reload; None reloads nothing.

    Raises
    ------
    SemdaemonError
        On start: whatever keeps a part from working (an address or a state folder in use, say).
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings] | None = None) -> None:
        self.settings = settings
        self._load = load or (lambda: settings)
        self.metrics = Metrics()
        self.changes = Changes()
        self.started_at = datetime.now(UTC)
        self._stop = threading.Event()
        # Signal handlers may only put here: an event's lock can be held by the very thread they interrupt.
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._takedown = Takedown()
        self._threads: list[WorkingThread] = []
        self._built: Parts | None = None
        self._reloading: Reloading | None = None

    def __enter__(self) -> Daemon:
        try:
            self.start()
        except BaseException:
            self.stop(drain_s=0)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def parts(self) -> Parts:
        """What it is made of; from `start` on."""
        if self._built is None:
            raise RuntimeError("the daemon was not started")
        return self._built

    @property
    def journal(self) -> Journal:
        """The journal that it owns; from `start` on."""
        return self.parts.journal

    # -- start ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every part; returns when frames are taken in."""
        asked = Asked(changed=self._changed, status=self.status, exposition=self._exposition)
        parts = build_parts(self.settings, asked, self.metrics, self.changes, self._takedown)
        self._built = parts
        self._reloading = Reloading(self._load, parts, self.metrics)
        recovered = parts.journal.recover()
        if self.settings.output.folder.is_dir():
            clean_leftovers(self.settings.output.folder)
        self._start_telling(parts)
        self._start_threads(parts)
        self._start_sources(parts)
        systemd.notify("READY=1")
        _log.info("daemon ready", version=__version__, recovered=recovered, **self.addresses())

    def _start_telling(self, parts: Parts) -> None:
        if parts.publisher is not None:
            parts.publisher.start()
            self._takedown.add("publisher", parts.publisher.close)
        if parts.page is not None:
            parts.page.start()
            self._takedown.add("page", parts.page.stop)
            self._takedown.add("open pages", self.changes.close)

    def _start_threads(self, parts: Parts) -> None:
        live, worker = parts.live, parts.worker
        score, restore = parts.pipeline.look, parts.pipeline.restore
        self._threads.append(self._thread("score", score, live.take, parts.journal.next_check_at))
        if worker is not None:
            between = partial(_take_with, live, worker)
            self._threads.append(self._thread("refocus", restore, between))
            self._takedown.add("worker", worker.stop)
        for thread in self._threads:
            thread.start()

    def _thread(
        self,
        name: str,
        step: Callable[[], bool],
        between: Callable[[], object],
        due_at: Callable[[], float | None] = lambda: None,
    ) -> WorkingThread:
        return WorkingThread(
            name, step, stopping=self._stop, metrics=self.metrics, between=between, due_at=due_at
        )

    def _start_sources(self, parts: Parts) -> None:
        parts.spool.start()
        self._takedown.add("spool", parts.spool.stop)
        for source in parts.sources:
            source.start(self._deliver)
            self._takedown.add(f"source {source.name}", source.stop)

    def _deliver(self, sightings: Sequence[Sighting]) -> None:
        new = self.journal.see(sightings)
        self.metrics.frames["seen"].inc(new)
        if new:
            self._changed()

    def _changed(self) -> None:
        for thread in self._threads:
            thread.wake()
        self.changes.announce()

    # -- what others ask -----------------------------------------------------------------------------------

    def addresses(self) -> dict[str, str]:
        """Where it can be reached."""
        return telling.addresses(self.parts)

    def status(self) -> dict[str, Any]:
        """State of every part, plain JSON values."""
        told = telling.status(self.parts, self._threads, self.started_at)
        return told if self._reloading is None else {**told, "settings": self._reloading.describe()}

    def _exposition(self) -> bytes:
        return telling.exposition(self.metrics, self.parts)

    # -- end -----------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Until `request_stop`; reloads settings when asked, and feeds systemd's watchdog."""
        interval_s = min(systemd.watchdog_interval_s() or _LOOK_S, _LOOK_S)
        while (asked := self._next_request(interval_s)) != "stop":
            if asked == "reload":
                self._reload()
            elif not telling.stalled(self.parts, self._threads):
                systemd.notify("WATCHDOG=1")

    def _next_request(self, timeout_s: float) -> str:
        try:
            return self._asked.get(timeout=timeout_s)
        except Empty:
            return ""

    def _reload(self) -> None:
        if self._reloading is not None:
            systemd.notify_reloading()
            self._reloading.reload()
            systemd.notify("READY=1")

    def request_stop(self) -> None:
        """End `wait`; safe in a signal handler and from any thread."""
        self._asked.put("stop")

    def request_reload(self) -> None:
        """Have `wait` read the settings anew; safe in a signal handler and from any thread."""
        self._asked.put("reload")

    def stop(self, drain_s: float | None = None) -> None:
        """Finish the frame in hand (at most ``drain_s`` seconds), then take the parts down."""
        self._stop.set()
        systemd.notify("STOPPING=1")
        self._join(self._drain_s() if drain_s is None else drain_s)
        self._takedown.run()

    def _drain_s(self) -> float:
        settings = self.settings if self._built is None else self._built.live.newest.settings
        return settings.daemon.drain_s

    def _join(self, drain_s: float) -> None:
        deadline = time.monotonic() + drain_s
        for thread in self._threads:
            thread.wake()
        ended = [thread.join(max(0.0, deadline - time.monotonic())) for thread in self._threads]
        if not all(ended) and self._built is not None and self._built.worker is not None:
            # The job in flight is given up; its frame stays scored and is taken up at the next start.
            self._built.worker.stop()
            for thread in self._threads:
                thread.join(_GIVEN_UP_S)


def _take_with(live: Live, worker: Worker) -> None:
    """Between two refocus jobs: the worker works by the settings that the next frame is worked by."""
    worker.configure(live.take().settings)
