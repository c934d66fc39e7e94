"""Builds the parts from settings, starts them, and takes them down in order."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from semdaemon import __version__, systemd
from semdaemon.errors import SemdaemonError
from semdaemon.focus import load_scorer
from semdaemon.formats.names import clean_leftovers
from semdaemon.journal import Journal, find_journal
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.page.app import create_app
from semdaemon.page.changes import Changes
from semdaemon.page.pictures import Pictures
from semdaemon.page.server import PageServer
from semdaemon.pipeline import Pipeline
from semdaemon.plugs import SOURCE_GROUP, load_plug, load_sinks
from semdaemon.recent import RecentFrames
from semdaemon.settings import Settings
from semdaemon.sources import Sighting, Source
from semdaemon.sources.folder import FolderSource
from semdaemon.sources.micromanager import MicroManagerSource
from semdaemon.sources.ndtiff import SOURCE as NDTIFF
from semdaemon.sources.ndtiff import NDTiffSource, StackReader
from semdaemon.sources.pushed import PushedSource
from semdaemon.sources.reader import FileReader, FrameReader
from semdaemon.sources.spool import FOLDER as SPOOL_FOLDER
from semdaemon.sources.spool import Spool, spooled_reader
from semdaemon.wire.publisher import Publisher
from semdaemon.worker import Worker

_IDLE_S = 0.5
_SHORTEST_S = 0.005
_STALLED_S = 120.0
_log = structlog.get_logger("semdaemon.daemon")


class Daemon:
    """The running service.

    Use as a context manager: entering starts everything, leaving drains and stops it.

    Raises
    ------
    SemdaemonError
        On start: whatever keeps a part from working (an address or a state folder in use, say).
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.changes = Changes()
        self.started_at = datetime.now(UTC)
        self._stop = threading.Event()
        self._new = threading.Event()
        self._scored = threading.Event()
        self._threads: list[threading.Thread] = []
        self._alive: dict[str, float] = {}
        self._cleanups: list[tuple[str, Callable[[], None]]] = []
        self.publisher: Publisher | None = None
        self.page: PageServer | None = None
        self.worker: Worker | None = None
        self.sources: list[Source] = []
        self.stacks = NDTiffSource(settings.ndtiff, self._own_folders())
        self.spool: Spool | None = None

    def __enter__(self) -> Daemon:
        try:
            self.start()
        except BaseException:
            self.stop(drain_s=0)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- start ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start every part; returns when frames are taken in."""
        settings = self.settings
        self.journal = Journal(find_journal(settings.daemon.state_dir))
        self._at_stop("journal", self.journal.close)
        recovered = self.journal.recover()
        if settings.output.folder.is_dir():
            clean_leftovers(settings.output.folder)
        scorer = load_scorer(settings.focus.scorer, settings.focus)
        self.worker = Worker(settings) if settings.refocus.enabled else None
        if settings.publish.endpoint:
            self.publisher = Publisher(settings.publish, settings.daemon.instrument, status=self.status)
        outbound = Outbound(settings.publish, self.publisher, load_sinks(settings.daemon.sinks), self.metrics)
        self._at_stop("sinks", outbound.close)
        self.pipeline = Pipeline(
            settings=settings,
            journal=self.journal,
            scorer=scorer,
            worker=self.worker,
            outbound=outbound,
            metrics=self.metrics,
            recent=RecentFrames(),
            changed=self._changed,
            readers=self._readers(),
        )
        # From here on others may ask for the status, and every part that it names is there.
        if self.publisher is not None:
            self.publisher.start()
            self._at_stop("publisher", self.publisher.close)
        if settings.page.enabled:
            self.page = self._start_page()
        self._start_threads()
        self._start_sources()
        systemd.notify("READY=1")
        _log.info("daemon ready", version=__version__, recovered=recovered, **self.addresses())

    def _readers(self) -> dict[str, FrameReader]:
        """Who settles and reads the frames of sources that are no plain files."""
        spooled = spooled_reader(self.settings.limits)
        stacks = StackReader(self.settings.ndtiff, self.settings.limits, self.stacks.places)
        files = FileReader(self.settings.folder, self.settings.limits, follow_links=False)
        return {
            FolderSource.name: files,
            PushedSource.name: spooled,
            MicroManagerSource.name: spooled,
            NDTIFF: stacks,
        }

    def _start_page(self) -> PageServer:
        pictures = Pictures(
            self.journal, self.settings.limits, self.settings.page.pictures_bytes, self.pipeline.read_again
        )
        app = create_app(
            journal=self.journal,
            pictures=pictures.get,
            status=self.status,
            metrics=self._exposition,
            changed=self.changes,
        )
        server = PageServer(app, self.settings.page.host, self.settings.page.port)
        server.start()
        self._at_stop("page", server.stop)
        self._at_stop("open pages", self.changes.close)
        return server

    def _start_threads(self) -> None:
        jobs = [("score", self.pipeline.look, self._new)]
        if self.worker is not None:
            jobs.append(("refocus", self.pipeline.restore, self._scored))
            self._at_stop("worker", self.worker.stop)
        for name, step, wake in jobs:
            thread = threading.Thread(target=self._work, args=(name, step, wake), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _start_sources(self) -> None:
        if self.settings.folder.folders or self.settings.ndtiff.folders:
            self.sources.append(self.stacks)
        if self.settings.folder.folders:
            self.sources.append(FolderSource(self.settings.folder, self._own_folders(), self.stacks.adopt))
        self.sources += self._spooled_sources()
        for name in self.settings.daemon.sources:
            self.sources.append(load_plug(SOURCE_GROUP, name, "daemon.sources")(self.settings))
        for source in self.sources:
            source.start(self._deliver)
            self._at_stop(f"source {source.name}", source.stop)

    def _own_folders(self) -> list[Path]:
        return [self.settings.output.folder, self.settings.daemon.state_dir]

    def _spooled_sources(self) -> list[Source]:
        """Sources whose frames exist only in memory, and the spool that makes files of them."""
        settings = self.settings
        self.spool = Spool(settings.spool, settings.daemon.state_dir / SPOOL_FOLDER, self.journal)
        self.spool.start()
        self._at_stop("spool", self.spool.stop)
        found: list[Source] = []
        if settings.pushed.endpoint:
            found.append(PushedSource(settings.pushed, settings.limits, self.spool))
        if settings.micromanager.enabled or settings.micromanager.python_backend:
            found.append(MicroManagerSource(settings.micromanager, settings.limits, self.spool))
        return found

    def _deliver(self, sightings: Sequence[Sighting]) -> None:
        new = self.journal.see(sightings)
        self.metrics.frames["seen"].inc(new)
        if new:
            self._new.set()
            self._changed()

    def _changed(self) -> None:
        self._scored.set()
        self.changes.announce()

    # -- the working threads -------------------------------------------------------------------------------

    def _work(self, name: str, step: Callable[[], bool], wake: threading.Event) -> None:
        """Call ``step`` until the daemon stops; what it raises never ends the thread."""
        while not self._stop.is_set():
            self._alive[name] = time.monotonic()
            try:
                worked = step()
            except SemdaemonError as error:
                self._count(name, error.code, error)
                worked = False
            except Exception as error:  # noqa: BLE001 - the thread's edge: logged, counted, the next frame goes on
                self._count(name, "unexpected", error)
                worked = False
            if not worked:
                wake.wait(self._pause_s(name))
                wake.clear()

    def _pause_s(self, name: str) -> float:
        """Until the next frame is due; at most `_IDLE_S`, for what other processes put into the journal."""
        due = self.journal.next_check_at() if name == "score" else None
        return _IDLE_S if due is None else min(max(due - time.time(), _SHORTEST_S), _IDLE_S)

    def _count(self, thread: str, code: str, error: Exception) -> None:
        self.metrics.faults.labels(code).inc()
        _log.error("step failed", thread=thread, code=code, error=str(error), exc_info=code == "unexpected")
        self._stop.wait(_IDLE_S)

    # -- what others ask -----------------------------------------------------------------------------------

    def addresses(self) -> dict[str, str]:
        """Where it can be reached."""
        return {
            "page": self.page.url if self.page is not None else "",
            "endpoint": self.publisher.endpoint if self.publisher is not None else "",
            "control": self.publisher.control_endpoint if self.publisher is not None else "",
            "pushed": next((each.endpoint for each in self.sources if isinstance(each, PushedSource)), ""),
        }

    def status(self) -> dict[str, Any]:
        """State of every part, plain JSON values."""
        worker = self.worker
        return {
            "version": __version__,
            "pid": os.getpid(),
            "instrument": self.settings.daemon.instrument,
            "started_at": self.started_at.isoformat(),
            "settings_fingerprint": self.settings.fingerprint,
            "frames": self.journal.counts(),
            "oldest_waiting_s": self.journal.oldest_waiting_s(),
            "worker": {"state": "disabled"} if worker is None else worker.describe(),
            "sources": [_plain_health(source) for source in self.sources],
            "spool": {} if self.spool is None else self.spool.describe(),
            "output": {"folder": str(self.settings.output.folder), "fault": self.pipeline.output_fault},
            "threads_alive": not self._stalled(),
            "addresses": self.addresses(),
        }

    def _stalled(self) -> bool:
        patience_s = max(_STALLED_S, self.settings.worker.timeout_s + self.settings.worker.start_timeout_s)
        if self.publisher is not None and not self.publisher.alive:
            return True
        return any(time.monotonic() - at > patience_s for at in self._alive.values())

    def _exposition(self) -> bytes:
        self.metrics.oldest_waiting_seconds.set(self.journal.oldest_waiting_s() or 0.0)
        if self.worker is not None:
            self.metrics.worker_restarts.set(self.worker.describe()["restarts"])
            self.metrics.worker_available.set(float(self.worker.available))
        if self.publisher is not None:
            counters = self.publisher.counters
            self.metrics.messages_dropped.set(
                sum(counters["shed"].values()) + sum(counters["withheld"].values())
            )
        return self.metrics.exposition()

    # -- end -----------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Until `request_stop`; feeds systemd's watchdog while the working threads turn."""
        interval_s = watchdog_s if (watchdog_s := systemd.watchdog_interval_s()) else 1.0
        while not self._stop.wait(interval_s):
            if not self._stalled():
                systemd.notify("WATCHDOG=1")

    def request_stop(self) -> None:
        """End `wait`; safe in a signal handler and from any thread."""
        self._stop.set()

    def stop(self, drain_s: float | None = None) -> None:
        """Finish the frame in hand (at most ``drain_s`` seconds), then take the parts down."""
        self._stop.set()
        systemd.notify("STOPPING=1")
        self._new.set()
        self._scored.set()
        deadline = time.monotonic() + (self.settings.daemon.drain_s if drain_s is None else drain_s)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self.worker is not None and any(thread.is_alive() for thread in self._threads):
            # The job in flight is given up; its frame stays scored and is taken up at the next start.
            self.worker.stop()
            for thread in self._threads:
                thread.join(5.0)
        while self._cleanups:
            name, cleanup = self._cleanups.pop()
            try:
                cleanup()
            except (SemdaemonError, OSError, RuntimeError) as error:
                _log.error("part did not stop cleanly", part=name, error=str(error))

    def _at_stop(self, name: str, cleanup: Callable[[], None]) -> None:
        self._cleanups.append((name, cleanup))


def _plain_health(source: Source) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        key: value if isinstance(value, (str, int, float, bool, type(None))) else _plain(value)
        for key, value in asdict(source.health()).items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
