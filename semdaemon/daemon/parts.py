"""The parts that a daemon is made of, built from its settings; nothing runs yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from semdaemon.advice import MEMORY, RECALLED_FRAMES, Follower
from semdaemon.daemon.finished import FinishedFrames
from semdaemon.daemon.freespace import FreeSpace
from semdaemon.daemon.takedown import Takedown
from semdaemon.fingerprint import Networks, networks_of
from semdaemon.focus import load_scorer
from semdaemon.inforce import InForce, Live
from semdaemon.journal import Journal, find_journal
from semdaemon.journal.repair import open_own_journal
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.page.access import Token
from semdaemon.page.app import create_app
from semdaemon.page.changes import Changes
from semdaemon.page.pictures import Pictures
from semdaemon.page.server import PageServer
from semdaemon.pipeline import Journey, Pipeline, RecentFrames
from semdaemon.pipeline.advising import ADVICE_FAILED
from semdaemon.plugs import SOURCE_GROUP, load_plug, load_sinks
from semdaemon.repairable import with_repair_limit
from semdaemon.settings import Settings
from semdaemon.sources import Source
from semdaemon.sources.folder import FolderSource
from semdaemon.sources.micromanager import MicroManagerSource
from semdaemon.sources.ndtiff import SOURCE as NDTIFF
from semdaemon.sources.ndtiff import NDTiffSource, StackReader
from semdaemon.sources.pushed import PushedSource
from semdaemon.sources.reader import FileReader
from semdaemon.sources.spool import FOLDER as SPOOL_FOLDER
from semdaemon.sources.spool import Spool, spooled_reader
from semdaemon.wire.publisher import Publisher
from semdaemon.worker import Worker

_log = structlog.get_logger("semdaemon.daemon")


@dataclass(frozen=True)
class Parts:
    """Everything that the settings ask for; None stands for what they switch off."""

    journal: Journal
    live: Live
    pipeline: Pipeline
    outbound: Outbound
    worker: Worker | None
    publisher: Publisher | None
    page: PageServer | None
    spool: Spool
    stacks: NDTiffSource
    sources: tuple[Source, ...]
    free_space: FreeSpace = field(default_factory=FreeSpace)


@dataclass(frozen=True)
class Asked:
    """What parts ask of the daemon, from any thread."""

    changed: Callable[[], None]
    status: Callable[[], Mapping[str, Any]]
    exposition: Callable[[], bytes]


def build_parts(
    settings: Settings, asked: Asked, metrics: Metrics, changes: Changes, takedown: Takedown
) -> Parts:
    """Build every part; what must be closed in any case is added to ``takedown`` at once.

    Raises
    ------
    SemdaemonError
        Whatever keeps a part from being made (a state folder in use, a scorer that is not installed).
    """
    journal = open_own_journal(find_journal(settings.daemon.state_dir))
    takedown.add("journal", journal.close)
    publisher = None
    if settings.publish.endpoint:
        reader = Journal(find_journal(settings.daemon.state_dir), read_only=True)
        takedown.add("journal's second reader", reader.close)
        publisher = Publisher(
            settings.publish,
            settings.daemon.instrument,
            status=asked.status,
            finished=FinishedFrames(reader),
        )
    outbound = Outbound(settings.publish, publisher, load_sinks(settings.daemon.sinks), metrics)
    takedown.add("sinks", outbound.close)
    worker = Worker(settings) if settings.refocus.enabled else None
    stacks = NDTiffSource(settings.ndtiff, _own_folders(settings))
    live = Live(in_force(settings, stacks))
    journey = Journey(live, journal, outbound, metrics, RecentFrames(), asked.changed)
    pipeline = Pipeline(journey, follower_of(settings, journal, metrics), worker)
    spool = Spool(settings.spool, settings.daemon.state_dir / SPOOL_FOLDER, journal)
    sources = tuple(_sources(settings, stacks, spool))
    page = _page(settings, journey, asked, changes) if settings.page.enabled else None
    return Parts(
        journal=journal,
        live=live,
        pipeline=pipeline,
        outbound=outbound,
        worker=worker,
        publisher=publisher,
        page=page,
        spool=spool,
        stacks=stacks,
        sources=sources,
    )


def follower_of(settings: Settings, journal: Journal, metrics: Metrics) -> Follower:
    """It takes up the runs of the newest frames where the last daemon left them.

    Where that fails all runs begin anew: no daemon stays away for the sake of its advice.
    """
    follower = Follower()
    rows = journal.rows(limit=RECALLED_FRAMES)
    memories = [row.summary[MEMORY] for row in reversed(rows) if MEMORY in row.summary]
    try:
        follower.recall(memories, settings.advice)
    except Exception:  # noqa: BLE001 - advice is an extra: logged and counted, the daemon starts without
        metrics.faults.labels(ADVICE_FAILED).inc()
        _log.exception("runs cannot be taken up", code=ADVICE_FAILED)
        return Follower()
    return follower


def in_force(settings: Settings, stacks: NDTiffSource, before: InForce | None = None) -> InForce:
    """What frames are worked by under these settings; the scorer of ``before`` where it is made the same.

    Raises
    ------
    SemdaemonError
        A scorer that is not installed, or does not take the settings.
    """
    same = before is not None and before.settings.focus == settings.focus
    spooled = spooled_reader(settings.limits)
    stack = StackReader(settings.ndtiff, settings.limits, stacks.places)
    return InForce(
        settings=settings,
        focus=with_repair_limit(settings).focus,
        scorer=before.scorer if same and before else load_scorer(settings.focus.scorer, settings.focus),
        files=FileReader(settings.folder, settings.limits),
        readers={
            FolderSource.name: FileReader(settings.folder, settings.limits, follow_links=False),
            PushedSource.name: spooled,
            MicroManagerSource.name: spooled,
            NDTIFF: stack,
        },
        networks=_networks(settings, before),
    )


def _networks(settings: Settings, before: InForce | None) -> Networks:
    """Scorer and worker keep what they have loaded until they are made anew, for other settings."""
    now = networks_of(settings)
    if before is None:
        return now
    old, held = before.settings, before.networks
    same_worker = (old.refocus, old.worker) == (settings.refocus, settings.worker)
    return Networks(
        weights=held.weights if same_worker else now.weights,
        scorer=held.scorer if old.focus == settings.focus else now.scorer,
    )


def _sources(settings: Settings, stacks: NDTiffSource, spool: Spool) -> list[Source]:
    found: list[Source] = []
    if settings.folder.folders or settings.ndtiff.folders:
        found.append(stacks)
    if settings.folder.folders:
        found.append(FolderSource(settings.folder, _own_folders(settings), stacks.adopt))
    if settings.pushed.endpoint:
        found.append(PushedSource(settings.pushed, settings.limits, spool))
    if settings.micromanager.enabled or settings.micromanager.python_backend:
        found.append(MicroManagerSource(settings.micromanager, settings.limits, spool))
    found += [load_plug(SOURCE_GROUP, name, "daemon.sources")(settings) for name in settings.daemon.sources]
    return found


def _own_folders(settings: Settings) -> list[Path]:
    return [settings.output.folder, settings.daemon.state_dir]


def _page(settings: Settings, journey: Journey, asked: Asked, changes: Changes) -> PageServer:
    pictures = Pictures(journey.journal, settings.limits, settings.page.pictures_bytes, journey.read_again)
    page = settings.page
    app = create_app(
        journal=journey.journal,
        pictures=pictures.get,
        status=asked.status,
        metrics=asked.exposition,
        changed=changes,
        token=Token.load(Path(page.token_file).expanduser()) if page.token_file else None,
        names=page.names,
    )
    return PageServer(app, page.host, page.port)
