"""One file through the same path as in the daemon, without journal and messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semdaemon.errors import FrameError, WorkerError
from semdaemon.fingerprint import fingerprint_of
from semdaemon.focus import BLURRED, FocusMap, Scorer, focus_map
from semdaemon.formats import read_frames
from semdaemon.formats.output import claim_output_path, write_refocused
from semdaemon.frame import Frame
from semdaemon.provenance import provenance_of
from semdaemon.repairable import with_repair_limit
from semdaemon.settings import Settings
from semdaemon.worker import LOSSES, MOST_LOSSES, Worker, WorkerAnswer


@dataclass(frozen=True)
class Outcome:
    """What became of one frame.

    Attributes
    ----------
    reason
        ``refocused``, ``sharp``, ``beyond_repair``, ``undecided`` or ``audit_rejected``.
    output
        The file written, or None.
    rung
        How far the worker had to step down for want of memory; empty where it was not asked.
    """

    frame: Frame
    focus: FocusMap
    reason: str
    output: Path | None
    regions: tuple[dict[str, Any], ...]
    seconds: float
    rung: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self, file: Path) -> dict[str, object]:
        return {
            "file": str(file),
            "page": self.frame.page,
            "reason": self.reason,
            "output": None if self.output is None else str(self.output),
            "verdicts": self.focus.counts(),
            "regions": list(self.regions),
            "seconds": self.seconds,
            "rung": dict(self.rung),
        }


def refocus_file(
    path: Path, *, settings: Settings, scorer: Scorer, worker: Worker, output: Path
) -> Iterator[Outcome]:
    """Score and refocus every frame of a file; one `Outcome` a frame.

    Raises
    ------
    FrameError
        The file or frame cannot be read or refocused; ``quarantined`` after two workers were lost over it.
    WorkerError
        The worker cannot start, or does not refocus the test picture: the next file would fare no better.
    """
    judged_by, fingerprint = with_repair_limit(settings).focus, fingerprint_of(settings)
    for frame in read_frames(path, limits=settings.limits, sidecar=settings.folder.sidecar):
        focus = focus_map(frame, judged_by, scorer)
        everywhere = settings.refocus.everywhere
        if not everywhere and not (focus.verdict == BLURRED).any():
            yield Outcome(frame, focus, _why_not(focus), None, (), 0.0)
            continue
        answer = ask_worker(worker, frame, focus)
        regions = tuple(answer.regions)
        if not answer.mask.any():
            yield Outcome(frame, focus, "audit_rejected", None, regions, answer.seconds, answer.rung)
            continue
        target = claim_output_path(output, Path(path.name), frame.page, frame.uri)
        try:
            write_refocused(
                target,
                frame=frame,
                refocused=answer.pixels,
                mask=answer.mask,
                focus=focus,
                provenance=provenance_of(frame, focus, answer, settings, judged_by, fingerprint),
                compression=settings.output.compression,
                keep_original_page=settings.output.keep_original_page,
                source_path=path,
            )
        except OSError as error:
            raise FrameError(
                "output_unwritable",
                f"{target} cannot be written: {error}.",
                remedy="Choose another folder with -o, or free space.",
            ) from error
        yield Outcome(frame, focus, "refocused", target, regions, answer.seconds, answer.rung)


def ask_worker(worker: Worker, frame: Frame, focus: FocusMap) -> WorkerAnswer:
    """As the daemon does: a frame over which the worker is lost is tried once more, in a fresh process."""
    losses: list[WorkerError] = []
    while len(losses) < MOST_LOSSES:
        worker.wait_available()
        # A process that fails its probe now ends the run: it was ill, and the frame only there.
        worker.start()
        try:
            return worker.refocus(frame, focus.to_bytes())
        except WorkerError as error:
            if error.code not in LOSSES | {"worker_gone", "worker_sick"}:
                raise
            losses.append(error)
    raise FrameError(
        "quarantined",
        f"{frame.uri}: {len(losses)} worker processes were lost over this frame; "
        f"the last time: {losses[-1].message}",
        remedy="Try it with --device cpu, or with a smaller worker.tile_px.",
    )


def _why_not(focus: FocusMap) -> str:
    counts = focus.counts()
    if counts["beyond_repair"]:
        return "beyond_repair"
    return "sharp" if counts["sharp"] else "undecided"
