"""The second half of a frame's journey: refocus -> audit -> save -> publish."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from semdaemon.errors import FrameError, WorkerError
from semdaemon.focus import FocusMap
from semdaemon.frame import Frame
from semdaemon.journal import Row
from semdaemon.outputs import Outputs, Saved
from semdaemon.pipeline.cutoff import CutOff
from semdaemon.pipeline.journey import MOST_ATTEMPTS, Journey, poison, root, was_interrupted
from semdaemon.pipeline.reach import Reach
from semdaemon.pipeline.workerwatch import WorkerWatch
from semdaemon.provenance import provenance_of
from semdaemon.refocus.sentences import objections
from semdaemon.worker import Worker, WorkerAnswer

_PAUSE_S = 5.0
_CHANGED = "settings_changed"


class Refocusing:
    """Called by the refocusing thread alone.

    ``away`` says which folder of a frame that waits is gone, a folder that is no longer watched too; empty
    once a frame of it goes on or none waits. Any thread may read it.
    Its frames are left out of the queue for some seconds at a time, so that those of other folders go on.
    """

    def __init__(self, journey: Journey, worker: Worker) -> None:
        self.journey, self._worker = journey, worker
        self._journal, self._metrics, self._outbound = journey.journal, journey.metrics, journey.outbound
        self.outputs = Outputs(partial(journey.outbound.part_fault, part="output"))
        self._watch = WorkerWatch(worker, journey.journal, journey.outbound, journey.metrics, journey.changed)
        self._jobs = CutOff(journey.journal, "refocused")
        self._again_at: dict[Path, float] = {}  # for each folder that is gone; monotonic seconds
        self.reach = Reach()
        self.away = ""

    def restore(self) -> bool:
        """Refocus the next scored frame; False where none waits or refocusing pauses."""
        self._watch.tell()
        if not self._worker.available:
            return False
        if not (self._journal.ready() and self.outputs.ready(self.journey.settings.output)):
            return False
        self._jobs.take_up()
        left_out = [*self._left_out(), *self.reach.silent]
        row = self._journal.next_to_refocus(besides=left_out)
        if row is None:
            self.outputs.nothing_waits(self.journey.settings.output.folder)
            if not left_out:
                self._again_at.clear()
                self.away = ""
            self._watch.come_back()
            return False
        if not self.reach.answers(root(row)):
            self._is_away(root(row), pause_s=0.0)  # left out for as long as it does not
            return False
        try:
            advanced = self._restore(row)
        except Exception as error:
            self._jobs.note(row, error)
            raise
        if advanced and self._again_at.pop(root(row), None) is not None:
            self.away = _said_of(self._again_at)
        return advanced

    def _is_away(self, folder: Path, pause_s: float) -> None:
        self._again_at[folder] = time.monotonic() + pause_s
        self.away = _said_of(self._again_at)

    def _left_out(self) -> list[Path]:
        """Folders that were gone a moment ago."""
        now = time.monotonic()
        return [folder for folder, again_at in self._again_at.items() if now < again_at]

    def _restore(self, row: Row) -> bool:
        if row.fingerprint != self.journey.live.now.fingerprint:
            # Scored by other settings than it would be refocused by: a result is of one kind, or is not told.
            self._journal.look_again(row.key, _CHANGED)
            self._metrics.frames["returned"].inc()
            self.journey.changed()
            return True
        if not self._watch.is_up():
            return False
        frame = None
        try:
            interrupted = was_interrupted(row)
            # Both counts stand on disk before the file is opened: whatever dies of it, they know.
            if guilty := self._watch.verdict(row):
                raise guilty
            if self._jobs.attempt(row) > MOST_ATTEMPTS:
                raise poison(row)
            frame = self.journey.recent.take(row.key) or self.journey.read_again(row)
            answer = self._worker.refocus(frame, row.focus_blob or b"")
        except WorkerError as error:
            self._watch.lost(row, error)
            return True
        except FrameError as error:
            return self._not_refocused(row, error, frame)
        self._refocused(row, frame, answer, interrupted=interrupted)
        return True

    def _not_refocused(self, row: Row, error: FrameError, frame: Frame | None) -> bool:
        if error.code == "out_of_memory":
            self.journey.original_stands(row, error, frame)
            return True
        if not row.path.is_file() and not root(row).is_dir():
            # The share is gone, not the frame: it waits, scored, until the folder is back.
            self._journal.release(row.key)
            self._is_away(root(row), pause_s=_PAUSE_S)
            return False
        self.journey.unreadable(row, error)
        return True

    def _refocused(self, row: Row, frame: Frame, answer: WorkerAnswer, *, interrupted: bool) -> None:
        self._metrics.stage_seconds.labels("refocus").observe(answer.seconds)
        focus = FocusMap.from_bytes(row.focus_blob or b"")
        if not answer.mask.any():
            self._rejected(row, frame, answer)
            return
        in_force = self.journey.live.now
        provenance = provenance_of(
            frame, focus, answer, in_force.settings, in_force.focus, in_force.fingerprint
        )
        try:
            saved = self._save(row, frame, focus, answer, provenance)
        except OSError as error:
            self._output_refused(row, error)
            return
        except FrameError as error:
            self.journey.fail(row, error, frame=frame)
            return
        summary = {"regions": answer.regions, "weights": answer.weights, "seconds": answer.seconds}
        stepped_down = {"rung": dict(answer.rung)} if answer.stepped_down else {}
        if stepped_down:
            self._metrics.stepped_down.labels(answer.rung["name"]).inc()
        self._journal.refocused(row.key, saved.path, {**summary, **stepped_down})
        self._metrics.frames["refocused"].inc()
        # An output that was there is one that was told: by a journal that is gone, perhaps.
        sent_before = interrupted or saved.replaced
        self._outbound.refocused(frame, answer, provenance, saved.path, redelivered=sent_before)
        self._journal.finish(row.key, "published", "refocused")
        self._jobs.forget(row.key)
        told = {"verdicts": focus.counts(), "median_sigma_px": focus.median_sigma_px()}
        facts = {**told, "output": str(saved.path), "seconds": answer.seconds, **stepped_down}
        self.journey.ended(row, "published", "refocused", frame=frame, **facts)

    def _rejected(self, row: Row, frame: Frame, answer: WorkerAnswer) -> None:
        """The audit found that the frame does not support what the network made of it: told, not hidden."""
        error = FrameError(
            "audit_rejected",
            f"{row.path}: the original stands, for every refocused region was rejected: "
            f"{objections(answer.regions)}.",
            remedy="Take the frame again, or look at it with 'semdaemon refocus --everywhere'.",
        )
        self.journey.original_stands(row, error, frame)

    def _save(
        self, row: Row, frame: Frame, focus: FocusMap, answer: WorkerAnswer, provenance: dict[str, Any]
    ) -> Saved:
        with self._metrics.stage_seconds.labels("save").time():
            return self.outputs.save(
                self.journey.settings.output,
                row.relative,
                frame,
                focus,
                answer,
                provenance,
                self.journey.reader(row).original(row),
            )

    def _output_refused(self, row: Row, error: OSError) -> None:
        """A full or read-only disk is no fault of the frame: it waits, and the fault shows in the status."""
        self.outputs.refused(self.journey.settings.output.folder, error)
        self._metrics.faults.labels("output_unwritable").inc()
        self._journal.release(row.key)


def _said_of(gone: Iterable[Path]) -> str:
    folder = next(iter(gone), None)
    return "" if folder is None else f"{folder} cannot be reached, and has frames to refocus"
