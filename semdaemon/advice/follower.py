"""Follows every run: what a new frame tells about it, and whether something is to be advised."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from semdaemon.advice.alarm import alarm_after
from semdaemon.advice.belief import Sample
from semdaemon.advice.decide import (
    Advice,
    FocusAdvice,
    focus_advice,
    lost_regions,
    reasons,
    sharpest_px,
    should_retake,
    standing,
)
from semdaemon.advice.header import advice_header
from semdaemon.advice.runs import Run, RunKey, first_belief, run_of
from semdaemon.advice.throughfocus import ThroughFocus
from semdaemon.advice.tilt import TiltAlarm, tilt_advice
from semdaemon.focus import FocusMap
from semdaemon.focus.map import in_pixels
from semdaemon.formats.stage import stage_position
from semdaemon.frame import Frame
from semdaemon.settings import Advice as AdviceSettings
from semdaemon.settings import Settings

MOST_RUNS = 64
MEMORY = "run"
"""Key of `Followed.memory` in a row's summary."""
RECALLED_FRAMES = 400
_CLOCKS_AGREE_S = 300.0


@dataclass(frozen=True)
class Followed:
    """What a frame meant for its run.

    Attributes
    ----------
    advice
        None where there is nothing to say.
    memory
        For the journal, from which `Follower.recall` takes up the run after a restart; plain JSON.
    """

    advice: Advice | None = None
    memory: Mapping[str, Any] = field(default_factory=dict)

    def noted(self, frame: Frame) -> dict[str, Any]:
        """What the journal keeps with the frame's row: the memory, and the advice for the page."""
        told = {} if self.advice is None else {"advice": advice_header(self.advice, frame.pixel_size_m)}
        return {**told, MEMORY: self.memory} if self.memory else told


class Follower:
    """One `Run` for every stream of comparable frames, the least recent forgotten; one thread calls."""

    def __init__(self) -> None:
        self._runs: OrderedDict[RunKey, Run] = OrderedDict()

    def follow(
        self, frame: Frame, focus: FocusMap, settings: Settings, *, number: int, seen_at: float
    ) -> Followed:
        """Take a scored frame in.

        Parameters
        ----------
        settings
            In force for this frame; a changed aperture counts for new runs.
        number
            Grows in the order in which frames came, for frames of the same time.
        seen_at
            When it came, seconds since 1970.

        What it raises is a mistake of its own; the frame's run then begins anew with its next frame.
        """
        if not settings.advice.enabled:
            return Followed()
        key, value_um = run_of(frame, each_position=settings.advice.each_position)
        try:
            return self._take_in(frame, focus, settings, key, value_um, number, seen_at)
        except Exception:
            # Half of a step stands in it: every later frame would fail at the same place.
            self._runs.pop(key, None)
            raise

    def _take_in(
        self,
        frame: Frame,
        focus: FocusMap,
        settings: Settings,
        key: RunKey,
        value_um: float,
        number: int,
        seen_at: float,
    ) -> Followed:
        run = self._run(key, settings.advice)
        if focus.blur is None:
            run.frames += 1
            return Followed(self._advice(run, frame, focus, None, None, settings.advice))
        sample = Sample(_time(frame, seen_at), value_um, focus.blur.sigma_px, focus.blur.relative_sd)
        found = run.look() if run.add(sample, number) else None
        if found is not None:
            sharp_px = in_pixels(settings.focus, frame).sharp_sigma_px
            now = standing(sample, found, sharp_px, settings.advice.tolerance)
            run.alarm, run.streak = alarm_after(run.alarm, run.streak, now)
            run.tilt.see(focus)
        advice = self._advice(run, frame, focus, sample, found, settings.advice)
        memory = {
            "key": asdict(key),
            "number": number,
            "sample": asdict(sample),
            "alarm": run.alarm,
            "tilted_px": run.tilt.told_px if run.tilt.alarm else None,
            "attention": run.attention,
        }
        return Followed(advice, memory)

    def recall(self, memories: Iterable[Mapping[str, Any]], settings: AdviceSettings) -> int:
        """Take up runs after a restart, from memories in the order of their frames; how many were good.

        Nothing is advised about old frames; the first new one of a run is judged with their knowledge.
        """
        good = 0
        for memory in memories:
            try:
                key = dict(memory["key"])
                run_key = RunKey(**{**key, "shape": tuple(key["shape"])})
                sample, number = _sample(memory["sample"]), int(memory["number"])
            except (KeyError, TypeError, ValueError):  # another version's: its run begins anew
                continue
            run = self._run(run_key, settings)
            run.add(sample, number)
            run.alarm, run.attention = bool(memory.get("alarm")), bool(memory.get("attention"))
            run.tilt = TiltAlarm.recalled(memory.get("tilted_px"))
            good += 1
        return good

    def _run(self, key: RunKey, settings: AdviceSettings) -> Run:
        run = self._runs.get(key)
        if run is None:
            belief = first_belief(key, settings.aperture_mrad, settings.aperture_relative_sd)
            run = self._runs[key] = Run(key, belief)
            if len(self._runs) > MOST_RUNS:
                self._runs.popitem(last=False)
        self._runs.move_to_end(key)
        return run

    def _advice(
        self,
        run: Run,
        frame: Frame,
        focus: FocusMap,
        sample: Sample | None,
        found: ThroughFocus | None,
        settings: AdviceSettings,
    ) -> Advice | None:
        retake = should_retake(focus, settings.retake_share)
        # A frame that came late, or in which nothing was to be seen, says nothing about where focus is now.
        alarm = run.alarm and found is not None
        plane = focus.survey.plane if settings.tilt and run.tilt.alarm and found is not None else None
        attention = alarm or retake or plane is not None
        lasting = run.alarm or (settings.tilt and run.tilt.alarm)
        if not attention and (found is None or not run.attention or lasting):
            return None
        run.attention = attention
        told = FocusAdvice(run.key.axis) if sample is None else focus_advice(run.key.axis, sample, found)
        regions = lost_regions(focus)
        return Advice(
            run=run.key,
            frames=run.frames,
            state="attention" if attention else "well",
            reasons=reasons(alarm, plane is not None, bool(regions), told),
            retake=retake,
            regions=regions,
            sigma_px=None if focus.blur is None else focus.blur.sigma_px,
            sharpest_px=sharpest_px(found),
            position=stage_position(frame.vendor, frame.metadata),
            focus=told,
            tilt=None if plane is None else tilt_advice(plane, settings.aperture_rad),
        )


def _sample(told: Mapping[str, Any]) -> Sample:
    """A sample as the journal has it; raises ValueError, TypeError or KeyError for anything else."""
    values = [float(told[name]) for name in ("at_s", "z_um", "sigma_px", "relative_sd")]
    if not all(math.isfinite(value) for value in values) or values[2] <= 0 or values[3] < 0:
        raise ValueError(f"no sample: {told}")
    return Sample(*values)


def _time(frame: Frame, seen_at: float) -> float:
    """When a frame was taken: a frame that is looked at as it comes has no better time than that.

    Vendors write whole seconds; the microscope's own clock counts where the frame is old, or where that
    clock and ours do not agree.
    """
    taken = None if frame.acquired_at is None else frame.acquired_at.timestamp()
    return seen_at if taken is None or abs(taken - seen_at) < _CLOCKS_AGREE_S else taken
