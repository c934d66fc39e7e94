"""The thread that follows all stacks below one folder."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from semdaemon.errors import SemdaemonError
from semdaemon.formats.stack import is_stack
from semdaemon.settings import NDTiff
from semdaemon.sources.ndtiff.follower import FRAMES_A_LOOK, Follower
from semdaemon.sources.ndtiff.names import may_be_stack
from semdaemon.sources.ndtiff.places import Places
from semdaemon.sources.source import Deliver

_SHARE = 0.25
_AGE_PER_PAUSE = 100.0
_BESIDE_S = 10.0
_FORGET_GONE_S = 3600.0
_HANGS_S = 30.0
_REDELIVERY_PAUSE_S = 1.0

_log = structlog.get_logger("semdaemon.sources")


@dataclass(slots=True)
class _Watched:
    """One stack with its times, monotonic seconds."""

    follower: Follower
    news_at: float
    due: float
    gone_at: float | None = None
    was_closed: bool = False


class Tail:
    """Looks at every stack as often as it is worth it.

    A stack is looked at again after a hundredth of the time since its last frame, between ``poll_s`` and
    ``idle_poll_s``, so a frame is found within one per cent of the interval of frames.
    Looks that find nothing take a quarter of the time at most.
    A closed stack is left alone until somebody says that it changed.
    """

    def __init__(self, root: Path, settings: NDTiff, places: Places, deliver: Deliver) -> None:
        self.root = root
        self._settings, self._places, self._deliver = settings, places, deliver
        self._watched: dict[Path, _Watched] = {}
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._refused = ""
        self._turn_began: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"ndtiff {root}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End; a look that hangs on a dead network share is left behind."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Look at every stack now."""
        with self._lock:
            for each in self._watched.values():
                each.due = 0.0
        self._wake.set()

    def follow(self, path: Path, relative: Path) -> None:
        """A stack was seen, for the first time or changed; any thread may call."""
        with self._lock:
            known = self._watched.get(path)
            if known is None:
                now = time.monotonic()
                self._watched[path] = _Watched(Follower(path, relative, self._places), now, 0.0)
                _log.info("stack followed", file=str(path))
            elif known.due > time.monotonic() + self._settings.poll_s:
                known.due = 0.0
        self._wake.set()

    # -- the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            began = self._turn_began = time.monotonic()
            due = [each for each in self._all() if each.due <= began]
            found = sum(self._look_safely(each) for each in due if not self._stop.is_set())
            self._turn_began = None
            took_s = 0.0 if found else time.monotonic() - began
            if self._stop.wait(min(took_s * (1 / _SHARE - 1), self._settings.idle_poll_s)):
                return
            self._wake.wait(self._pause_s())
            self._wake.clear()

    def _all(self) -> list[_Watched]:
        with self._lock:
            return list(self._watched.values())

    def _pause_s(self) -> float:
        next_due = min((each.due for each in self._all()), default=float("inf"))
        return max(0.0, min(next_due - time.monotonic(), _REDELIVERY_PAUSE_S))

    def _look_safely(self, each: _Watched) -> int:
        """Look, whatever comes of it; how many frames were found."""
        try:
            return self._look(each)
        except SemdaemonError as error:  # the journal refused: the same frames are due again
            self._complain(each, error)
        except Exception as error:  # noqa: BLE001 - the thread's edge: logged, one stack never ends the others
            _log.exception("stack failed", file=str(each.follower.path))
            self._complain(each, error)
        return 0

    def _complain(self, each: _Watched, error: Exception) -> None:
        if str(error) != self._refused:
            _log.error("frames cannot be taken in", file=str(each.follower.path), error=str(error))
        self._refused = str(error)
        each.due = time.monotonic() + _REDELIVERY_PAUSE_S

    def _look(self, each: _Watched) -> int:
        now = time.monotonic()
        follower = each.follower
        steps = follower.look(now)
        if steps and not self._stop.is_set():
            self._deliver([step.sighting for step in steps])
            follower.accept(steps)
            self._refused = ""
            each.news_at = time.monotonic()
        if follower.closed and (steps or not each.was_closed or now - each.news_at < _BESIDE_S):
            self._look_beside(follower)
        self._tell_changes(each)
        each.due = self._next(each, more=len(steps) == FRAMES_A_LOOK)
        if each.gone_at is not None and now - each.gone_at > _FORGET_GONE_S:
            with self._lock:
                self._watched.pop(follower.path, None)
        return len(steps)

    def _next(self, each: _Watched, *, more: bool) -> float:
        now = time.monotonic()
        if more:
            return 0.0
        follower = each.follower
        if follower.gone or follower.trouble:
            return now + self._settings.idle_poll_s
        age_s = now - each.news_at
        if follower.closed and age_s > _BESIDE_S:
            return float("inf")
        return now + min(max(age_s / _AGE_PER_PAUSE, self._settings.poll_s), self._settings.idle_poll_s)

    def _look_beside(self, follower: Follower) -> None:
        """A stack that is full goes on in another file of its folder: find it without waiting for a scan."""
        folder = follower.path.parent
        try:
            names = [entry.name for entry in folder.iterdir() if may_be_stack(entry.name)]
        except OSError:
            return
        for name in names:
            if folder / name not in self._watched and looks_like_stack(folder / name):
                self.follow(folder / name, follower.relative.with_name(name))

    def _tell_changes(self, each: _Watched) -> None:
        follower = each.follower
        if follower.gone and each.gone_at is None:
            each.gone_at = time.monotonic()
            _log.warning("stack went away while it was followed", file=str(follower.path))
        elif not follower.gone and each.gone_at is not None:
            each.gone_at = None
            _log.info("stack is back", file=str(follower.path))
        if follower.closed != each.was_closed:
            each.was_closed = follower.closed
            if follower.closed:
                _log.info("stack closed", file=str(follower.path), frames=follower.frames)

    # -- health ------------------------------------------------------------------------------------------

    @property
    def stacks(self) -> int:
        """How many stacks are known."""
        return len(self._watched)

    def problems(self) -> list[str]:
        """What is wrong now, for the health; any thread may ask."""
        began = self._turn_began
        hangs = began is not None and time.monotonic() - began > _HANGS_S
        found = [f"a look below {self.root} has not come back for {_HANGS_S:.0f} s"] if hangs else []
        found += [self._refused] if self._refused else []
        return found + [each.follower.trouble for each in self._all() if each.follower.trouble]

    def remarks(self) -> list[str]:
        """What it follows, and what is worth knowing."""
        followers = [each.follower for each in self._all()]
        closed = [f for f in followers if f.closed]
        found = [_growing(f) for f in followers if not (f.closed or f.gone or f.trouble)]
        found += [f"{f.path.name} went away" for f in followers if f.gone]
        if closed:
            found.append(f"{len(closed)} closed ({sum(f.frames for f in closed)} frames)")
        return found


def _growing(follower: Follower) -> str:
    if follower.torn_since is not None:
        since_s = time.monotonic() - follower.torn_since
        return f"{follower.path.name}: frame {follower.frames} is not complete since {since_s:.0f} s"
    if not follower.began:
        return f"{follower.path.name}: nothing written yet"
    return f"{follower.path.name}: {follower.frames} frames, growing"


def looks_like_stack(path: Path) -> bool:
    """By its first bytes; a file that is still empty, or cannot be read now, is one by its name."""
    try:
        return is_stack(path) is not False
    except OSError:
        return True
