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
from semdaemon.daemon.collecting import PartsCollector
from semdaemon.daemon.draining import drain
from semdaemon.daemon.feeding import Feeding
from semdaemon.daemon.parts import Asked, Parts, build_parts
from semdaemon.daemon.reload import Reloading
from semdaemon.daemon.takedown import Takedown
from semdaemon.daemon.threads import WorkingThread
from semdaemon.formats.leftovers import clean_leftovers
from semdaemon.inforce import Live
from semdaemon.journal import Journal
from semdaemon.metrics import Metrics
from semdaemon.page.changes import Changes
from semdaemon.retention import Retention
from semdaemon.settings import Settings, is_loopback
from semdaemon.sources import Sighting
from semdaemon.worker import Worker

_AFTER_DRAIN_S = 40.0  # for what is given up, and for parts that hang
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
        self._watching: list[WorkingThread] = []
        self._stop_asked = self._hurried = False
        self._built: Parts | None = None
        self._reloading: Reloading | None = None
        self._feeding: Feeding | None = None

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
        with systemd.starting():  # a damaged journal that is repaired takes its time
            found = self._come_up()
        systemd.notify("READY=1")
        _log.info("daemon ready", version=__version__, recovered=found, **self.addresses())

    def _come_up(self) -> dict[str, int]:
        asked = Asked(changed=self._changed, status=self.status, exposition=self.metrics.exposition)
        parts = build_parts(self.settings, asked, self.metrics, self.changes, self._takedown)
        self._built = parts
        self._reloading = Reloading(self._load, parts, self.metrics)
        collector = PartsCollector(parts, self._reloading, self.started_at, self.status)
        self.metrics.registry.register(collector)
        recovered = parts.journal.recover()
        if self.settings.output.folder.is_dir():
            clean_leftovers(self.settings.output.folder)
        self._start_telling(parts)
        self._start_threads(parts)
        self._start_sources(parts)
        return recovered

    def _start_telling(self, parts: Parts) -> None:
        if parts.publisher is not None:
            publisher = parts.publisher.start()
            self.metrics.follow_wire(lambda: publisher.counters)
            self._takedown.add("publisher", parts.publisher.close)
        if parts.page is not None:
            parts.page.start()
            if not is_loopback(parts.page.host):
                _log.warning("the page can be reached from other machines", url=parts.page.url, asks="token")
            self._takedown.add("page", parts.page.stop)
            self._takedown.add("open pages", self.changes.close)

    def _start_threads(self, parts: Parts) -> None:
        live, worker = parts.live, parts.worker
        score, restore = parts.pipeline.look, parts.pipeline.restore
        self._threads.append(self._thread("score", score, live.take, parts.pipeline.look_due_at))
        if worker is not None:
            between = partial(_take_with, live, worker)
            self._threads.append(self._thread("refocus", restore, between))
            self._takedown.add("worker", worker.stop)
        for thread in self._threads:
            thread.start()
        self._feeding = Feeding(parts, tuple(self._threads))
        self._watching.append(self._thread("watchdog", self._feeding.step))
        self._watching[0].start()

    def _thread(
        self,
        name: str,
        step: Callable[[], bool],
        between: Callable[[], object] = lambda: None,
        due_at: Callable[[], float | None] = lambda: None,
    ) -> WorkingThread:
        return WorkingThread(
            name, step, stopping=self._stop, metrics=self.metrics, between=between, due_at=due_at
        )

    def _start_sources(self, parts: Parts) -> None:
        parts.spool.start()
        self._takedown.add("spool", parts.spool.stop)
        retention = Retention(parts.journal, lambda: parts.live.newest.settings.daemon.keep_days)
        retention.start()
        self._takedown.add("retention", retention.stop)
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
        told = telling.status(self.parts, self.started_at)
        watchdog = {"well": True, "why": "starting"} if self._feeding is None else self._feeding.describe()
        told |= {"watchdog": watchdog, "threads_alive": watchdog["well"]}
        return told if self._reloading is None else {**told, "settings": self._reloading.describe()}

    # -- end -----------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Until `request_stop`; reloads settings when asked."""
        while self._next_request() != "stop":
            if self._reloading is not None:
                systemd.notify_reloading()
                self._reloading.reload()
                systemd.notify("READY=1")

    def _next_request(self) -> str:
        # In short turns: on Windows a wait without end does not notice Ctrl-C.
        while True:
            try:
                return self._asked.get(timeout=_LOOK_S)
            except Empty:
                continue

    def request_stop(self) -> None:
        """End `wait`; asked again, a stop waits for nothing more. Safe in a signal handler and any thread."""
        self._hurried, self._stop_asked = self._stop_asked, True
        self._asked.put("stop")

    def request_reload(self) -> None:
        """Have `wait` read the settings anew; safe in a signal handler and from any thread."""
        self._asked.put("reload")

    def stop(self, drain_s: float | None = None) -> None:
        """Finish the frames in hand (at most ``drain_s`` seconds), then take the parts down."""
        began = time.monotonic()
        self._stop.set()
        wait_s = self._drain_s() if drain_s is None else drain_s
        systemd.notify(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int((wait_s + _AFTER_DRAIN_S) * 1e6)}")
        worker = None if self._built is None else self._built.worker
        drained = drain([*self._threads, *self._watching], worker, wait_s, lambda: self._hurried)
        stuck = self._takedown.run(lambda: self._hurried)
        if self._built is not None:
            took_s = round(time.monotonic() - began, 3)
            _log.info("daemon stopped", seconds=took_s, drained=drained, stuck=stuck)

    def _drain_s(self) -> float:
        settings = self.settings if self._built is None else self._built.live.newest.settings
        return settings.daemon.drain_s


def _take_with(live: Live, worker: Worker) -> None:
    """Between two refocus jobs: the worker works by the settings that the next frame is worked by."""
    worker.configure(live.take().settings)
