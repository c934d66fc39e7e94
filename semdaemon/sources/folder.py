"""The folder source: every frame that appears below the acquisition folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from semdaemon.settings import Folder
from semdaemon.sources.root import Adopt, FolderRoot, keep_all
from semdaemon.sources.scan import Rules
from semdaemon.sources.source import Deliver, SourceHealth

_log = structlog.get_logger("semdaemon.sources")


class FolderSource:
    """Watches acquisition folders; never writes to them.

    Parameters
    ----------
    settings
        Section ``folder``.
    excluded
        Folders of the daemon's own (output, state), left out wherever they lie.
    adopt
        Another source's way to take a file over: called for every file, in this source's threads;
        what it answers with True is not delivered.
    """

    name = "folder"

    def __init__(self, settings: Folder, excluded: Sequence[Path] = (), adopt: Adopt = keep_all) -> None:
        self._settings, self._excluded = settings, excluded
        rules = Rules(settings, excluded)
        self._roots = [FolderRoot(path, settings, rules, self.name, adopt) for path in _distinct(settings)]

    def start(self, deliver: Deliver) -> None:
        """Begin to look; ``deliver`` is called from one thread a folder."""
        for root in self._roots:
            root.start(deliver)

    def stop(self) -> None:
        """End every thread; a scan that hangs on a dead share is left behind."""
        for root in self._roots:
            root.stop(timeout_s=0.0)  # told to all first: one that hangs must not keep the others at work
        for root in self._roots:
            root.stop()

    def wake(self) -> None:
        """Scan every folder now."""
        for root in self._roots:
            root.wake()

    def reload(self, settings: Folder) -> None:
        """Take over patterns, ignored names and times; folders and the way of watching stay as they are."""
        if settings != self._settings:
            self._settings = settings
            rules = Rules(settings, self._excluded)
            for root in self._roots:
                root.reload(settings, rules)

    def health(self) -> SourceHealth:
        """How the folders are; the source is well when all of them are."""
        roots = tuple(root.health() for root in self._roots)
        scans = [root.last_scan_at for root in roots]
        ways = [root.watching for root in roots]
        return SourceHealth(
            name=self.name,
            ok=all(root.ok for root in roots),
            detail="; ".join(root.detail for root in roots if root.detail),
            watching=next((way for way in ("nothing", "polling") if way in ways), "events"),
            roots=roots,
            counters={name: sum(r.counters[name] for r in self._roots) for name in self._roots[0].counters}
            if self._roots
            else {},
            last_scan_at=min((at for at in scans if at is not None), default=None) if all(scans) else None,
        )


def _distinct(settings: Folder) -> list[Path]:
    """The folders as they really are, without those that another one covers."""
    resolved = list(dict.fromkeys(path.expanduser().resolve() for path in settings.folders))
    kept = []
    for path in resolved:
        if settings.recursive and any(other in path.parents for other in resolved):
            _log.warning("folder lies inside another one, which covers it", folder=str(path))
        else:
            kept.append(path)
    return kept
