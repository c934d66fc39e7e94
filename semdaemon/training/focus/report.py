"""How well focus is told: the learned estimator beside the classical measures, on frames set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.focus import BLURRED, SHARP, UNDECIDED, measures
from semdaemon.focus.estimate import Estimate, without_prior
from semdaemon.focus.sigma import SigmaScorer, read_card
from semdaemon.settings import Focus
from semdaemon.training.focus import evaluation
from semdaemon.training.focus.card import sources, write_card
from semdaemon.training.focus.context import FORMS, Case, draw_cases, within_90
from semdaemon.training.focus.counting import noise_figures
from semdaemon.training.focus.evaluation import DOSES, RADII_PX, Facts, Figures
from semdaemon.training.focus.looks import (
    CHANGED,
    CORRELATED,
    FAINT,
    PLAIN,
    Look,
    estimates_of,
    facts_of,
    look,
    truth_px,
    verdicts_of,
)
from semdaemon.training.frames import CorpusFrame, Image
from semdaemon.training.reading import load_corpus, load_frames

ERROR_RADII_PX = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0)
ERROR_DOSES = (10.0, 50.0, 200.0, 400.0)
RANKED_BELOW_PX = 0.8
"""Sharp is told from blurred by the probability of a blur below this; chosen on validation frames."""

SHARES = (0.7, 0.5)
_CLASSICAL_TILES = 10
"""Of a frame, spread evenly: one of the classical measures takes ten times as long as the network."""

CLASSICAL: dict[str, Callable[[Image], float]] = {
    "variance of Laplacian": lambda tile: -measures.variance_of_laplacian(tile),
    "Tenengrad": lambda tile: -measures.tenengrad(tile),
    "Brenner": lambda tile: -measures.brenner(tile),
    "normalised variance": lambda tile: -measures.normalised_variance(tile),
    "Vollath F4 (slow axis)": lambda tile: -measures.vollath_f4(tile),
    "F4n (slow axis)": lambda tile: -measures.f4n(tile),
    "SIRAF fit": measures.siraf_sigma_px,
}
"""Every figure turned so that it rises with blur."""

Tell = Callable[[str], None]
Table = dict[str, dict[str, float | int | None]]


def into_card(data: Path, model: Path, *, seed: int = 0, tell: Tell | None = None) -> dict[str, Any]:
    """Measure ``model`` on held-out and validation frames; write the figures into its card.

    Parameters
    ----------
    data
        Folder with ``train/`` and ``heldout/``; both are taken as they stand, soft frames included.
    """
    scorer, card = SigmaScorer(model=model), read_card(model)
    made = card["training"]
    split = load_corpus(
        data / "train", validation_fraction=float(made["validation_fraction"]), seed=int(made["seed"])
    )
    names = {frame.name for frame in split.validation}
    validation = [frame for frame in load_frames(data / "train", bin_soft=False) if frame.name in names]
    card["heldout"] = figures(
        scorer,
        load_frames(data / "heldout", bin_soft=False),
        soft_binned=load_frames(data / "heldout"),
        seed=seed,
        tell=tell,
    )
    card["validation"] = figures(scorer, validation, seed=seed, tell=tell)
    card["heldout"]["data"] = sources(data / "heldout")
    card["evaluated_by"] = f"semdaemon evaluate --focus --data DATA --card --seed {seed}"
    write_card(model, card)
    return card


def figures(
    scorer: SigmaScorer,
    frames: Sequence[CorpusFrame],
    *,
    soft_binned: Sequence[CorpusFrame] = (),
    seed: int = 0,
    quick: bool = False,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Areas under the curve, error, coverage and verdicts on these frames.

    Parameters
    ----------
    soft_binned
        The same frames, those soft at pixel scale binned 2x; measured besides where given.
    quick
        The plain condition alone.
    """
    contrast = look(frames, scorer, radii_px=RADII_PX, doses=DOSES, seed=seed, tell=tell)
    result: dict[str, Any] = {
        "frames": len(frames),
        "conditions": "whole frames, disc R px, Poisson, 8 bits; doses 10 and 200 electrons per pixel pooled",
        "tiles_per_condition": sum(len(one.known) for one in contrast) // (len(RADII_PX) * len(DOSES)),
        "auc": {PLAIN.what: learned(contrast) | classical(contrast)},
    }
    if quick:
        return result
    for condition in (CORRELATED, CHANGED, FAINT):
        looks = look(
            frames, scorer, radii_px=RADII_PX, doses=DOSES, condition=condition, seed=seed + 1, tell=tell
        )
        result["auc"][condition.what] = learned(looks) | classical(looks)
    if soft_binned:
        looks = look(soft_binned, scorer, radii_px=RADII_PX, doses=DOSES, seed=seed + 2, tell=tell)
        result["auc"]["Poisson noise, frames soft at pixel scale binned 2x"] = learned(looks)
    sharp = soft_binned or frames
    errors = look(
        sharp,
        scorer,
        radii_px=ERROR_RADII_PX,
        doses=ERROR_DOSES,
        seed=seed + 3,
        tell=tell,
    )
    result["alone"], result["context"] = (told(errors, sharp, context=way) for way in (False, True))
    result["uneven"] = uneven(sharp, scorer, seed=seed + 4)
    result["noise"] = noise_figures(frames, seed=seed + 5)
    return result


def learned(looks: Sequence[Look]) -> Table:
    """Areas of the learned estimator, alone and in context; also on the tiles that it is surest of."""
    table: Table = {}
    facts = facts_of(looks)
    for name, context in (("learned, tile alone", False), ("learned, in context", True)):
        estimate = estimates_of(looks, context=context)
        blur = -estimate.probability_below(RANKED_BELOW_PX).astype(np.float64)
        table[name] = evaluation.areas(facts, blur)
        for share in SHARES:
            sure = estimate.relative_sd <= np.quantile(estimate.relative_sd, share)
            table[f"{name}, surest {share:.0%}"] = evaluation.areas(facts.chosen(sure), blur[sure])
        published = -estimate.probability_below(Focus().sharp_sigma_px).astype(np.float64)
        table[f"{name}, score as published"] = evaluation.areas(facts, published)
        sure = estimate.relative_sd <= np.quantile(estimate.relative_sd, SHARES[0])
        table[f"{name}, score as published, surest {SHARES[0]:.0%}"] = evaluation.areas(
            facts.chosen(sure), published[sure]
        )
    return table


def classical(looks: Sequence[Look]) -> Table:
    """Areas of every classical measure, on some tiles of each frame."""
    places = [np.unique(np.linspace(0, len(one.known) - 1, _CLASSICAL_TILES).round()) for one in looks]
    starts = np.cumsum([0, *(len(one.known) for one in looks)])
    chosen = [(start + place).astype(np.intp) for start, place in zip(starts, places, strict=False)]
    facts = facts_of(looks).chosen(np.concatenate(chosen))
    table: Table = {}
    for name, measure in CLASSICAL.items():
        pairs = zip(looks, places, strict=True)
        found = np.array([measure(one.tiles[int(i)]) for one, where in pairs for i in where])
        # No signal counts as the most blurred, the way a classical measure's user would take it.
        table[name] = evaluation.areas(facts, np.nan_to_num(found, nan=np.inf))
    return table


def told(looks: Sequence[Look], frames: Sequence[CorpusFrame], *, context: bool) -> dict[str, Any]:
    """Blur, its error, its stated interval and the verdicts, by radius and dose."""
    truth = truth_px(facts_of(looks), frames)
    facts, estimate = facts_of(looks), estimates_of(looks, context=context)
    codes, known = verdicts_of(looks, context=context), np.concatenate([one.known for one in looks])
    error = np.abs(estimate.sigma_px / truth - 1).astype(np.float64)
    unshrunk = np.abs(without_prior(estimate).sigma_px / truth - 1).astype(np.float64)
    decided = codes != UNDECIDED
    return {
        "true_sigma_px": _medians(facts, truth, known),
        "median_sigma_px": _medians(facts, estimate.sigma_px.astype(np.float64), known),
        "median_relative_error": _medians(facts, error, known),
        "median_relative_error_decided": _medians(facts, error, decided),
        "median_relative_error_decided_no_prior": _medians(facts, unshrunk, decided),
        "coverage_90": coverage(estimate, facts, truth, known),
        "verdicts": verdict_shares(facts, codes),
    }


def coverage(
    estimate: Estimate, facts: Facts, truth: Figures, known: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Share of tiles with signal whose true blur lies in the stated 90 % interval, in all and by dose."""
    assert estimate.levels_px is not None  # noqa: S101 - for the type checker: the learned scorer has them
    assert estimate.cumulative is not None  # noqa: S101
    inside = within_90(estimate.cumulative[:, 1:], estimate.levels_px, truth)
    shares = {"all": float(inside[known].mean())}
    for dose in sorted(set(facts.dose)):
        shares[f"{dose:g}"] = float(inside[known & facts.where(dose=dose)].mean())
    return {name: round(share, 3) for name, share in shares.items()}


def verdict_shares(facts: Facts, codes: npt.NDArray[np.uint8]) -> dict[str, dict[str, list[float]]]:
    """By radius and dose: shares of sharp, blurred, beyond repair and undecided, default settings."""
    return {
        f"{radius_px:g}": {
            f"{dose:g}": [
                round(float(np.mean(codes[facts.where(radius_px=radius_px, dose=dose)] == code)), 3)
                for code in range(4)
            ]
            for dose in sorted(set(facts.dose))
        }
        for radius_px in sorted(set(facts.radius_px))
    }


def uneven(frames: Sequence[CorpusFrame], scorer: SigmaScorer, *, seed: int) -> dict[str, dict[str, Any]]:
    """Frames whose focus varies, by form: wrong and undecided verdicts, error and coverage, both ways."""
    cases = draw_cases(frames, scorer, per_frame=len(FORMS), seed=seed)
    return {
        form: {
            name: _told_of([case for case in cases if case.form == form], scorer, context=context)
            for name, context in (("alone", False), ("context", True))
        }
        for form in dict.fromkeys(FORMS)
    }


def _told_of(cases: Sequence[Case], scorer: SigmaScorer, *, context: bool) -> dict[str, float | int | None]:
    wrong, undecided, error, inside = [], [], [], []
    for case in cases:
        estimate, verdict = case.judged(scorer.smoothness if context else None)
        chosen = np.isfinite(case.truth_px)
        truth, code, known = case.truth_px[chosen], verdict[chosen], case.known[chosen]
        wrong.append(((code == SHARP) & (truth > 1.6)) | ((code == BLURRED) & (truth < 0.95)))
        undecided.append(code == UNDECIDED)
        error.append(np.abs(estimate.sigma_px[chosen] / truth - 1)[known])
        if estimate.levels_px is not None and estimate.cumulative is not None:
            inside.append(within_90(estimate.cumulative[chosen, 1:], estimate.levels_px, truth)[known])
    return {
        "tiles": int(sum(len(part) for part in wrong)),
        "wrong": _over(np.mean, wrong, 4),
        "undecided": _over(np.mean, undecided, 3),
        "median_relative_error": _over(np.median, error, 3),
        "coverage_90": _over(np.mean, inside, 3),
    }


def _over(what: Callable[..., Any], parts: Sequence[npt.NDArray[np.generic]], digits: int) -> float | None:
    """A mean or median over the arrays together; None where there is nothing in them."""
    together = np.concatenate(parts) if parts else np.zeros(0)
    return round(float(what(together)), digits) if together.size else None


def _medians(
    facts: Facts, values: Figures, which: npt.NDArray[np.bool_]
) -> dict[str, dict[str, float | None]]:
    """Medians by radius and dose over some tiles; None where there are none."""
    table: dict[str, dict[str, float | None]] = {}
    for radius_px in sorted(set(facts.radius_px)):
        for dose in sorted(set(facts.dose)):
            chosen = values[which & facts.where(radius_px=radius_px, dose=dose)]
            median = round(float(np.median(chosen)), 3) if len(chosen) else None
            table.setdefault(f"{radius_px:g}", {})[f"{dose:g}"] = median
    return table
