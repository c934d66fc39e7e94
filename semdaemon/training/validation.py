"""A small fixed set of degraded crops that a training measures itself on, and what it concludes."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.training import degrade
from semdaemon.training.corpus import Corpus
from semdaemon.training.frames import CorpusFrame
from semdaemon.training.quality import psnr_db

Image = npt.NDArray[np.float32]

VALIDATE_EVERY_S = 300.0
BUDGET_S = 60.0
"""Longest validation, and (by the clock) a tenth of the time at most."""
VALIDATIONS = 20
"""How often a training that keeps its best measures itself."""

CONDITIONS: tuple[tuple[float, float], ...] = ((0, 50), (0, 400), (2, 50), (4, 50), (4, 400), (6, 50))
"""(disc radius in pixels, electrons per pixel)."""


@dataclass(frozen=True)
class Pair:
    radius_px: float
    electrons_per_px: float
    seen: Image
    sharp: Image


def validation_pairs(
    corpus: Corpus, *, size_px: int = 192, frames: int = 8, seed: int = 0
) -> tuple[Pair, ...]:
    """Central crops of up to ``frames`` validation frames under each of the conditions, with 8 bits."""
    pool = corpus.validation or corpus.train
    step = max(1, len(pool) // frames)
    return degraded_pairs(pool[::step][:frames], size_px=size_px, seed=seed)


def degraded_pairs(frames: Sequence[CorpusFrame], *, size_px: int, seed: int) -> tuple[Pair, ...]:
    """The central crop of each frame under each of the conditions, one frame after the other."""
    rng = np.random.default_rng(seed)
    pairs = []
    for frame in frames:
        h, w = (min(n, size_px) // 16 * 16 for n in frame.pixels.shape)
        top, left = (frame.pixels.shape[0] - h) // 2, (frame.pixels.shape[1] - w) // 2
        window = slice(top, top + h), slice(left, left + w)
        for radius_px, dose in CONDITIONS:
            blurred = degrade.blur(frame.pixels, degrade.probe_kernel(radius_px))[window]
            seen = degrade.quantise(degrade.expose(blurred, dose, rng), 8)
            pairs.append(Pair(radius_px, dose, seen, frame.pixels[window]))
    return tuple(pairs)


def bounded(pairs: tuple[Pair, ...], refocus: Callable[[Image], Image], budget_s: float) -> tuple[Pair, ...]:
    """As many of the first pairs as ``budget_s`` allows, all conditions of each frame together.

    A large network on one core would otherwise spend its night on being measured.
    """
    frames = budget_s / (_took_s(refocus, pairs[0]) * len(CONDITIONS))
    if frames * len(CONDITIONS) < len(pairs):  # the first run also warms up, on a GPU for seconds
        frames = budget_s / (_took_s(refocus, pairs[0]) * len(CONDITIONS))
    return pairs[: max(1, int(frames)) * len(CONDITIONS)]


def _took_s(refocus: Callable[[Image], Image], pair: Pair) -> float:
    began = time.perf_counter()
    refocus(pair.seen)
    return max(time.perf_counter() - began, 1e-9)


def measure(pairs: tuple[Pair, ...], refocus: Callable[[Image], Image]) -> dict[str, float]:
    """Mean gain in decibels over the input a condition (``R4_N50``), their mean, and the worst crop's."""
    gains: dict[str, list[float]] = {}
    for pair in pairs:
        gain = psnr_db(refocus(pair.seen), pair.sharp) - psnr_db(pair.seen, pair.sharp)
        gains.setdefault(f"R{pair.radius_px:g}_N{pair.electrons_per_px:g}", []).append(gain)
    table = {name: float(np.mean(values)) for name, values in gains.items()}
    table["mean"] = float(np.mean([g for values in gains.values() for g in values]))
    table["worst"] = min(g for values in gains.values() for g in values)
    return table


class Validator:
    """Measures a training now and then, writes ``validation.csv``, and knows when it was best.

    Parameters
    ----------
    pairs
        From `validation_pairs`.
    folder
        Where the log goes.
    patience
        So many validations without a gain are enough; None for a training that goes to its end.
    by_clock
        The plan counts minutes, not iterations.
    """

    def __init__(
        self, pairs: tuple[Pair, ...], folder: Path, *, patience: int | None, by_clock: bool
    ) -> None:
        self.pairs = pairs
        self.best_iteration, self.best_db, self.without_gain = 0, -math.inf, 0
        self.measured_iteration = -1
        self._log = folder / "validation.csv"
        self._patience, self._by_clock = patience, by_clock
        self._bounded = False
        self._next_done = 1 / VALIDATIONS
        self._next_at = time.monotonic() + BUDGET_S

    def due(self, done: float) -> bool:
        """Whether to measure, ``done`` (0 to 1) into the plan."""
        if not self._patience:
            return time.monotonic() >= self._next_at
        # By the share of the plan, so that a run by iterations stops at the same one every time.
        return done >= self._next_done and (not self._by_clock or time.monotonic() >= self._next_at)

    def measure(
        self,
        refocus: Callable[[Image], Image],
        *,
        facts: dict[str, Any],
        done: float,
        tell: Callable[[str], None],
    ) -> bool:
        """Measure and log; true where it is better than ever.

        Parameters
        ----------
        facts
            What the log's line begins with: ``iteration``, ``minutes``, ``loss``.
        done
            Share of the plan.
        """
        began = time.monotonic()
        self.measured_iteration = facts["iteration"]
        if not self._bounded:
            self.pairs, self._bounded = bounded(self.pairs, refocus, BUDGET_S), True
        table = measure(self.pairs, refocus)
        row = facts | {name: round(value, 3) for name, value in table.items()}
        tell(_sentence(facts["iteration"], table))
        try:
            _append(self._log, row)
        except OSError as error:
            tell(f"{self._log} was not written: {error}. The training goes on.")
        took_s = time.monotonic() - began
        pause_s = 9 * took_s if self._patience else max(VALIDATE_EVERY_S, 9 * took_s)
        self._next_at = time.monotonic() + pause_s
        self._next_done = (math.floor(done * VALIDATIONS + 1e-9) + 1) / VALIDATIONS
        return self._judge(table["mean"], facts["iteration"])

    @property
    def out_of_patience(self) -> bool:
        return self._patience is not None and self.without_gain >= self._patience

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        kept = {
            "iteration": self.best_iteration,
            "without_gain": self.without_gain,
            "pairs": len(self.pairs),
            "measured_iteration": self.measured_iteration,
        }
        return kept | ({"db": self.best_db} if math.isfinite(self.best_db) else {})

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept; empty in old ones."""
        self.best_iteration = state.get("iteration", 0)
        self.best_db = state.get("db", -math.inf)
        self.without_gain = state.get("without_gain", 0)
        self.measured_iteration = state.get("measured_iteration", -1)
        if "db" in state:
            self.pairs, self._bounded = self.pairs[: state["pairs"]], True

    def _judge(self, mean_db: float, iteration: int) -> bool:
        if mean_db > self.best_db:
            self.best_iteration, self.best_db, self.without_gain = iteration, mean_db, 0
            return True
        self.without_gain += 1
        return False


def _sentence(iteration: int, table: Mapping[str, float]) -> str:
    """A validation in one line; the keys of the conditions are written out."""
    gains = ", ".join(
        f"{name.replace('R', 'R ', 1).replace('_N', ' px at ', 1)} e/px {gain:+.2f}"
        for name, gain in table.items()
        if name.startswith("R")
    )
    return (
        f"iteration {iteration}: gain over the input {table['mean']:+.2f} dB "
        f"(worst crop {table['worst']:+.2f}; disc {gains})"
    )


def _append(log: Path, row: dict[str, Any]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    fresh = not log.exists()
    with log.open("a", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, row)
        if fresh:
            writer.writeheader()
        writer.writerow(row)
