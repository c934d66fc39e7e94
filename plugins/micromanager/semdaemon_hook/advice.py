"""What the daemon advises about this script's frames, for the script's own hooks to act on."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from semdaemon_hook.advised import Advised, parse
from semdaemon_hook.keys import PathText, curve_keys
from semdaemon_hook.listener import Listener
from semdaemon_hook.refocus import Refocus

ENDPOINT = "tcp://127.0.0.1:5570"
_REMEMBERED = 512
_log = logging.getLogger("semdaemon_hook")


@dataclass
class Received:
    """What became of the messages since the start.

    Attributes
    ----------
    good
        Advice about this run.
    other
        Advice about other runs.
    garbage
        No advice at all.
    applied
        Advice after which `Advice.offset_um` was changed.
    stale
        Advice that came too late, or about a coordinate that was never asked for.
    failed
        Something unexpected; the first one is told in the log.
    """

    good: int = 0
    other: int = 0
    garbage: int = 0
    applied: int = 0
    stale: int = 0
    failed: int = 0


class Advice:
    """Listens to the daemon in the background; the script asks when it likes.

    Nothing here ever blocks or raises, whether the daemon is there, dies, comes back, or something else
    has its port: then there is no advice, and `correct` goes on giving what it gave.
    Its methods may be called from any thread.

    Parameters
    ----------
    run
        Whose frames: the `Refocus` that pushes them, or the name of the dataset or folder that the daemon
        follows (``run_1``). Advice about anything else is left alone.
    endpoint
        The daemon's setting ``publish.endpoint``.
    limit_um
        The most that one advice may move the focus.
    total_um
        The most that all of them together may.
    max_age_s
        Advice older than this is not followed.
    explore
        Where the daemon knows how far focus is but not which way, try the likelier way; the frames after
        that tell it whether it was right. Without it such advice moves nothing.
    instrument
        The daemon's setting ``daemon.instrument``.
    server_key, key
        As for `Refocus`.
    """

    def __init__(
        self,
        run: Refocus | str,
        endpoint: str = ENDPOINT,
        *,
        limit_um: float = 1.0,
        total_um: float = 10.0,
        max_age_s: float = 30.0,
        explore: bool = False,
        instrument: str = "sem",
        server_key: PathText | None = None,
        key: PathText | None = None,
    ) -> None:
        self.run, self.endpoint, self.instrument = run, endpoint, instrument
        self.limit_um, self.total_um, self.max_age_s = abs(limit_um), abs(total_um), max_age_s
        self.explore = explore
        self._keys = None if server_key is None and key is None else (server_key, key)
        self.counts = Received()
        self._lock = threading.Lock()
        self._newest: Advised | None = None
        self._taken: Advised | None = None
        self._followed: Advised | None = None
        self._offset_um = 0.0
        # Coordinates that were asked for, and where focus was meant to be then.
        self._asked: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._listener: Listener | None = None
        self._quietly(self._listening)

    # -- what a script asks --------------------------------------------------------------------------------

    def latest(self) -> Advised | None:
        """The newest advice about this run; None where there is none that is young enough."""
        self._quietly(self._listening)
        newest = self._newest
        return newest if newest is not None and newest.age_s <= self.max_age_s else None

    def take(self) -> Advised | None:
        """As `latest`, but each advice only once."""
        newest = self.latest()
        with self._lock:
            if newest is None or newest is self._taken:
                return None
            self._taken = newest
        return newest

    @property
    def offset_um(self) -> float:
        """What `correct` adds at the moment."""
        return self._offset_um

    def correct(self, z_um: float, focus_um: float | None = None) -> float:
        """A planned coordinate, with what was advised so far added.

        Parameters
        ----------
        z_um
            Where the plan wants to go.
        focus_um
            Where the plan takes focus to be, if that is elsewhere: the middle of a stack, say.
        """
        self._quietly(lambda: self._follow(self.latest()))
        asked_um = z_um + self._offset_um
        self._quietly(lambda: self._asked.append((asked_um, z_um if focus_um is None else focus_um)))
        return asked_um

    def pre_hardware_hook_fn(self, event: Any) -> Any:
        """For ``Acquisition(..., pre_hardware_hook_fn=...)``: corrects the ``z`` of every event."""
        self._quietly(lambda: self._correct_events(event if isinstance(event, list) else [event]))
        return event

    def close(self) -> None:
        """Hang up; `correct` goes on giving what it gave."""
        listener = self._listener
        if listener is not None:
            self._quietly(listener.close)

    def __enter__(self) -> Advice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- within --------------------------------------------------------------------------------------------

    def _correct_events(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, dict) and isinstance(event.get("z"), (int, float)):
                event["z"] = self.correct(float(event["z"]))

    def _follow(self, advised: Advised | None) -> None:
        """Move the offset to where focus is said to be; every advice once, whatever it says."""
        with self._lock:
            if advised is None or advised is self._followed:
                return
            self._followed = advised
        wanted_um = self._wanted_um(advised)
        if wanted_um is None or "out_of_focus" not in advised.reasons:
            return
        planned_um = self._planned_um(advised.at_um)
        if planned_um is None:
            self._count("stale")
            return
        # Absolute, not step by step: advice about frames from before a correction asks for the same place.
        step = _within(wanted_um - planned_um - self._offset_um, self.limit_um)
        offset_um = _within(self._offset_um + step, self.total_um)
        if offset_um != self._offset_um:
            self._offset_um = offset_um
            self._count("applied")

    def _wanted_um(self, advised: Advised) -> float | None:
        """The coordinate that is said to be in focus."""
        correction = advised.correction_um
        if correction is None and self.explore and advised.candidates_um:
            correction = advised.candidates_um[0]
        size, size_sd = advised.magnitude_um, advised.magnitude_sd_um
        if size is not None and size_sd is not None and size <= size_sd:
            return None  # within what it knows, focus is where it should be
        return None if correction is None or advised.at_um is None else advised.at_um + correction

    def _planned_um(self, at_um: float | None) -> float | None:
        """Where focus was meant to be when the coordinate was asked for that the frame was taken at."""
        asked = (
            []
            if at_um is None
            else [(abs(asked - at_um), planned) for asked, planned in reversed(self._asked)]
        )
        if not asked:
            return None
        distance, planned = min(asked, key=lambda each: each[0])
        return planned if distance <= max(0.1 * self.limit_um, 1e-3) else None

    def _listening(self) -> None:
        """Start to listen; in a forked child anew, for threads do not survive a fork."""
        if self._listener is None or self._listener.pid != os.getpid():
            self._lock = threading.Lock()  # the parent's may have been held when the child was made
            curve = curve_keys(*self._keys) if self._keys else None
            self._listener = Listener(self.endpoint, f"{self.instrument}/advice/", curve, self._heard)

    def _heard(self, parts: list[bytes]) -> None:
        advised = parse(parts)
        if advised is None:
            self._count("garbage")
        elif not self._is_mine(advised.header["run"]):
            self._count("other")
        else:
            self._count("good")
            self._newest = advised

    def _is_mine(self, run: Mapping[str, Any]) -> bool:
        name = self.run.name if isinstance(self.run, Refocus) else self.run
        return bool(name) and name in (run.get("dataset"), run.get("id"))

    def _count(self, name: str) -> int:
        with self._lock:
            number = int(getattr(self.counts, name)) + 1
            setattr(self.counts, name, number)
        return number

    def _quietly(self, work: Callable[[], object]) -> None:
        """Whatever goes wrong here, the acquisition goes on: pycromanager aborts where a hook raises."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - see above; counted, and the first one told
            if self._count("failed") == 1:
                _log.warning("no advice from semdaemon: %s: %s", type(error).__name__, error)


def _within(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))
