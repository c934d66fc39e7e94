"""What lies under the beam in an example: a frame's detail at any scale, with the blur it has by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image as PillowImage

from semdaemon.training.corpus import Corpus, corpus_of_scenes
from semdaemon.training.focus.network import SIGMA_IN_FOCUS_PX
from semdaemon.training.focus.recipe import Recipe, log_uniform
from semdaemon.training.frames import CorpusFrame, Image, random_square

_SIGMA_TIMES_CUTOFF = 0.19
"""Blur in pixels times the frequency where signal meets noise: measured over the training frames."""

_RESAMPLING_SIGMA_PX = 0.33
"""Blur of the window that resampling averages over, in pixels of its result."""

_PROCEDURAL_PX = 768
_PROCEDURAL_SCENES = 32
_TONES = 5
"""Points of a random tone curve."""


def own_sigma_px(frame: CorpusFrame) -> float:
    """Blur that a frame has by itself, from where its signal meets its noise."""
    return max(SIGMA_IN_FOCUS_PX, _SIGMA_TIMES_CUTOFF / max(frame.cutoff, 1e-3))


def draw_scene(corpus: Corpus, recipe: Recipe, rng: np.random.Generator) -> tuple[Image, float]:
    """A square (patch_px, patch_px) float32 in [0, 1] and the blur in pixels that it has by itself."""
    pixels, own_px = _view(corpus, recipe, rng)
    if rng.random() < recipe.mixed_share:
        other, other_px = _view(corpus, recipe, rng)
        part = np.float32(rng.uniform(0.3, 0.7))
        # The sum shows the finest detail that is in either.
        pixels, own_px = part * pixels + (1 - part) * other, min(own_px, other_px)
    return _toned(pixels, recipe, rng), own_px


def shrunk(pixels: Image, side_px: int, own_px: float) -> tuple[Image, float]:
    """A square shrunk to another side without aliasing, and what its own blur is then."""
    factor = len(pixels) / side_px
    if factor <= 1:
        return pixels, own_px
    small = PillowImage.fromarray(pixels).resize((side_px, side_px), PillowImage.Resampling.HAMMING)
    blur_px = math.hypot(own_px / factor, _RESAMPLING_SIGMA_PX)
    return np.asarray(small, np.float32), max(SIGMA_IN_FOCUS_PX, blur_px)


def _view(corpus: Corpus, recipe: Recipe, rng: np.random.Generator) -> tuple[Image, float]:
    """A random place of a random frame at a random scale, flipped and turned at random."""
    frame = _pick(_pool(corpus, recipe, rng), rng)
    side_px = recipe.patch_px
    if rng.random() < recipe.shrunk_share:
        wanted_px = round(side_px * log_uniform(rng, recipe.shrinking))
        side_px = max(side_px, min(wanted_px, *frame.pixels.shape))
    tries = 2 if rng.random() < recipe.rich_share else 1
    square = max((random_square(frame.pixels, rng, side_px) for _ in range(tries)), key=np.std)
    square, own_px = shrunk(square, recipe.patch_px, own_sigma_px(frame))
    square = np.rot90(square, int(rng.integers(4)))
    return np.ascontiguousarray(square[:, ::-1] if rng.random() < 0.5 else square), own_px


def _pool(corpus: Corpus, recipe: Recipe, rng: np.random.Generator) -> Sequence[CorpusFrame]:
    chance = rng.random()
    if chance < recipe.procedural_share:
        return _procedural()
    if corpus.soft and chance < recipe.procedural_share + recipe.soft_share:
        return corpus.soft
    return corpus.train


def _pick(frames: Sequence[CorpusFrame], rng: np.random.Generator) -> CorpusFrame:
    weights = np.array([frame.weight for frame in frames])
    return frames[rng.choice(len(frames), p=weights / weights.sum())]


@cache
def _procedural() -> tuple[CorpusFrame, ...]:
    return corpus_of_scenes(_PROCEDURAL_SCENES, _PROCEDURAL_PX).train


def _toned(pixels: Image, recipe: Recipe, rng: np.random.Generator) -> Image:
    """Inverted, bent by a power or by a random rising curve: what detectors and displays do to brightness."""
    if rng.random() < recipe.inverted_share:
        pixels = 1 - pixels
    chance = rng.random()
    if chance < recipe.gamma_share:
        pixels = np.clip(pixels, 0, 1) ** np.float32(log_uniform(rng, recipe.gamma))
    elif chance < recipe.gamma_share + recipe.tone_share:
        steps = rng.dirichlet(np.full(_TONES - 1, 1.5))
        bent = np.interp(pixels, np.linspace(0, 1, _TONES), np.concatenate([[0.0], np.cumsum(steps)]))
        # Half of it straight: a curve that is flat somewhere would wipe detail out.
        pixels = (pixels + bent) / 2
    return np.asarray(pixels, np.float32)
