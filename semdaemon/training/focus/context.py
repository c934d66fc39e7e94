"""How far neighbours are to be believed: fitted on frames whose focus varies the way it does on a stage.

Tilt, curvature and steps in height; the frames are of specimens that the estimator did not learn from, for
on those it errs less and less alike from tile to tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from semdaemon.focus.estimate import Estimate, Scorer, from_shares, shares_of
from semdaemon.focus.field import Smoothness, voices, with_context
from semdaemon.focus.map import UNDECIDED, estimate_alone, judge, judge_in_context
from semdaemon.focus.sigma import SigmaScorer, read_card
from semdaemon.focus.tiles import Grid
from semdaemon.frame import Area
from semdaemon.settings import Focus
from semdaemon.training import degrade
from semdaemon.training.export import commit_here
from semdaemon.training.focus.card import levels, write_card
from semdaemon.training.focus.looks import estimates_of, facts_of, look, truth_px
from semdaemon.training.focus.network import TILE_PX, bin_edges_px, soft_labels
from semdaemon.training.focus.scenes import own_sigma_px
from semdaemon.training.focus.told import Correction, correction
from semdaemon.training.frames import CorpusFrame, Image
from semdaemon.training.reading import load_corpus

FORMS = ("even", "even", "tilted", "tilted", "curved", "curved", "stepped", "island")
_SHARP_SHARE = 0.3
_RADIUS_PX = (0.8, 20.0)
_DOSES = (5.0, 1000.0)
_PER_FRAME = 8
_HARD_SHARE = 0.35
_CORRELATION = (0.1, 0.7)
_CONTRAST = (0.4, 1.0)
_WANTED_COVERAGE = 0.95
"""A little over what is stated: on other materials it is a little less."""
_MIXED = 1.5
"""A tile whose blurs differ by more than this factor has no blur of its own."""

_TOLD_RADII_PX = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0)
_TOLD_DOSES = (10.0, 50.0, 200.0)

_CANDIDATES: dict[str, tuple[float, ...]] = {
    "doubt": (0.001, 0.003, 0.01, 0.03, 0.06, 0.1, 0.2),
    "faint": (0.0, 0.3, 0.6, 1.0),
    "own": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "trust": (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "change": (0.02, 0.04, 0.06, 0.09, 0.13, 0.2, 0.3),
    "step_share": (0.001, 0.003, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25),
    "reweighting": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),
}


@dataclass(frozen=True)
class Case:
    """A degraded frame, judged tile by tile.

    Attributes
    ----------
    form
        One of `FORMS`.
    estimate, known, faint, shape
        What the scorer says of each tile by itself; which have signal, and which may in noise; rows and
        columns.
    truth_px
        (n,) blur of each tile in pixels, NaN where it holds several.
    dose
        Electrons per pixel.
    """

    form: str
    estimate: Estimate
    known: npt.NDArray[np.bool_]
    faint: npt.NDArray[np.bool_]
    shape: tuple[int, int]
    truth_px: npt.NDArray[np.float64]
    dose: float

    def judged(self, smoothness: Smoothness | None) -> tuple[Estimate, npt.NDArray[np.uint8]]:
        """Estimate and verdicts under the default settings: in context, or of tiles alone."""
        settings = Focus()
        if smoothness is None:
            estimate, verdict = self.estimate, judge(self.estimate, settings)[3]
        else:
            voice = voices(self.known, self.faint, smoothness)
            estimate = self.in_context(smoothness)
            verdict = judge_in_context(self.estimate, voice, self.shape, settings, smoothness)[3]
        return estimate, np.where(self.known, verdict, UNDECIDED).astype(np.uint8)

    def in_context(self, smoothness: Smoothness) -> Estimate:
        return with_context(self.estimate, voices(self.known, self.faint, smoothness), self.shape, smoothness)


def fit(cases: Sequence[Case], start: Smoothness | None = None) -> Smoothness:
    """The smoothness under which the truth is likeliest: one parameter after the other, twice over."""
    best = start or Smoothness()
    lowest = surprise(cases, best)
    for _ in range(2):
        for name, values in _CANDIDATES.items():
            for value in values:
                tried = replace(best, **{name: value})  # type: ignore[arg-type]
                if (found := surprise(cases, tried)) < lowest:
                    best, lowest = tried, found
    return best


def sharpened(cases: Sequence[Case], smoothness: Smoothness) -> Smoothness:
    """The same, its stated 90 % intervals narrowed or widened until they hold the truth as wanted."""
    tried = [replace(smoothness, sharpness=round(float(power), 2)) for power in np.linspace(0.7, 2.2, 16)]
    return min(tried, key=lambda one: abs(coverage(cases, one) - _WANTED_COVERAGE))


def coverage(cases: Sequence[Case], smoothness: Smoothness | None) -> float:
    """Share of tiles whose true blur lies in the stated 90 % interval."""
    inside = []
    for case in cases:
        estimate = case.estimate
        if smoothness:
            estimate = case.in_context(smoothness)
        chosen = case.known & np.isfinite(case.truth_px)
        levels_px, shares = shares_of(estimate)
        inside.append(within_90(np.cumsum(shares[chosen], axis=1), levels_px, case.truth_px[chosen]))
    return float(np.mean(np.concatenate(inside)))


def within_90(
    cumulative: npt.NDArray[np.floating],
    levels_px: npt.NDArray[np.floating],
    truth_px: npt.NDArray[np.floating],
) -> npt.NDArray[np.bool_]:
    """(n,) whether each true blur lies between the 5 % and the 95 % point of its (n, k - 1) distribution."""
    edges = np.log(levels_px)
    ends = [np.interp((0.05, 0.95), np.concatenate([[0.0], row]), edges) for row in cumulative]
    low, high = np.array(ends).reshape(-1, 2).T
    return np.asarray((low <= np.log(truth_px)) & (np.log(truth_px) <= high))


def surprise(cases: Sequence[Case], smoothness: Smoothness | None) -> float:
    """Mean cross-entropy in nats of the tiles' true blur; without smoothness, of tiles alone.

    Faint tiles count, though they are never decided: what is made of them is passed on.
    """
    total, count = 0.0, 0
    for case in cases:
        estimate = case.estimate
        if smoothness:
            estimate = case.in_context(smoothness)
        chosen = (case.known | case.faint) & np.isfinite(case.truth_px)
        labels = soft_labels(torch.tensor(case.truth_px[chosen], dtype=torch.float32)).numpy()
        shares = np.maximum(shares_of(estimate)[1][chosen], 1e-9)
        total -= float((labels * np.log(shares)).sum())
        count += int(chosen.sum())
    return total / max(count, 1)


def told_in_context(
    frames: Sequence[CorpusFrame], scorer: SigmaScorer, smoothness: Smoothness, *, seed: int
) -> Correction:
    """What is told of tiles with signal against what they are, on frames that are out of focus evenly."""
    scorer.smoothness = smoothness
    looks = look(frames, scorer, radii_px=_TOLD_RADII_PX, doses=_TOLD_DOSES, seed=seed)
    known = np.concatenate([one.known for one in looks])
    told_px = estimates_of(looks, context=True).sigma_px[known].astype(np.float64)
    return correction(told_px, truth_px(facts_of(looks), frames)[known])


def named_anew(case: Case, levels_px: Sequence[float]) -> Case:
    """The same case with other blurs between the bins of its estimate."""
    named = from_shares(
        shares_of(case.estimate)[1], np.array(levels_px, np.float32), prior=case.estimate.prior
    )
    return replace(case, estimate=named)


def draw_cases(
    frames: Sequence[CorpusFrame], scorer: Scorer, *, per_frame: int = 8, seed: int = 0, hard: bool = False
) -> list[Case]:
    """Each frame ``per_frame`` times, every form of focus in turn; see `draw_case`."""
    rng = np.random.default_rng(seed)
    return [
        draw_case(frame, FORMS[i % len(FORMS)], scorer, rng, hard=hard)
        for frame in frames
        for i in range(per_frame)
    ]


def draw_case(
    frame: CorpusFrame, form: str, scorer: Scorer, rng: np.random.Generator, *, hard: bool = False
) -> Case:
    """One frame with a random focus of a form, a random dose, 8 bits.

    Where it may be ``hard``, some have noise that lines carry on, or little contrast on a background.
    """
    seen, radius_px = defocused(frame.pixels, form, rng)
    dose, correlation = float(np.exp(rng.uniform(*np.log(_DOSES)))), 0.0
    if hard and rng.random() < _HARD_SHARE:
        correlation = rng.uniform(*_CORRELATION)
    if hard and rng.random() < _HARD_SHARE:
        contrast = np.float32(rng.uniform(*_CONTRAST))
        seen = contrast * seen + np.float32(rng.uniform(0, 1 - contrast))
    image = degrade.quantise(degrade.expose(seen, dose, rng, fast_axis_correlation=correlation), 8)
    grid = Grid(Area.whole(image.shape), TILE_PX)
    estimate, known, faint = estimate_alone(image, grid.tiles(image), scorer)
    truth = np.array([_blur(tile, frame) for tile in grid.tiles(radius_px)])
    return Case(form, estimate, known, faint, (grid.rows, grid.cols), truth, dose)


def defocused(sharp: Image, form: str, rng: np.random.Generator) -> tuple[Image, Image]:
    """A sharp frame out of focus in a form, and the radius of the probe at each pixel."""
    first, second = _radius(rng), _radius(rng)
    if form == "even":
        return degrade.blur(sharp, degrade.probe_kernel(first)), np.full(sharp.shape, first, np.float32)
    if form in ("stepped", "island"):
        side = _island(sharp.shape, rng) if form == "island" else _beyond_a_line(sharp.shape, rng)
        blurs = [degrade.blur(sharp, degrade.probe_kernel(r)) for r in (first, second)]
        return np.where(side, *blurs), np.where(side, np.float32(first), np.float32(second))
    rows, cols = (np.linspace(-1, 1, n, dtype=np.float32) for n in sharp.shape)
    along = _along(sharp.shape, rng)
    height = along - np.float32(rng.uniform(-1, 1))
    if form == "curved":
        height = rows[:, None] ** 2 + cols**2 - np.float32(rng.uniform(0, 1.5))
    radius_map = np.abs(height) / np.abs(height).max() * np.float32(max(first, second))
    return degrade.blur_varying(sharp, radius_map, levels=8), np.asarray(radius_map, np.float32)


def into_card(model: Path, data: Path, *, seed: int = 0, tell: Callable[[str], None]) -> dict[str, Any]:
    """Fit on the validation frames of the folder that a model was trained on into its card."""
    card = read_card(model)
    made = card["training"]
    fraction, split_seed = float(made["validation_fraction"]), int(made["seed"])
    frames = load_corpus(data, validation_fraction=fraction, seed=split_seed).validation
    tell(f"{len(frames)} validation frames, each {_PER_FRAME} times out of focus")
    card["levels_px"] = levels(bin_edges_px())  # a correction of before is not corrected again
    write_card(model, card)
    scorer = SigmaScorer(model=model)
    cases = draw_cases(frames, scorer, per_frame=_PER_FRAME, seed=seed, hard=True)
    fitted = sharpened(cases, fit(cases))
    alone, helped = surprise(cases, None), surprise(cases, fitted)
    corrected = told_in_context(frames, scorer, fitted, seed=seed)
    card["levels_px"] = levels(corrected.of(bin_edges_px()))
    cases = [named_anew(case, card["levels_px"]) for case in cases]
    fitted = sharpened(cases, fitted)
    card["context"] = asdict(fitted)
    card["context_fit"] = {
        "command": f"python -m semdaemon.training.focus context --data TRAIN --seed {seed}",
        "commit": commit_here(),
        "frames": len(frames),
        "tiles": int(sum(np.isfinite(case.truth_px).sum() for case in cases)),
        "coverage_90": round(coverage(cases, fitted), 3),
        "nats_alone": round(alone, 3),
        "nats_in_context": round(helped, 3),
        "correction": corrected.as_dict(),
    }
    write_card(model, card)
    tell(f"true blur of a tile: {alone:.3f} nats alone, {helped:.3f} in context; {fitted}")
    return card


def _along(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """-1 to 1 from one side of a frame to the other, in a random direction."""
    angle_rad = rng.uniform(0, 2 * math.pi)
    rows, cols = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    return np.asarray(rows[:, None] * math.sin(angle_rad) + cols * math.cos(angle_rad), np.float32)


def _beyond_a_line(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    return _along(shape, rng) > rng.uniform(-0.5, 0.5)


def _island(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A rectangle of one to three tiles each way."""
    inside = np.zeros(shape, bool)
    size = [min(n // 2, int(rng.integers(TILE_PX, 3 * TILE_PX))) for n in shape]
    top, left = (int(rng.integers(n - s + 1)) for n, s in zip(shape, size, strict=True))
    inside[top : top + size[0], left : left + size[1]] = True
    return inside


def _blur(radius_px: Image, frame: CorpusFrame) -> float:
    """Blur of a tile in pixels from the radius at each of its pixels; NaN where that varies much."""
    own = own_sigma_px(frame)
    least, most = (math.hypot(own, float(r) / 2) for r in (radius_px.min(), radius_px.max()))
    if most > _MIXED * least:
        return math.nan
    return float(np.exp(np.mean(np.log(np.hypot(own, radius_px[::8, ::8] / 2)))))


def _radius(rng: np.random.Generator) -> float:
    return 0.0 if rng.random() < _SHARP_SHARE else float(np.exp(rng.uniform(*np.log(_RADIUS_PX))))
