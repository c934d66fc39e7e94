"""A small fixed set of degraded crops that a training measures itself on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.training import degrade
from semdaemon.training.corpus import Corpus
from semdaemon.training.quality import psnr_db

Image = npt.NDArray[np.float32]

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
    rng = np.random.default_rng(seed)
    pool = corpus.validation or corpus.train
    step = max(1, len(pool) // frames)
    pairs = []
    for frame in pool[::step][:frames]:
        h, w = (min(n, size_px) // 16 * 16 for n in frame.pixels.shape)
        top, left = (frame.pixels.shape[0] - h) // 2, (frame.pixels.shape[1] - w) // 2
        window = slice(top, top + h), slice(left, left + w)
        for radius_px, dose in CONDITIONS:
            blurred = degrade.blur(frame.pixels, degrade.probe_kernel(radius_px))[window]
            seen = degrade.quantise(degrade.expose(blurred, dose, rng), 8)
            pairs.append(Pair(radius_px, dose, seen, frame.pixels[window]))
    return tuple(pairs)


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
