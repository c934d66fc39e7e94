"""The spool: frames that exist only in memory become files, and go when their journey has ended.

From the file on they are like any other frame: the journal knows them, and a restart goes on with them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import structlog

from semdaemon.errors import SemdaemonError
from semdaemon.settings import Folder, Limits
from semdaemon.settings import Spool as SpoolSettings
from semdaemon.sources.reader import FileReader
from semdaemon.sources.source import Deliver, Sighting
from semdaemon.sources.unsaved import TEMPORARY_SUFFIX, UnsavedFrame, write_unsaved

FOLDER = "spool"
_FINAL = ("published", "failed", "skipped")
_SWEEP_S = 1.0
_log = structlog.get_logger("semdaemon.spool")


class States(Protocol):
    """What the spool asks the journal."""

    def states(self, uris: Sequence[str]) -> dict[str, str]: ...


def spooled_reader(limits: Limits) -> FileReader:
    """Reads spooled frames: complete as soon as they have their name, so nothing is waited for."""
    return FileReader(Folder(settle_s=0.0, hold_s=0.0, give_up_s=0.0, sidecar="none"), limits)


class Spool:
    """Files in ``<state_dir>/spool/<source>/``, bounded in bytes. Any thread may call.

    Parameters
    ----------
    settings
        Section ``spool``.
    folder
        Where the files go; made where missing.
    journal
        Says which frames' journey has ended.
    """

    def __init__(self, settings: SpoolSettings, folder: Path, journal: States) -> None:
        self._settings, self._folder, self._journal = settings, folder.resolve(), journal
        self._numbers = count()
        self._lock = threading.Lock()
        self._deliver: dict[str, Deliver] = {}
        self._waiting: dict[Path, Sighting] = {}
        self._finished: dict[Path, Sighting] = {}  # in the order in which they ended
        self._undelivered: dict[Path, Sighting] = {}
        self._dropped: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._fault, self._told = "", set[str]()  # codes, until a frame is taken again
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    # -- start and stop ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take stock of what an earlier run left, and begin to clear away what has ended."""
        for path in sorted(self._folder.glob("*/*")):
            try:
                if path.suffix == TEMPORARY_SUFFIX:
                    path.unlink()
                elif path.suffix == ".tif":
                    self._waiting[path] = self._sighting(path.parent.name, path)
            except OSError as error:
                _log.warning("spooled file left alone", file=str(path), error=str(error))
        self._thread.start()

    def stop(self) -> None:
        """End the sweeping; the files stay for the next start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def attach(self, source: str, deliver: Deliver) -> None:
        """Say where a source's frames go; what an earlier run left of it is delivered now (again)."""
        with self._lock:
            self._deliver[source] = deliver
            left = {path: each for path, each in self._waiting.items() if each.source == source}
            self._undelivered |= left
        self._deliver_again()

    # -- frames come in ------------------------------------------------------------------------------------

    def take(self, source: str, frame: UnsavedFrame) -> bool:
        """Write a frame and deliver it; False where it had to be dropped, which is counted and told.

        Parameters
        ----------
        source
            Name of the source, and of the folder below the spool's.
        """
        try:
            sighting = self._write(source, frame)
        except SemdaemonError as error:
            self._drop(source, error)
            return False
        with self._lock:
            self._waiting[sighting.path] = self._undelivered[sighting.path] = sighting
            self._taken[source] = self._taken.get(source, 0) + 1
            self._fault = ""
            self._told.clear()
        self._deliver_again()
        return True

    def _write(self, source: str, frame: UnsavedFrame) -> Sighting:
        with self._lock:
            waiting_bytes = self._bytes(self._waiting)
        if waiting_bytes + frame.pixels.nbytes > self._settings.max_bytes:
            raise SemdaemonError(
                "spool_full",
                f"{len(self._waiting)} frames wait in {self._folder}; spool.max_bytes is reached.",
                remedy="Frames come faster than they are scored: take fewer, or raise spool.max_bytes.",
            )
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S.%fZ}-{next(self._numbers):06d}.tif"
        path = self._folder / source / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_unsaved(path, frame)
            return self._sighting(source, path)
        except OSError as error:
            raise SemdaemonError(
                "spool_unwritable",
                f"{path.parent} cannot be written: {error}.",
                remedy="Free space, or choose another daemon.state_dir.",
            ) from error

    def _sighting(self, source: str, path: Path) -> Sighting:
        about = path.stat()
        day = path.name[:8]
        relative = Path(source) / day / path.name
        return Sighting(source, path.as_uri(), path, relative, about.st_size, about.st_mtime_ns)

    def _drop(self, source: str, error: SemdaemonError) -> None:
        with self._lock:
            self._dropped[source] = self._dropped.get(source, 0) + 1
            news, self._fault = error.code not in self._told, error.message
            self._told.add(error.code)
        if news:
            _log.error("frames are dropped", source=source, code=error.code, error=str(error))

    def _deliver_again(self) -> None:
        """Deliver what is due; what the journal refuses (a full disk) stays due."""
        with self._lock:
            due = list(self._undelivered.values())
        for source in {each.source for each in due}:
            deliver = self._deliver.get(source)
            batch = [each for each in due if each.source == source]
            if deliver is None:
                continue
            try:
                deliver(batch)
            except SemdaemonError as error:
                _log.error("spooled frames not delivered", source=source, error=str(error))
                continue
            with self._lock:
                for each in batch:
                    self._undelivered.pop(each.path, None)

    # -- frames go -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(_SWEEP_S):
            try:
                self._deliver_again()
                self.sweep()
            except SemdaemonError as error:
                _log.error("spool not swept", error=str(error))
            except Exception:  # noqa: BLE001 - the thread's edge: logged, the next sweep tries again
                _log.exception("spool not swept")

    def sweep(self) -> None:
        """Clear away files whose journey has ended, but for the newest ones that are kept."""
        with self._lock:
            waiting = {each.uri: each for each in self._waiting.values()}
        states = self._journal.states(list(waiting))
        ended = [each for uri, each in waiting.items() if states.get(uri) in _FINAL]
        with self._lock:
            for each in ended:
                self._finished[each.path] = self._waiting.pop(each.path)
            surplus, held = [], self._bytes(self._finished)
            for each in self._finished.values():
                if held <= self._settings.keep_bytes:
                    break
                surplus.append(each)
                held -= each.size_bytes
        self._clear(surplus)

    def _clear(self, surplus: Sequence[Sighting]) -> None:
        states = self._journal.states([each.uri for each in surplus])
        for each in surplus:
            requeued = states.get(each.uri) not in _FINAL
            try:
                if not requeued:
                    each.path.unlink(missing_ok=True)
            except OSError:
                continue  # open elsewhere (Windows): the next sweep tries again
            with self._lock:
                del self._finished[each.path]
                if requeued:
                    self._waiting[each.path] = each

    # -- what others ask -----------------------------------------------------------------------------------

    def tally(self, source: str) -> dict[str, Any]:
        """Frames of one source: taken, dropped and waiting since the start, and what is wrong."""
        with self._lock:
            return {
                "taken": self._taken.get(source, 0),
                "dropped": self._dropped.get(source, 0),
                "waiting": sum(each.source == source for each in self._waiting.values()),
                "fault": self._fault if self._dropped.get(source) else "",
            }

    def describe(self) -> dict[str, Any]:
        """For the status."""
        with self._lock:
            return {
                "folder": str(self._folder),
                "waiting": len(self._waiting),
                "waiting_bytes": self._bytes(self._waiting),
                "kept": len(self._finished),
                "kept_bytes": self._bytes(self._finished),
                "dropped": sum(self._dropped.values()),
                "fault": self._fault,
            }

    @staticmethod
    def _bytes(files: dict[Path, Sighting]) -> int:
        return sum(each.size_bytes for each in files.values())
