"""What the blur estimator learns from: real sharp frames, blurred and exposed, in every mixture.

Every blur occurs at every dose, so that noise never tells sharp from blurred.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.training import degrade
from semdaemon.training.corpus import Corpus, Image, random_square
from semdaemon.training.focus.network import SIGMA_IN_FOCUS_PX


@dataclass(frozen=True)
class Recipe:
    """How examples are drawn; shares are probabilities, ranges are log-uniform unless said otherwise."""

    patch_px: int = 320
    patches: int = 8
    states_per_patch: int = 3
    tiles_per_state: int = 2
    tile_sides_px: tuple[int, ...] = (128, 64, 192)
    tile_side_shares: tuple[float, ...] = (0.87, 0.1, 0.03)
    sharp_share: float = 0.3
    radius_px: tuple[float, float] = (0.8, 28.0)
    gaussian_share: float = 0.15
    astigmatic_share: float = 0.4
    ellipticity: tuple[float, float] = (1.0, 1.6)
    electrons_per_px: tuple[float, float] = (5.0, 1000.0)
    amplifier_share: float = 0.5
    amplifier: tuple[float, float] = (0.002, 0.03)
    correlated_share: float = 0.3
    fast_axis_correlation: tuple[float, float] = (0.1, 0.7)
    line_noise_share: float = 0.1
    line_noise: tuple[float, float] = (0.003, 0.03)
    dimmed_share: float = 0.5
    dimmed_gain: tuple[float, float] = (0.25, 1.0)
    gamma_share: float = 0.4
    gamma: tuple[float, float] = (0.6, 1.7)
    inverted_share: float = 0.15
    flat_share: float = 0.03
    eight_bit_share: float = 0.7

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def draw_batch(
    corpus: Corpus, recipe: Recipe, rng: np.random.Generator
) -> tuple[Image, npt.NDArray[np.float32]]:
    """Tiles (n, 1, side, side) float32 in [0, 1] and their blur (n,) in pixels.

    Each patch is seen in several states of focus, so that content alone never tells the blur.
    """
    side = int(rng.choice(recipe.tile_sides_px, p=recipe.tile_side_shares))
    tiles, labels = [], []
    for _ in range(recipe.patches):
        scene = _scene(corpus.crop(rng, recipe.patch_px), recipe, rng)
        for _ in range(recipe.states_per_patch):
            kernel, sigma_px = draw_probe(recipe, rng)
            blurred = degrade.blur(scene, kernel)
            for _ in range(recipe.tiles_per_state):
                square = random_square(blurred, rng, side)
                if rng.random() < recipe.flat_share:
                    square = np.full_like(square, rng.uniform(0.1, 0.9))
                tiles.append(detect(square, recipe, rng))
                labels.append(sigma_px)
    return np.stack(tiles)[:, None], np.array(labels, np.float32)


def draw_probe(recipe: Recipe, rng: np.random.Generator) -> tuple[Image, float]:
    """A probe and the equivalent Gaussian blur, in pixels, of a frame seen with it."""
    if rng.random() < recipe.sharp_share:
        return np.ones((1, 1), np.float32), SIGMA_IN_FOCUS_PX
    radius_px = _log_uniform(rng, recipe.radius_px)
    sigma_px = degrade.equivalent_sigma_px(radius_px, SIGMA_IN_FOCUS_PX)
    if rng.random() < recipe.gaussian_share:
        return degrade.gaussian_kernel(radius_px / 2), sigma_px
    if rng.random() < recipe.astigmatic_share:
        angle_rad = rng.uniform(0, math.pi)
        return degrade.probe_kernel(radius_px, 0.0, rng.uniform(*recipe.ellipticity), angle_rad), sigma_px
    return degrade.probe_kernel(radius_px), sigma_px


def detect(scene: Image, recipe: Recipe, rng: np.random.Generator) -> Image:
    """Dose, amplifier, line noise, display gamma and rounding: what stands in a file."""
    gain = _log_uniform(rng, recipe.dimmed_gain) if rng.random() < recipe.dimmed_share else 1.0
    seen = scene * np.float32(gain) + np.float32(rng.uniform(0, 1 - gain))
    amplifier = _log_uniform(rng, recipe.amplifier) if rng.random() < recipe.amplifier_share else 0.0
    correlated = rng.random() < recipe.correlated_share
    correlation = rng.uniform(*recipe.fast_axis_correlation) if correlated else 0.0
    seen = degrade.expose(
        seen,
        _log_uniform(rng, recipe.electrons_per_px),
        rng,
        amplifier=amplifier,
        fast_axis_correlation=correlation,
    )
    if rng.random() < recipe.line_noise_share:
        lines = rng.standard_normal((seen.shape[0], 1), dtype=np.float32)
        seen = seen + np.float32(_log_uniform(rng, recipe.line_noise)) * lines
    if rng.random() < recipe.gamma_share / 2:
        seen = np.clip(seen, 0, 1) ** np.float32(_log_uniform(rng, recipe.gamma))
    return degrade.quantise(seen, 8 if rng.random() < recipe.eight_bit_share else 16)


def _scene(patch: Image, recipe: Recipe, rng: np.random.Generator) -> Image:
    if rng.random() < recipe.inverted_share:
        patch = 1 - patch
    if rng.random() < recipe.gamma_share:
        patch = np.clip(patch, 0, 1) ** np.float32(_log_uniform(rng, recipe.gamma))
    return patch


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(np.log(limits[0]), np.log(limits[1]))))
