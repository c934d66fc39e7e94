"""Whole frames under known conditions, and what is said of their tiles: alone and in context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.focus.estimate import Estimate, Scorer, joined
from semdaemon.focus.field import Smoothness, voices, with_context
from semdaemon.focus.map import UNDECIDED, estimate_alone, judge, judge_in_context
from semdaemon.focus.tiles import Grid
from semdaemon.frame import Area
from semdaemon.settings import Focus
from semdaemon.training import degrade
from semdaemon.training.focus.evaluation import Facts, Figures
from semdaemon.training.focus.network import TILE_PX
from semdaemon.training.focus.scenes import own_sigma_px
from semdaemon.training.frames import CorpusFrame, Image

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Condition:
    """What else is done to a frame: noise that lines carry on, contrast on a background, gain and offset."""

    name: str
    what: str
    fast_axis_correlation: float = 0.0
    contrast: float = 1.0
    background: float = 0.0
    gain: float = 1.0
    offset: float = 0.0


PLAIN = Condition("plain", "Poisson noise")
CORRELATED = Condition("correlated", "noise correlated by 0.5 along the fast axis", 0.5)
CHANGED = Condition("changed", "detector at half gain, offset 30 % of full scale", gain=0.5, offset=0.3)
FAINT = Condition(
    "faint", "half the contrast on a background of 30 % that is counted too", contrast=0.5, background=0.3
)


@dataclass(frozen=True)
class Look:
    """One degraded frame: its tiles, what was done, and what the scorer says.

    Attributes
    ----------
    alone, context
        Estimates of the n tiles, each by itself and with its neighbours heard.
    known
        (n,) bool: tiles with signal.
    verdict_alone, verdict
        (n,) codes under the default settings.
    """

    frame: int
    radius_px: float
    dose: float
    tiles: Sequence[Image]
    alone: Estimate
    context: Estimate
    known: npt.NDArray[np.bool_]
    verdict_alone: Codes
    verdict: Codes


def look(
    frames: Sequence[CorpusFrame],
    scorer: Scorer,
    *,
    radii_px: Sequence[float],
    doses: Sequence[float],
    condition: Condition = PLAIN,
    seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> list[Look]:
    """Every frame at every blur and dose, rounded to 8 bits."""
    found = []
    for number, frame in enumerate(frames):
        if tell:
            tell(f"{condition.name}: frame {number + 1} of {len(frames)}, {frame.name}")
        for radius_px in radii_px:
            blurred = degrade.blur(frame.pixels, degrade.probe_kernel(radius_px))
            blurred = np.asarray(blurred * condition.contrast + condition.background, np.float32)
            for dose in doses:
                rng = np.random.default_rng([seed, number, round(10 * radius_px), round(10 * dose)])
                seen = degrade.expose(
                    blurred, dose, rng, fast_axis_correlation=condition.fast_axis_correlation
                )
                seen = np.asarray(seen * condition.gain + condition.offset, np.float32)
                facts = (number, float(radius_px), float(dose))
                found.append(look_at(degrade.quantise(seen, 8), scorer, facts))
    return found


def look_at(image: Image, scorer: Scorer, facts: tuple[int, float, float]) -> Look:
    """What the scorer says of one image, whose ``(frame, radius_px, dose)`` are known."""
    grid = Grid(Area.whole(image.shape), TILE_PX)
    tiles, settings = grid.tiles(image), Focus()
    alone, known, faint = estimate_alone(image, tiles, scorer)
    verdicts = [judge(alone, settings)[3]] * 2
    context = alone
    smoothness: Smoothness | None = getattr(scorer, "smoothness", None)
    if smoothness:
        shape, voice = (grid.rows, grid.cols), voices(known, faint, smoothness)
        context = with_context(alone, voice, shape, smoothness)
        verdicts[1] = judge_in_context(alone, voice, shape, settings, smoothness)[3]
    codes = [np.where(known, verdict, UNDECIDED).astype(np.uint8) for verdict in verdicts]
    return Look(*facts, tiles, alone, context, known, *codes)


def facts_of(looks: Sequence[Look]) -> Facts:
    """Radius, dose and frame of every tile, one after the other."""
    counts = [len(one.known) for one in looks]
    columns = [np.repeat([getattr(one, name) for one in looks], counts) for name in ("radius_px", "dose")]
    frame = np.repeat([one.frame for one in looks], counts)
    return Facts(columns[0].astype(np.float64), columns[1].astype(np.float64), frame.astype(np.intp))


def estimates_of(looks: Sequence[Look], *, context: bool) -> Estimate:
    """All their tiles' estimates as one."""
    return joined([one.context if context else one.alone for one in looks])


def verdicts_of(looks: Sequence[Look], *, context: bool) -> Codes:
    return np.concatenate([one.verdict if context else one.verdict_alone for one in looks])


def truth_px(facts: Facts, frames: Sequence[CorpusFrame]) -> Figures:
    """The blur of every tile: what it was given on top of what its frame has by itself."""
    own = np.array([own_sigma_px(frame) for frame in frames])
    return np.asarray(np.hypot(own[facts.frame], facts.radius_px / 2), np.float64)
