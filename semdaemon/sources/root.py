"""One acquisition folder: looked at by its own thread for as long as the source runs."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import structlog

from semdaemon.errors import SemdaemonError
from semdaemon.settings import Folder
from semdaemon.sources.backlog import Memory
from semdaemon.sources.hints import Hints
from semdaemon.sources.hot import HotFolders
from semdaemon.sources.scan import Found, Rules, walk
from semdaemon.sources.schedule import Schedule
from semdaemon.sources.source import Deliver, RootHealth, Sighting, Watching
from semdaemon.sources.watched import Watched

_DELIVERED_AT_ONCE = 500
_HINTS_TOGETHER_S = 0.02
_ROOT_CHECK_S = 1.0
_AFTER_NEW_FOLDER_S = 0.25
_HANGS_S = 30.0

_log = structlog.get_logger("semdaemon.sources")


Adopt = Callable[[Sighting], bool]


def keep_all(_: Sighting) -> bool:
    """No other source takes files over."""
    return False


class FolderRoot:
    """Sees every frame below one folder.

    Scanning is the truth: at the start, every ``rescan_s`` (``poll_s`` where events cannot be had),
    after new folders, overflows and outages. Events only shorten the way: the paths that they name
    are looked at at once.
    """

    def __init__(
        self, path: Path, settings: Folder, rules: Rules, source: str = "folder", adopt: Adopt = keep_all
    ) -> None:
        self.path, self._adopt = path, adopt
        self._source, self._settings, self._rules = source, settings, rules
        self._memory, self._hot = Memory(settings.backlog), HotFolders()
        self._hints, self._schedule = Hints(), Schedule()
        self._watched = Watched(path, self._hints)
        self._stop = threading.Event()
        self._missing = "not looked at yet"
        self._unreadable: dict[str, str] = {}
        self._refused = ""
        self._delivered, self._errors = 0, 0
        self._home_device = 0
        self._turn_began: float | None = None
        self._handing_over_s = 0.0
        self._last_scan: tuple[float, float] | None = None
        self._files = 0
        self._thread = threading.Thread(target=self._run, name=f"folder {path}", daemon=True)

    def start(self, deliver: Deliver) -> None:
        """Begin; returns at once."""
        self._deliver = deliver
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End; a scan that hangs on a dead network share is left behind."""
        self._stop.set()
        self._hints.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def reload(self, settings: Folder, rules: Rules) -> None:
        """Look by other rules from the next scan on, which begins now."""
        self._settings, self._rules = settings, rules
        self._memory.rules_changed()
        self.wake()

    def wake(self) -> None:
        """Scan now."""
        self._hints.lose()

    @property
    def counters(self) -> dict[str, int]:
        """Sightings delivered, events that the system dropped, turns that failed; since the start."""
        return {"delivered": self._delivered, "overflows": self._watched.overflows, "errors": self._errors}

    # -- the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._turn_safely()
                self._hints.wait(self._pause_s())
        finally:
            self._watched.close()

    def _pause_s(self) -> float:
        if self._missing:
            return _ROOT_CHECK_S
        return min(_ROOT_CHECK_S, self._schedule.pause_s(polling=bool(self._watched.polling_because)))

    def _turn_safely(self) -> None:
        self._turn_began = time.monotonic()
        try:
            self._turn()
        except (OSError, SemdaemonError) as error:
            self._complain(error)
        except Exception as error:  # noqa: BLE001 (the thread's edge: a root is never given up)
            _log.exception("folder failed", folder=str(self.path))
            self._complain(error)
        finally:
            self._turn_began = None

    def _complain(self, error: Exception) -> None:
        self._errors += 1
        if str(error) != self._refused:
            _log.error("folder cannot be taken in", folder=str(self.path), error=str(error))
        self._refused = str(error)
        self._schedule.scan_after(_ROOT_CHECK_S)

    def _turn(self) -> None:
        if not self._present():
            return
        # Watched before it is scanned: what comes meanwhile is told.
        if self._watched.keep(self._settings, recursive=self._rules.recursive):
            self._schedule.scan_now()
        hints, lost = self._hints.take()
        if lost:
            self._schedule.scan_now()
        if self._schedule.scan_due:
            self._scan()
        elif self._watched.polling_because and self._schedule.quick_due:
            self._scan_hot()
        elif hints:
            self._look_at(hints)
            # Events come in swarms: the first is served at once, the rest of the swarm together.
            self._stop.wait(_HINTS_TOGETHER_S)

    # -- the folder itself -------------------------------------------------------------------------------

    def _present(self) -> bool:
        missing = _why_missing(self.path)
        if missing != self._missing:
            told = _log.warning if missing else _log.info
            told("folder gone" if missing else "folder there", folder=str(self.path), detail=missing)
            self._missing = missing
        if missing:
            self._watched.close()
            self._schedule.scan_now()
        return not missing

    # -- events ------------------------------------------------------------------------------------------

    def _look_at(self, hints: Iterable[str]) -> None:
        root = str(self.path)
        news: list[Found] = []
        for hint in hints:
            relative = os.path.relpath(hint, root)
            if hint.endswith(os.sep):
                news += self._new_folder(relative)
            elif self._rules.takes_below(root, relative) and (found := _file(root, relative)):
                news.append(found)
        for some in _by(_DELIVERED_AT_ONCE, news):
            self._hand_over(some)
        self._memory.note(news)

    def _new_folder(self, relative: str) -> list[Found]:
        # Files made before the system watched the new folder have no event: look soon again, at everything.
        self._schedule.scan_within(_AFTER_NEW_FOLDER_S)
        root, parts = str(self.path), Path(relative).parts
        if not self._rules.recursive or not self._rules.enters_below(root, parts):
            return []
        try:
            return list(walk(root, self._rules, below=relative))
        except OSError:
            return []  # gone already, or not to be read; the scan says which

    # -- scans -------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        began, clock = time.time(), time.monotonic()
        self._handing_over_s = 0.0
        redeliver = self._schedule.redelivery_due
        look = self._memory.begin(began, redeliver=redeliver)
        unreadable, folders = dict[str, str](), set[str]()
        found = walk(str(self.path), self._rules, entered=folders.add, unreadable=_noted_in(unreadable))
        for some in _by(_DELIVERED_AT_ONCE, look.news(found)):
            if self._stop.is_set():
                return
            self._hand_over(some)
        self._memory.end(look)
        self._hot.scanned(folders)
        self._tell_unreadable(unreadable)
        took_s = time.monotonic() - clock - self._handing_over_s
        self._scanned(look.files, took_s)
        polling = bool(self._watched.polling_because)
        every_s = self._settings.poll_s if polling else self._settings.rescan_s
        self._schedule.scanned(took_s, every_s=every_s, polling=polling, redelivered=redeliver)

    def _scan_hot(self) -> None:
        """Look where frames appear just now; whole scans of a large share are too far apart."""
        began = time.monotonic()
        found = self._hot.walk(str(self.path), self._rules)
        for some in _by(_DELIVERED_AT_ONCE, filter(self._memory.is_news, found)):
            self._hand_over(some)
            self._memory.note(some)
        self._schedule.scanned_quickly(time.monotonic() - began, every_s=self._settings.poll_s)

    def _scanned(self, files: int, took_s: float) -> None:
        if self._last_scan is None:
            _log.info("folder scanned", folder=str(self.path), files=files, seconds=round(took_s, 3),
                      left_out=self._memory.left_out, watching=self._watching)  # fmt: skip
        self._files, self._last_scan, self._refused = files, (time.time(), took_s), ""
        if files:
            self._home_device = self._watched.device

    def _hand_over(self, files: Sequence[Found]) -> None:
        began = time.monotonic()
        sightings = [self._sighting(*file) for file in files]
        if own := [sighting for sighting in sightings if not self._adopt(sighting)]:
            self._deliver(own)
            self._delivered += len(own)
        self._hot.note(files)
        self._handing_over_s += time.monotonic() - began

    def _sighting(self, relative: str, size_bytes: int, mtime_ns: int) -> Sighting:
        path = self.path / relative
        settle_s = self._settings.settle_s
        return Sighting(self._source, path.as_uri(), path, Path(relative), size_bytes, mtime_ns, settle_s)

    def _tell_unreadable(self, unreadable: dict[str, str]) -> None:
        for folder, why in unreadable.items():
            if folder not in self._unreadable:
                _log.warning("folder cannot be read", folder=str(self.path / folder), error=why)
        self._unreadable = unreadable

    # -- health ------------------------------------------------------------------------------------------

    @property
    def _watching(self) -> Watching:
        if self._missing:
            return "nothing"
        return "polling" if self._watched.polling_because else "events"

    def health(self) -> RootHealth:
        """How it is; may be asked from any thread, also while a scan hangs."""
        faults = (self._missing, self._refused, self._hanging(), self._unmounted(), self._closed_folders())
        problems = [text for text in faults if text]
        because = self._watched.polling_because
        remarks = [f"polling: {because}"] if because else []
        at, took_s = self._last_scan or (None, None)
        return RootHealth(
            path=self.path,
            ok=not problems,
            detail="; ".join(problems + remarks),
            watching=self._watching,
            files=self._files,
            left_out=self._memory.left_out,
            last_scan_at=at,
            last_scan_s=took_s,
        )

    def _hanging(self) -> str:
        began = self._turn_began
        if began is None or time.monotonic() - began < _HANGS_S:
            return ""
        return f"a look has not come back for {time.monotonic() - began:.0f} s (is the network share there?)"

    def _unmounted(self) -> str:
        if self._files or not self._home_device or self._watched.device == self._home_device:
            return ""
        return f"{self.path} is empty and on another file system than before: is the share unmounted?"

    def _closed_folders(self) -> str:
        if not self._unreadable:
            return ""
        folder, why = next(iter(self._unreadable.items()))
        return f"{len(self._unreadable)} folder(s) cannot be read, first {folder}: {why}"


def _why_missing(path: Path) -> str:
    try:
        return "" if path.is_dir() else f"{path} is not a folder" if path.exists() else f"{path} is not there"
    except OSError as error:
        return f"{path} cannot be reached: {error.strerror or error}"


def _file(root: str, relative: str) -> Found | None:
    try:
        about = os.stat(os.path.join(root, relative), follow_symlinks=False)  # noqa: PTH116, PTH118
    except OSError:
        return None
    return (relative, about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else None


def _noted_in(unreadable: dict[str, str]) -> Callable[[str, OSError], None]:
    def note(folder: str, error: OSError) -> None:
        unreadable[folder] = error.strerror or str(error)

    return note


def _by(size: int, files: Iterable[Found]) -> Iterator[list[Found]]:
    waiting = iter(files)
    while some := list(islice(waiting, size)):
        yield some
