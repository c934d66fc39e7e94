"""What both halves of a frame's journey share: where it is noted, told and read again, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.frame import Frame
from semdaemon.inforce import Live
from semdaemon.journal import Journal, Row
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.pipeline.recent import RecentFrames
from semdaemon.settings import Settings
from semdaemon.sources.reader import FrameReader

MOST_ATTEMPTS = 3
"""A frame whose look or job began this often without an end is set aside: something dies of it."""

_log = structlog.get_logger("semdaemon")


@dataclass(frozen=True)
class Journey:
    """The surroundings of every frame; any thread may use them."""

    live: Live
    journal: Journal
    outbound: Outbound
    metrics: Metrics
    recent: RecentFrames
    changed: Callable[[], None] = lambda: None

    @property
    def settings(self) -> Settings:
        """Those of the frame in hand."""
        return self.live.now.settings

    def fail(self, row: Row, error: SemdaemonError, *, frame: Frame | None = None) -> None:
        """It could not be read, scored or refocused."""
        self.outbound.fault(row, error, frame=frame)
        self.metrics.faults.labels(error.code).inc()
        self.journal.finish(row.key, "failed", error.code, error.message, error.remedy)
        self.ended(row, "failed", error.code, frame=frame, detail=error.message)

    def skip(self, row: Row, reason: str, detail: str) -> None:
        """Left alone, for a reason."""
        self.journal.finish(row.key, "skipped", reason, detail)
        self.ended(row, "skipped", reason, detail=detail)

    def ended(self, row: Row, state: str, reason: str, *, frame: Frame | None = None, **facts: Any) -> None:
        """The one log event of a frame, with everything about it."""
        self.metrics.frames[state].inc()
        level = _log.warning if state == "failed" else _log.info
        known = (
            {}
            if frame is None
            else {"frame": frame.id, "shape": frame.shape, "type": frame.pixels.dtype.name}
        )
        waited_s = round(max(0.0, time.time() - row.seen_at), 3)
        level(
            "frame",
            number=row.key,
            file=str(row.path),
            state=state,
            reason=reason,
            after_s=waited_s,
            **known,
            **facts,
        )
        self.changed()

    def unreadable(self, row: Row, error: FrameError) -> None:
        """A file that is gone is skipped, any other that does not read has failed."""
        if error.code == "vanished":
            self.skip(row, "vanished", error.message)
        else:
            self.fail(row, error)

    def original_stands(self, row: Row, error: FrameError, frame: Frame | None) -> None:
        """The score is out and nothing is refocused: the journey's end, with a fault that says why."""
        self.outbound.fault(row, error, frame=frame)
        self.metrics.faults.labels(error.code).inc()
        self.journal.finish(row.key, "published", error.code, error.message, error.remedy)
        self.ended(row, "published", error.code, frame=frame, detail=error.message)

    def reader(self, row: Row) -> FrameReader:
        """Who settles and reads this row's frames."""
        return self.live.now.reader(row)

    def read_again(self, row: Row) -> Frame:
        """The frame from its file, which must still hold what was scored; any thread may call."""
        frame = self.reader(row).read_again(row)
        if frame.content_sha256 != row.content_sha256:
            raise FrameError(
                "overwritten",
                f"{row.path} changed after it was scored; what was scored is gone.",
                remedy="Nothing to do: the file as it is now is a frame of its own.",
            )
        return frame


def was_interrupted(row: Row) -> bool:
    """True where its messages may be out already: by a job or a daemon that was cut off."""
    return row.attempts > 0 or row.redelivered


def root(row: Row) -> Path:
    """The acquisition folder that a frame was found in, or the folder next to it that is known."""
    above = row.path.parents
    return above[min(len(row.relative.parts), len(above)) - 1] if len(above) else row.path


def poison(row: Row) -> FrameError:
    """The fault of a frame whose work began too often without an end."""
    return FrameError(
        "poison",
        f"{row.path}: work on it began {row.attempts} times and never ended; daemon or worker died of it.",
        remedy="Try the file alone with 'semdaemon score'; 'semdaemon requeue' hands it to the daemon again.",
    )
