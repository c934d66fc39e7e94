"""What the blur estimator learns from: real sharp frames, blurred and exposed, in every mixture.

Every blur occurs at every dose, so that noise never tells sharp from blurred.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from semdaemon.training import degrade
from semdaemon.training.corpus import Corpus
from semdaemon.training.focus.network import SIGMA_IN_FOCUS_PX
from semdaemon.training.focus.recipe import Recipe, log_uniform
from semdaemon.training.focus.scenes import draw_scene
from semdaemon.training.frames import Image, random_square


def draw_batch(
    corpus: Corpus, recipe: Recipe, rng: np.random.Generator
) -> tuple[Image, npt.NDArray[np.float32]]:
    """Tiles (n, 1, side, side) float32 in [0, 1] and their blur (n,) in pixels.

    Each scene is seen in several states of focus, so that content alone never tells the blur, and its doses
    are spread evenly over their range: it is sharp with noise and blurred without, and the reverse.
    """
    side = int(rng.choice(recipe.tile_sides_px, p=recipe.tile_side_shares))
    tiles, labels = [], []
    for _ in range(recipe.patches):
        scene, own_px = draw_scene(corpus, recipe, rng)
        doses, place_seed = iter(_doses(recipe, rng)), int(rng.integers(2**32))
        same_places = rng.random() < recipe.same_places_share
        for _ in range(recipe.states_per_patch):
            kernel, sigma_px = draw_probe(recipe, rng, own_px)
            blurred = degrade.blur(scene, kernel)
            places = np.random.default_rng(place_seed) if same_places else rng
            for _ in range(recipe.tiles_per_state):
                square = random_square(blurred, places, side)
                if rng.random() < recipe.flat_share:
                    square = np.full_like(square, rng.uniform(0.1, 0.9))
                tiles.append(detect(square, next(doses), recipe, rng))
                labels.append(sigma_px)
    return np.stack(tiles)[:, None], np.array(labels, np.float32)


def draw_probe(
    recipe: Recipe, rng: np.random.Generator, own_px: float = SIGMA_IN_FOCUS_PX
) -> tuple[Image, float]:
    """A probe and the equivalent Gaussian blur, in pixels, of a scene of blur ``own_px`` seen with it."""
    if rng.random() < recipe.sharp_share:
        return np.ones((1, 1), np.float32), own_px
    slight = rng.random() < recipe.slight_share
    radius_px = log_uniform(rng, recipe.slight_radius_px if slight else recipe.radius_px)
    sigma_px = degrade.equivalent_sigma_px(radius_px, own_px)
    if rng.random() < recipe.gaussian_share:
        return degrade.gaussian_kernel(radius_px / 2), sigma_px
    if rng.random() < recipe.astigmatic_share:
        angle_rad = rng.uniform(0, math.pi)
        return degrade.probe_kernel(radius_px, 0.0, rng.uniform(*recipe.ellipticity), angle_rad), sigma_px
    return degrade.probe_kernel(radius_px), sigma_px


def detect(scene: Image, electrons_per_px: float, recipe: Recipe, rng: np.random.Generator) -> Image:
    """Dose, amplifier, line noise, display gamma and rounding: what stands in a file."""
    gain = log_uniform(rng, recipe.dimmed_gain) if rng.random() < recipe.dimmed_share else 1.0
    seen = scene * np.float32(gain) + np.float32(rng.uniform(0, 1 - gain))
    amplifier = log_uniform(rng, recipe.amplifier) if rng.random() < recipe.amplifier_share else 0.0
    correlated = rng.random() < recipe.correlated_share
    correlation = rng.uniform(*recipe.fast_axis_correlation) if correlated else 0.0
    seen = degrade.expose(seen, electrons_per_px, rng, amplifier=amplifier, fast_axis_correlation=correlation)
    if rng.random() < recipe.line_noise_share:
        lines = rng.standard_normal((seen.shape[0], 1), dtype=np.float32)
        seen = seen + np.float32(log_uniform(rng, recipe.line_noise)) * lines
    if rng.random() < recipe.gamma_share / 2:
        seen = np.clip(seen, 0, 1) ** np.float32(log_uniform(rng, recipe.gamma))
    return degrade.quantise(seen, 8 if rng.random() < recipe.eight_bit_share else 16)


def _doses(recipe: Recipe, rng: np.random.Generator) -> list[float]:
    """A dose for each tile of a scene, at even steps of its logarithm, in random order."""
    count = recipe.states_per_patch * recipe.tiles_per_state
    shares = (rng.random() + np.arange(count)) / count % 1.0
    return [log_uniform(rng, recipe.electrons_per_px, float(share)) for share in rng.permutation(shares)]
