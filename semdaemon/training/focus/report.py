"""The figures in the card: the shipped estimator beside the classical measures, on frames set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.focus import measures
from semdaemon.focus.estimate import Estimate
from semdaemon.focus.map import judge
from semdaemon.focus.sigma import SigmaScorer, read_card
from semdaemon.focus.tiles import has_signal
from semdaemon.settings import Focus
from semdaemon.training import degrade
from semdaemon.training.corpus import CorpusFrame, Image, load_corpus, read_grey
from semdaemon.training.focus import evaluation
from semdaemon.training.focus.card import sources, write_card
from semdaemon.training.focus.evaluation import Figures, Tiles
from semdaemon.training.focus.network import SIGMA_IN_FOCUS_PX

ERROR_RADII_PX = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0)
ERROR_DOSES = (10.0, 50.0, 200.0)
RANKED_BELOW_PX = 0.8
"""Sharp is told from blurred by the probability of a blur below this; chosen on validation frames."""

_CONTRAST_TILES = 24
_ERROR_TILES = 10

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


def evaluate(data: Path, model: Path, *, seed: int = 0) -> dict[str, Any]:
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
    card["heldout"] = figures(scorer, frames_as_they_are(data / "heldout"), seed=seed)
    card["validation"] = figures(scorer, frames_as_they_are(data / "train", names), seed=seed)
    card["heldout"]["data"] = sources(data / "heldout")
    card["evaluated_by"] = f"python -m semdaemon.training.focus evaluate --data DATA --seed {seed}"
    write_card(model, card)
    return card


def frames_as_they_are(folder: Path, names: set[str] | None = None) -> list[CorpusFrame]:
    """Images of a folder, unbinned and unweighted."""
    paths = sorted(p for p in folder.glob("*.png") if names is None or p.name in names)
    return [CorpusFrame(p.name, p.stem, read_grey(p), 1.0, 0.5) for p in paths]


def figures(scorer: SigmaScorer, frames: Sequence[CorpusFrame], *, seed: int) -> dict[str, Any]:
    """Areas under the curve, error, coverage and verdicts on these frames."""
    contrast = evaluation.degraded_tiles(frames, tiles_per_frame=_CONTRAST_TILES, seed=seed)
    errors = evaluation.degraded_tiles(
        frames, radii_px=ERROR_RADII_PX, doses=ERROR_DOSES, tiles_per_frame=_ERROR_TILES, seed=seed + 1
    )
    estimate = _estimates(scorer, errors.pixels)
    return {
        "frames": len(frames),
        "conditions": "disc R px, Poisson, 8 bits; doses 10 and 200 electrons per pixel pooled",
        "tiles_per_condition": int(contrast.where(radius_px=0, dose=10).sum()),
        "auc": auc_table(scorer, contrast),
        "coverage_90": coverage(estimate, errors),
        "median_relative_error": by_condition(errors, _relative_error(estimate, errors)),
        "median_sigma_px": by_condition(errors, estimate.sigma_px.astype(np.float64)),
        "verdicts": verdicts(estimate, errors),
    }


def auc_table(scorer: SigmaScorer, tiles: Tiles) -> dict[str, dict[str, float | int | None]]:
    """One row an estimator; the learned one also on the tiles that it is surest of."""
    estimate = _estimates(scorer, tiles.pixels)
    blur = -estimate.probability_below(RANKED_BELOW_PX).astype(np.float64)
    published = -estimate.probability_below(Focus().sharp_sigma_px).astype(np.float64)
    table = {"learned": evaluation.areas(tiles, blur)}
    table["learned, score as published"] = evaluation.areas(tiles, published)
    table["learned, median sigma_px"] = evaluation.areas(tiles, estimate.sigma_px.astype(np.float64))
    for share in (0.7, 0.5):
        sure = estimate.relative_sd <= np.quantile(estimate.relative_sd, share)
        table[f"learned, its surest {share:.0%}"] = evaluation.areas(tiles.chosen(sure), blur[sure])
    for name, measure in CLASSICAL.items():
        found = np.array([measure(tile) for tile in tiles.pixels])
        # No signal counts as the most blurred, the way a classical measure's user would take it.
        table[name] = evaluation.areas(tiles, np.nan_to_num(found, nan=np.inf))
    return table


def coverage(estimate: Estimate, tiles: Tiles) -> dict[str, float]:
    """Share of tiles whose true blur lies in the stated 90 % interval, in all and by dose."""
    assert estimate.levels_px is not None  # noqa: S101 - for the type checker: the learned scorer has them
    assert estimate.cumulative is not None  # noqa: S101
    edges, truth = np.log(estimate.levels_px), np.log(_truth(tiles))
    inside = np.empty(len(truth), bool)
    for number, row in enumerate(estimate.cumulative):
        low, high = np.interp((0.05, 0.95), row, edges)
        inside[number] = low <= truth[number] <= high
    shares = {"all": float(inside.mean())}
    shares |= {f"{dose:g}": float(inside[tiles.where(dose=dose)].mean()) for dose in sorted(set(tiles.dose))}
    return {name: round(share, 3) for name, share in shares.items()}


def verdicts(estimate: Estimate, tiles: Tiles) -> dict[str, dict[str, list[float]]]:
    """By radius and dose: shares of sharp, blurred, beyond repair and undecided, default settings."""
    _, _, _, codes = judge(estimate, Focus())
    codes[[not has_signal(tile, (-1, 2)) for tile in tiles.pixels]] = 3
    table: dict[str, dict[str, list[float]]] = {}
    for radius_px in sorted(set(tiles.radius_px)):
        for dose in sorted(set(tiles.dose)):
            chosen = codes[tiles.where(radius_px=radius_px, dose=dose)]
            shares = [round(float(np.mean(chosen == code)), 3) for code in range(4)]
            table.setdefault(f"{radius_px:g}", {})[f"{dose:g}"] = shares
    return table


def by_condition(tiles: Tiles, values: Figures) -> dict[str, dict[str, float]]:
    """Medians by radius and dose."""
    return {
        f"{radius_px:g}": {
            f"{dose:g}": round(float(np.median(values[tiles.where(radius_px=radius_px, dose=dose)])), 3)
            for dose in sorted(set(tiles.dose))
        }
        for radius_px in sorted(set(tiles.radius_px))
    }


def _truth(tiles: Tiles) -> Figures:
    return np.array([degrade.equivalent_sigma_px(r, SIGMA_IN_FOCUS_PX) for r in tiles.radius_px])


def _relative_error(estimate: Estimate, tiles: Tiles) -> Figures:
    return np.asarray(np.abs(estimate.sigma_px / _truth(tiles) - 1), np.float64)


def _estimates(scorer: SigmaScorer, tiles: npt.NDArray[np.float32]) -> Estimate:
    parts = [scorer.estimate(tiles[start : start + 64]) for start in range(0, len(tiles), 64)]
    return Estimate(
        np.concatenate([part.sigma_px for part in parts]),
        np.concatenate([part.relative_sd for part in parts]),
        parts[0].levels_px,
        np.concatenate([part.cumulative for part in parts if part.cumulative is not None]),
    )
