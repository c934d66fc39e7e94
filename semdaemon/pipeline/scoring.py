"""The first half of a frame's journey: settle -> read -> score -> publish."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import structlog

from semdaemon.advice import Follower
from semdaemon.clock import ClockWatch
from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.focus import BLURRED, FocusMap, focus_map
from semdaemon.frame import Frame
from semdaemon.journal import Row
from semdaemon.pipeline.advising import Advising
from semdaemon.pipeline.cutoff import CutOff
from semdaemon.pipeline.journey import MOST_ATTEMPTS, Journey, poison, root, was_interrupted
from semdaemon.pipeline.reach import Reach
from semdaemon.sources.settle import NotYet

_log = structlog.get_logger("semdaemon")


class Scoring:
    """Called by the scoring thread alone.

    Parameters
    ----------
    refocuses
        False where nothing is refocused: every journey then ends with its score.
    """

    def __init__(self, journey: Journey, follower: Follower, *, refocuses: bool) -> None:
        self.journey, self._refocuses = journey, refocuses
        self._advising = Advising(journey, follower)
        self.clock = ClockWatch()
        self._journal, self._metrics, self._outbound = journey.journal, journey.metrics, journey.outbound
        self._looks = CutOff(journey.journal, "settled")
        self.reach = Reach()

    def look(self) -> bool:
        """Take the next frame that may be complete as far as its score; False where none is due."""
        if not self._journal.ready():
            return False
        self._looks.take_up()
        self._clock_was_set()
        row = self._journal.next_to_settle(besides=self.reach.silent)
        if row is None:
            return False
        if not self.reach.answers(root(row)):
            return True  # left out from here on, until it does
        try:
            return self._look(row)
        except Exception as error:
            self._looks.note(row, error)
            raise

    def _clock_was_set(self) -> bool:
        jump_s = self.clock.jump_s()
        if jump_s:
            _log.warning("the clock was set", by_s=round(jump_s, 1))
            self._journal.shift_waits(jump_s)
        return bool(jump_s)

    def look_due_at(self) -> float | None:
        """When the next look is due, seconds since 1970; None where that is not known."""
        # What is due in a folder that does not answer is due all the time.
        return None if self._journal.fault or self.reach.silent else self._journal.next_check_at()

    def _look(self, row: Row) -> bool:
        interrupted = was_interrupted(row)
        try:
            with self._metrics.stage_seconds.labels("settle").time():
                found = self.journey.reader(row).settle(row, time.time(), partial(self._begun, row))
        except FrameError as error:
            if self._clock_was_set():  # while it was looked at: its patience was measured by two clocks
                return True
            self.journey.unreadable(row, error)
            return True
        if isinstance(found, NotYet):
            self._metrics.frames["held"].inc()
            self._journal.hold(
                row.key,
                found.reason,
                found.retry_at,
                found.detail,
                size_bytes=found.size_bytes,
                mtime_ns=found.mtime_ns,
            )
            return True
        # Every page has its row before the first is scored: a daemon that is killed in between loses none.
        first = found.frames[0].page
        rows = [row if f.page == first else self._journal.add_page(row.key, f.page) for f in found.frames]
        for page_row, frame in zip(rows, found.frames, strict=True):
            if page_row.state in ("seen", "held"):
                self._score(page_row, frame, interrupted=interrupted or page_row.redelivered)
        self._looks.forget(row.key)
        return True

    def _begun(self, row: Row) -> None:
        """Counted on disk before reading begins: a file that kills its reader is known by the count."""
        if self._looks.attempt(row) > MOST_ATTEMPTS:
            raise poison(row)

    def _score(self, row: Row, frame: Frame, *, interrupted: bool) -> None:
        fingerprint = self.journey.live.now.fingerprint
        twin = self._journal.duplicate_of(frame.content_sha256, fingerprint, frame.page)
        if twin is not None and twin.key != row.key and not row.requeues:
            self.journey.skip(
                row, "duplicate_content", f"the same bytes as frame number {twin.key} ({twin.path})"
            )
            return
        self._journal.settle(row.key, frame, fingerprint)
        self._metrics.frames["settled"].inc()
        try:
            with self._metrics.stage_seconds.labels("score").time():
                focus = focus_map(frame, self.journey.live.now.focus, self.journey.live.now.scorer)
        except SemdaemonError as error:
            self.journey.fail(row, error, frame=frame)
            return
        aperture_rad = self.journey.settings.advice.aperture_rad
        self._outbound.score(frame, focus, redelivered=interrupted, aperture_rad=aperture_rad)
        self._scored(row, frame, focus, self._advising.about(row, frame, focus, redelivered=interrupted))

    def _scored(self, row: Row, frame: Frame, focus: FocusMap, advised: dict[str, Any]) -> None:
        self._metrics.frames["scored"].inc()
        self._metrics.score_delay_seconds.observe(
            max(0.0, time.time() - self.journey.reader(row).saved_at(row))
        )
        wanted, reason = self._what_to_refocus(focus)
        summary = {
            "verdicts": focus.counts(),
            "median_sigma_px": focus.median_sigma_px(),
            "vendor": frame.vendor,
            "warnings": list(frame.warnings),
            **focus.survey.as_json(self.journey.settings.advice.aperture_rad),
        }
        if wanted:
            self.journey.recent.keep(row.key, frame)
        self._journal.scored(row.key, focus.to_bytes(), {**summary, **advised}, wanted, reason=reason)
        if not wanted:
            self.journey.ended(row, "published", reason, frame=frame, **summary)
        self.journey.changed()

    def _what_to_refocus(self, focus: FocusMap) -> tuple[bool, str]:
        counts = focus.counts()
        if not self._refocuses:
            return False, "refocus_disabled"
        if self.journey.settings.refocus.everywhere or (focus.verdict == BLURRED).any():
            return True, ""
        if counts["beyond_repair"]:
            return False, "beyond_repair"
        return False, "sharp" if counts["sharp"] else "undecided"
