"""The journey of one frame: settle -> read -> score -> publish, then refocus -> audit -> save -> publish.

The journal is the queue between the two halves and the memory of both, so a restart goes on where it was.
`Pipeline.look` is called by the scoring thread alone and `Pipeline.restore` by the refocusing thread alone;
between two calls each of them takes what is in force then (`semdaemon.inforce`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import structlog

from semdaemon.advice import Followed, Follower
from semdaemon.clock import ClockWatch
from semdaemon.cutoff import CutOff
from semdaemon.errors import FrameError, SemdaemonError, WorkerError
from semdaemon.focus import BLURRED, FocusMap, focus_map
from semdaemon.frame import Frame
from semdaemon.inforce import Live
from semdaemon.journal import Journal, Row
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.outputs import Outputs, Saved
from semdaemon.provenance import provenance_of
from semdaemon.recent import RecentFrames
from semdaemon.settings import Settings
from semdaemon.sources.reader import FrameReader
from semdaemon.sources.settle import NotYet
from semdaemon.worker import Worker, WorkerAnswer
from semdaemon.workerwatch import WorkerWatch

MOST_ATTEMPTS = 3
"""A frame whose look or job began this often without an end is set aside: something dies of it."""

_PAUSE_S = 5.0
_CHANGED = "settings_changed"
_log = structlog.get_logger("semdaemon")


@dataclass
class Pipeline:
    """What a frame passes through."""

    live: Live
    journal: Journal
    follower: Follower
    worker: Worker | None
    outbound: Outbound
    metrics: Metrics
    recent: RecentFrames
    changed: Callable[[], None] = lambda: None
    _clock: ClockWatch = field(default_factory=ClockWatch)
    _retry_at: float = 0.0

    @property
    def settings(self) -> Settings:
        """Those of the frame in hand."""
        return self.live.now.settings

    @cached_property
    def outputs(self) -> Outputs:
        """Where refocused frames are saved."""
        return Outputs(partial(self.outbound.part_fault, part="output"))

    @property
    def output_fault(self) -> str | None:
        """Why outputs cannot be saved just now."""
        return self.outputs.fault or None

    @cached_property
    def _looks(self) -> CutOff:
        return CutOff(self.journal, "settled")

    @cached_property
    def _jobs(self) -> CutOff:
        return CutOff(self.journal, "refocused")

    # -- first half: settle, read, score -------------------------------------------------------------------

    def look(self) -> bool:
        """Take the next frame that may be complete as far as its score; False where none is due."""
        if not self.journal.ready():
            return False
        self._looks.take_up()
        self._clock_was_set()
        row = self.journal.next_to_settle()
        if row is None:
            return False
        try:
            return self._look(row)
        except Exception as error:
            self._looks.note(row, error)
            raise

    def _clock_was_set(self) -> bool:
        jump_s = self._clock.jump_s()
        if jump_s:
            _log.warning("the clock was set", by_s=round(jump_s, 1))
            self.journal.shift_waits(jump_s)
        return bool(jump_s)

    def look_due_at(self) -> float | None:
        """When the next look is due, seconds since 1970; None where that is not known."""
        return None if self.journal.fault else self.journal.next_check_at()

    def _look(self, row: Row) -> bool:
        interrupted = _was_interrupted(row)
        try:
            with self.metrics.stage_seconds.labels("settle").time():
                found = self._reader(row).settle(row, time.time(), partial(self._begun, row))
        except FrameError as error:
            if self._clock_was_set():  # while it was looked at: its patience was measured by two clocks
                return True
            self._unreadable(row, error)
            return True
        if isinstance(found, NotYet):
            self.metrics.frames["held"].inc()
            self.journal.hold(
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
        rows = [row if f.page == first else self.journal.add_page(row.key, f.page) for f in found.frames]
        for page_row, frame in zip(rows, found.frames, strict=True):
            if page_row.state in ("seen", "held"):
                self._score(page_row, frame, interrupted=interrupted or page_row.redelivered)
        self._looks.forget(row.key)
        return True

    def _begun(self, row: Row) -> None:
        """Counted on disk before reading begins: a file that kills its reader is known by the count."""
        if self._looks.attempt(row) > MOST_ATTEMPTS:
            raise _poison(row)

    def _reader(self, row: Row) -> FrameReader:
        return self.live.now.reader(row)

    def _unreadable(self, row: Row, error: FrameError) -> None:
        if error.code == "vanished":
            self._skip(row, "vanished", error.message)
        else:
            self._fail(row, error)

    def _score(self, row: Row, frame: Frame, *, interrupted: bool) -> None:
        fingerprint = self.settings.fingerprint
        twin = self.journal.duplicate_of(frame.content_sha256, fingerprint, frame.page)
        if twin is not None and twin.key != row.key and not row.requeues:
            self._skip(row, "duplicate_content", f"the same bytes as frame number {twin.key} ({twin.path})")
            return
        self.journal.settle(row.key, frame, fingerprint)
        self.metrics.frames["settled"].inc()
        try:
            with self.metrics.stage_seconds.labels("score").time():
                focus = focus_map(frame, self.live.now.focus, self.live.now.scorer)
        except SemdaemonError as error:
            self._fail(row, error, frame=frame)
            return
        self.outbound.score(frame, focus, redelivered=interrupted)
        followed = self.follower.follow(frame, focus, self.settings, number=row.key, seen_at=row.seen_at)
        if followed.advice is not None:
            self.outbound.advice(frame, followed.advice)
        self._scored(row, frame, focus, followed)

    def _scored(self, row: Row, frame: Frame, focus: FocusMap, followed: Followed) -> None:
        self.metrics.frames["scored"].inc()
        self.metrics.score_delay_seconds.observe(max(0.0, time.time() - self._reader(row).saved_at(row)))
        wanted, reason = self._what_to_refocus(focus)
        summary = {
            "verdicts": focus.counts(),
            "median_sigma_px": focus.median_sigma_px(),
            "vendor": frame.vendor,
            "warnings": list(frame.warnings),
            "artefacts": [artefact.as_json() for artefact in focus.artefacts],
        }
        if wanted:
            self.recent.keep(row.key, frame)
        noted = {**summary, **followed.noted(frame)}
        self.journal.scored(row.key, focus.to_bytes(), noted, wanted, reason=reason)
        if not wanted:
            self._ended(row, "published", reason, frame=frame, **summary)
        self.changed()

    def _what_to_refocus(self, focus: FocusMap) -> tuple[bool, str]:
        counts = focus.counts()
        if self.worker is None:
            return False, "refocus_disabled"
        if self.settings.refocus.everywhere or (focus.verdict == BLURRED).any():
            return True, ""
        if counts["beyond_repair"]:
            return False, "beyond_repair"
        return False, "sharp" if counts["sharp"] else "undecided"

    # -- second half: refocus, audit, save -----------------------------------------------------------------

    def restore(self) -> bool:
        """Refocus the next scored frame; False where none waits or refocusing pauses."""
        worker, watch = self.worker, self._watch
        if worker is None or watch is None or not worker.available or time.monotonic() < self._retry_at:
            return False
        if not (self.journal.ready() and self.outputs.ready(self.settings.output)):
            return False
        self._jobs.take_up()
        row = self.journal.next_to_refocus()
        if row is None:
            watch.come_back()
            return False
        try:
            return self._restore(row, worker, watch)
        except Exception as error:
            self._jobs.note(row, error)
            raise

    def _restore(self, row: Row, worker: Worker, watch: WorkerWatch) -> bool:
        if row.fingerprint != self.settings.fingerprint:
            # Scored by other settings than it would be refocused by: a result is of one kind, or is not told.
            self.journal.look_again(row.key, _CHANGED)
            self.metrics.frames["returned"].inc()
            self.changed()
            return True
        if not watch.is_up():
            return False
        frame = None
        try:
            interrupted = _was_interrupted(row)
            # Both counts stand on disk before the file is opened: whatever dies of it, they know.
            if guilty := watch.verdict(row):
                raise guilty
            if self._jobs.attempt(row) > MOST_ATTEMPTS:
                raise _poison(row)
            frame = self.recent.take(row.key) or self.read_again(row)
            answer = worker.refocus(frame, row.focus_blob or b"")
        except WorkerError as error:
            watch.lost(row, error)
            return True
        except FrameError as error:
            if error.code == "out_of_memory" and frame is not None:
                self._original_stands(row, error, frame)
                return True
            if not row.path.is_file() and not _root(row).is_dir():
                # The share is gone, not the frame: it waits, scored, until the folder is back.
                self.journal.release(row.key)
                self._retry_at = time.monotonic() + _PAUSE_S
                return False
            self._unreadable(row, error)
            return True
        self._refocused(row, frame, answer, interrupted=interrupted)
        return True

    def read_again(self, row: Row) -> Frame:
        """The frame from its file, which must still hold what was scored; any thread may call."""
        frame = self._reader(row).read_again(row)
        if frame.content_sha256 != row.content_sha256:
            raise FrameError(
                "overwritten",
                f"{row.path} changed after it was scored; what was scored is gone.",
                remedy="Nothing to do: the file as it is now is a frame of its own.",
            )
        return frame

    @cached_property
    def _watch(self) -> WorkerWatch | None:
        if self.worker is None:
            return None
        return WorkerWatch(self.worker, self.journal, self.outbound, self.metrics, self.changed)

    def _refocused(self, row: Row, frame: Frame, answer: WorkerAnswer, *, interrupted: bool) -> None:
        self.metrics.stage_seconds.labels("refocus").observe(answer.seconds)
        focus = FocusMap.from_bytes(row.focus_blob or b"")
        if not answer.mask.any():
            self._rejected(row, frame, answer)
            return
        provenance = provenance_of(frame, focus, answer, self.settings)
        try:
            saved = self._save(row, frame, focus, answer, provenance)
        except OSError as error:
            self._output_refused(row, error)
            return
        except FrameError as error:
            self._fail(row, error, frame=frame)
            return
        summary = {"regions": answer.regions, "weights": answer.weights, "seconds": answer.seconds}
        stepped_down = {"rung": dict(answer.rung)} if answer.stepped_down else {}
        if stepped_down:
            self.metrics.stepped_down.labels(answer.rung["name"]).inc()
        self.journal.refocused(row.key, saved.path, {**summary, **stepped_down})
        self.metrics.frames["refocused"].inc()
        # An output that was there is one that was told: by a journal that is gone, perhaps.
        sent_before = interrupted or saved.replaced
        self.outbound.refocused(frame, answer, provenance, saved.path, redelivered=sent_before)
        self.journal.finish(row.key, "published", "refocused")
        self._jobs.forget(row.key)
        facts = {"output": str(saved.path), "seconds": answer.seconds, **stepped_down}
        self._ended(row, "published", "refocused", frame=frame, **facts)

    def _rejected(self, row: Row, frame: Frame, answer: WorkerAnswer) -> None:
        """The audit found that the frame does not support what the network made of it: told, not hidden."""
        worst = max((r["unexplained"] or 0.0 for r in answer.regions), default=0.0)
        error = FrameError(
            "audit_rejected",
            f"{row.path}: re-blurring the refocused regions leaves {worst:.0%} of their contrast unexplained "
            f"(at most {self.settings.refocus.audit_max_residual:.0%} is taken); the original stands.",
            remedy="Take the frame again, or look at it with 'semdaemon refocus --everywhere'.",
        )
        self._original_stands(row, error, frame)

    def _original_stands(self, row: Row, error: FrameError, frame: Frame) -> None:
        """The score is out and nothing is refocused: the journey's end, with a fault that says why."""
        self.outbound.fault(row, error, frame=frame)
        self.metrics.faults.labels(error.code).inc()
        self.journal.finish(row.key, "published", error.code, error.message, error.remedy)
        self._ended(row, "published", error.code, frame=frame, detail=error.message)

    def _save(
        self, row: Row, frame: Frame, focus: FocusMap, answer: WorkerAnswer, provenance: dict[str, Any]
    ) -> Saved:
        with self.metrics.stage_seconds.labels("save").time():
            return self.outputs.save(
                self.settings.output,
                row.relative,
                frame,
                focus,
                answer,
                provenance,
                self._reader(row).original(row),
            )

    def _output_refused(self, row: Row, error: OSError) -> None:
        """A full or read-only disk is no fault of the frame: it waits, and the fault shows in the status."""
        self.outputs.refused(self.settings.output.folder, error)
        self.metrics.faults.labels("output_unwritable").inc()
        self.journal.release(row.key)

    # -- ends ----------------------------------------------------------------------------------------------

    def _fail(self, row: Row, error: SemdaemonError, *, frame: Frame | None = None) -> None:
        self.outbound.fault(row, error, frame=frame)
        self.metrics.faults.labels(error.code).inc()
        self.journal.finish(row.key, "failed", error.code, error.message, error.remedy)
        self._ended(row, "failed", error.code, frame=frame, detail=error.message)

    def _skip(self, row: Row, reason: str, detail: str) -> None:
        self.journal.finish(row.key, "skipped", reason, detail)
        self._ended(row, "skipped", reason, detail=detail)

    def _ended(self, row: Row, state: str, reason: str, *, frame: Frame | None = None, **facts: Any) -> None:
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


def _was_interrupted(row: Row) -> bool:
    """True where its messages may be out already: by a job or a daemon that was cut off."""
    return row.attempts > 0 or row.redelivered


def _root(row: Row) -> Path:
    """The acquisition folder that a frame was found in."""
    return row.path.parents[len(row.relative.parts) - 1]


def _poison(row: Row) -> FrameError:
    return FrameError(
        "poison",
        f"{row.path}: work on it began {row.attempts} times and never ended; daemon or worker died of it.",
        remedy="Try the file alone with 'semdaemon score'; 'semdaemon requeue' hands it to the daemon again.",
    )
