"""From what is known of a frame and its run to what is advised: pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from semdaemon.advice.alarm import Standing
from semdaemon.advice.belief import Normal, Sample
from semdaemon.advice.runs import KNOWN_STEEPNESS_SD, RunKey, known_side
from semdaemon.advice.throughfocus import ThroughFocus
from semdaemon.advice.tilt import TiltAdvice
from semdaemon.focus import BEYOND_REPAIR, FocusMap
from semdaemon.formats.stage import StagePosition
from semdaemon.frame import Area

_KNOWN_FLOOR_SD = 0.25
_SIGNIFICANT_SDS = 2.0
_DRIFT_SDS = 3.0
_MOST_REGIONS = 32

State = Literal["attention", "well"]


@dataclass(frozen=True, slots=True)
class LostRegion:
    """Tiles that hang together and that no refocusing brings back."""

    area: Area
    tiles: int


@dataclass(frozen=True, slots=True)
class FocusAdvice:
    """How far the focus coordinate is from focus; None where that is not known.

    Attributes
    ----------
    at_um
        The coordinate of the frame.
    magnitude_um
        How far off it is, whichever way.
    correction_um
        What to add to the coordinate; only where the side is known.
    candidates_um
        The two corrections that are possible, the likelier first, where the side is not known; none without
        an axis.
    steepness_px_per_um
        k.
    drift_um_per_s
        How fast the place of focus moves in the coordinate; only where the side is known.
    """

    axis: str = ""
    at_um: float | None = None
    magnitude_um: Normal | None = None
    correction_um: Normal | None = None
    candidates_um: tuple[float, ...] = ()
    steepness_px_per_um: Normal | None = None
    drift_um_per_s: Normal | None = None


@dataclass(frozen=True, slots=True)
class Advice:
    """What is said about one frame.

    Attributes
    ----------
    state
        ``attention``, or ``well`` once when a run needs none any more.
    reasons
        Stable codes: ``out_of_focus``, ``focus_drifts``, ``sample_tilted``, ``beyond_repair``; and what keeps
        a correction from being given: ``side_unknown``, ``steepness_unknown``, ``position_unknown``,
        ``nothing_known``.
    retake
        Whether the frame should be taken again.
    sigma_px
        Of the frame as a whole; None where no tile's blur is known.
    sharpest_px
        The run's blur in focus, where it is known.
    tilt
        Of the sample, where the reasons hold ``sample_tilted``.
    """

    run: RunKey
    frames: int
    state: State
    reasons: tuple[str, ...]
    retake: bool
    regions: tuple[LostRegion, ...]
    sigma_px: float | None
    sharpest_px: float | None
    position: StagePosition
    focus: FocusAdvice
    tilt: TiltAdvice | None = None


def lost_regions(focus: FocusMap) -> tuple[LostRegion, ...]:
    """Connected tiles beyond repair, the largest first, at most `_MOST_REGIONS`."""
    from scipy.ndimage import find_objects, label

    numbers, _ = label(focus.verdict == BEYOND_REPAIR)
    found = []
    for number, slices in enumerate(find_objects(numbers), start=1):
        rows, columns = slices
        first, last = focus.cell(rows.start, columns.start), focus.cell(rows.stop - 1, columns.stop - 1)
        tiles = int(np.count_nonzero(numbers[slices] == number))
        found.append(LostRegion(Area(first.top, first.left, last.bottom, last.right), tiles))
    return tuple(sorted(found, key=lambda region: -region.tiles)[:_MOST_REGIONS])


def should_retake(focus: FocusMap, retake_share: float) -> bool:
    """Whether so much of the frame is beyond repair that only a new one helps."""
    return int(np.count_nonzero(focus.verdict == BEYOND_REPAIR)) >= retake_share * focus.verdict.size


def sharpest_px(found: ThroughFocus | None) -> float | None:
    """The run's blur in focus, where its frames tell."""
    if found is None or found.ln_floor.sd > _KNOWN_FLOOR_SD:
        return None
    return math.exp(found.ln_floor.mean)


def standing(sample: Sample, found: ThroughFocus | None, sharp_sigma_px: float, tolerance: float) -> Standing:
    """Whether the newest frame is out of focus.

    Where the run's blur in focus is known: by how much its fitted blur stands above that. Else by the
    frame's own blur against ``sharp_sigma_px``. Between the two thresholds an alarm stays as it is.
    """
    floor = sharpest_px(found)
    if floor is None or found is None:
        certain, likely = (sample.sigma_px * math.exp(-n * sample.relative_sd) for n in (_SIGNIFICANT_SDS, 0))
        return "out" if certain > sharp_sigma_px else "between" if likely > sharp_sigma_px else "in"
    defocus = found.best.defocus_px
    blur = math.hypot(floor, defocus.mean)
    significant = abs(defocus.mean) > _SIGNIFICANT_SDS * defocus.sd
    if blur > tolerance * floor and blur > sharp_sigma_px and significant:
        return "out"
    return "in" if blur < max((1 + tolerance) / 2 * floor, sharp_sigma_px) or not significant else "between"


def focus_advice(axis: str, sample: Sample, found: ThroughFocus | None) -> FocusAdvice:
    """What can honestly be said of the focus coordinate; see the class for what is left open when."""
    at_um = sample.z_um if axis else None
    if found is None or found.ln_steepness.sd > KNOWN_STEEPNESS_SD:
        return FocusAdvice(axis, at_um)
    k = math.exp(found.ln_steepness.mean)
    steepness = Normal(k, k * found.ln_steepness.sd)
    side = known_side(found) if axis else None
    if side is not None and (u := found.on_side(above=side)) is not None:
        correction, drift = Normal(-u.mean, u.sd), found.best.rate_um_per_s
        known_drift = drift if math.isfinite(drift.sd) else None
        size = Normal(abs(u.mean), u.sd)
        return FocusAdvice(axis, at_um, size, correction, (), steepness, known_drift)
    size = found.defocus_um
    if not axis:
        return FocusAdvice(axis, at_um, size, None, (), steepness, None)
    first = found.probability_above > 0.5
    # Where the samples speak for one explanation alone, the other side is its mirror image.
    ways = [
        found.on_side(above=above) or Normal(size.mean if above else -size.mean, size.sd)
        for above in (first, not first)
    ]
    return FocusAdvice(axis, at_um, size, None, tuple(-way.mean for way in ways), steepness, None)


def reasons(alarm: bool, tilted: bool, lost: bool, focus: FocusAdvice) -> tuple[str, ...]:
    """Codes of what is wrong, and of what keeps a correction from being given."""
    found = []
    if alarm:
        found.append("out_of_focus")
        drift = focus.drift_um_per_s
        if drift is not None and abs(drift.mean) > _DRIFT_SDS * drift.sd:
            found.append("focus_drifts")
    if tilted:
        found.append("sample_tilted")
    if lost:
        found.append("beyond_repair")
    if alarm and focus.correction_um is None:
        known = focus.magnitude_um is not None
        if not focus.axis:
            found.append("position_unknown" if known else "nothing_known")
        else:
            found.append("side_unknown" if known else "steepness_unknown")
    return tuple(found)
