"""Logging: readable lines on a terminal, one JSON object a line elsewhere; repetitions are summed up."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import Processor

CANONICAL = "frame"
"""The event that ends a frame's journey: told for every frame, however many there are."""

_TOLD_FIRST, _WINDOW_S, _MOST_KEPT = 5, 60.0, 256


def configure_logging(level: str = "info") -> None:
    """Send structlog and the standard library's loggers to standard error in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats(handler.handle))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn.access", "uvicorn.error", "watchdog", "PIL", "tifffile"):
        logging.getLogger(chatty).setLevel("WARNING")


@dataclass
class _Tally:
    """No record is kept: its traceback would keep a whole frame in memory."""

    began_at: float
    logger: str
    key: tuple[str, ...]
    count: int = 0

    @property
    def left_out(self) -> int:
        return max(0, self.count - _TOLD_FIRST)


class Repeats(logging.Filter):
    """Lets the first few of the same warnings through in a minute, and then says how many more there were.

    A fault that stands for a night must not fill the disk. The end of a frame's journey is never left out.

    Parameters
    ----------
    tell
        Gets the record that sums up.
    """

    def __init__(
        self, tell: Callable[[logging.LogRecord], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._tell, self._clock = tell, clock
        self._tallies: dict[tuple[str, ...], _Tally] = {}
        self._lock = threading.RLock()

    def filter(self, record: logging.LogRecord) -> bool:
        """False for what is summed up later."""
        if record.levelno < logging.WARNING or getattr(record, "sums_up", False):
            return True
        key = _key(record)
        if key[0] == CANONICAL:
            return True
        with self._lock:
            ended = self._ended()
            fresh = _Tally(self._clock(), record.name, key)
            tally = self._tallies.setdefault((record.name, *key), fresh)
            tally.count += 1
            told = tally.count <= _TOLD_FIRST
        for each in ended:
            self._tell(_summary(each))
        return told

    def _ended(self) -> list[_Tally]:
        """Takes out what began a minute ago, and the oldest where there are too many."""
        now = self._clock()
        old = [key for key, tally in self._tallies.items() if now - tally.began_at >= _WINDOW_S]
        too_many = max(0, len(self._tallies) - len(old) + 1 - _MOST_KEPT)
        old += [key for key in self._tallies if key not in old][:too_many]
        return [tally for tally in map(self._tallies.pop, old) if tally.left_out]


def _key(record: logging.LogRecord) -> tuple[str, ...]:
    if isinstance(record.msg, dict):
        said: dict[str, Any] = record.msg
        return (str(said.get("event")), str(said.get("code", "")), str(said.get("error", "")))
    return (str(record.msg),)


def _summary(tally: _Tally) -> logging.LogRecord:
    event, *about = tally.key
    said = {
        "event": "repeated",
        "of": event,
        "about": " ".join(about).strip(),
        "times": tally.left_out,
        "within_s": _WINDOW_S,
        "level": "warning",
        "logger": tally.logger,
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    # As structlog hands its own records to the formatter, so that this one is laid out the same way.
    known = {"name": tally.logger, "levelno": logging.WARNING, "levelname": "WARNING", "msg": said}
    return logging.makeLogRecord({**known, "_logger": None, "_name": "warning", "sums_up": True})
