"""Pairs of degraded and sharp crops: what a training shows its network."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.training import degrade
from semdaemon.training.corpus import Corpus

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """Sizes, degradations and optimiser settings of one training; ranges are (low, high).

    Probabilities are named ``*_share``; 0 switches a thing off.
    ``soft_share`` of the crops come from frames that are soft at their own pixel scale, as they are: a frame
    in focus need not be sharp to the pixel, and what the instrument did not resolve must not be invented.
    ``plain_crops`` takes squares from anywhere in a frame as it is: never flipped, turned or binned.
    ``coarse_weight`` is the weight of the two coarser scales in the loss; the finest has 1.
    """

    name: str
    crop_px: int
    batch: int
    learning_rate: float
    final_learning_rate: float
    schedule: str
    warm_up_iterations: int
    clip_norm: float
    ema: float
    loss: str
    frequency_weight: float
    radius_px: tuple[float, float]
    sharp_share: float
    elliptic_share: float = 0.0
    gaussian_share: float = 0.0
    varying_share: float = 0.0
    cutblur_share: float = 0.0
    published_cutblur: bool = False
    sigma0_px: float = 0.0
    electrons_per_px: tuple[float, float] | None = None
    dose_skew: float = 1.0
    noiseless_share: float = 0.0
    correlated_share: float = 0.0
    amplifier_share: float = 0.0
    contrast_share: float = 0.0
    soft_share: float = 0.0
    plain_crops: bool = False
    coarse_weight: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


PUBLISHED = Recipe(
    name="published",
    crop_px=256,
    batch=5,
    learning_rate=5e-5,
    final_learning_rate=5e-6,
    schedule="exponential",
    warm_up_iterations=0,
    clip_norm=0.0,
    ema=0.0,
    loss="l1",
    frequency_weight=0.0,
    radius_px=(0.5, 8.0),
    sharp_share=0.0,
    cutblur_share=1.0,
    published_cutblur=True,
    plain_crops=True,
)
"""As published: L1 a scale, one-way CutBlur of 64 px in every crop, nothing else (50,000 iterations)."""

OURS = Recipe(
    name="ours",
    crop_px=128,
    batch=8,
    learning_rate=2e-3,
    final_learning_rate=0.0,
    schedule="cosine",
    warm_up_iterations=200,
    clip_norm=1.0,
    ema=0.999,
    loss="log_l1",
    frequency_weight=0.3,
    radius_px=(0.3, 8.0),
    sharp_share=0.13,
    elliptic_share=0.15,
    gaussian_share=0.1,
    varying_share=0.08,
    cutblur_share=0.3,
    sigma0_px=0.5,
    electrons_per_px=(8.0, 2000.0),
    dose_skew=1.6,
    noiseless_share=0.04,
    correlated_share=0.15,
    amplifier_share=0.15,
    contrast_share=0.5,
)
"""Optics, dose and detector of a real microscope; the loss is even over doses (see `loss`)."""

LONG = replace(
    OURS,
    name="long",
    learning_rate=1e-3,
    loss="log_rms",
    frequency_weight=0.0,
    coarse_weight=0.3,
    sharp_share=0.2,
    elliptic_share=0.3,
    gaussian_share=0.06,
    soft_share=0.2,
    electrons_per_px=(5.0, 2000.0),
)
"""To go on from a network that ``ours`` has trained: for decibels at the finest scale, and soft frames."""

MRN = replace(LONG, name="mrn", crop_px=256, batch=10, learning_rate=4e-4, warm_up_iterations=500)
"""For the published width and depth, from nothing: `LONG` with the published crop, a rate for its depth."""

FINE = replace(LONG, name="fine", learning_rate=2e-4, warm_up_iterations=50, ema=0.998)
"""To fine-tune on a few dozen frames of one lab: `LONG` at a fifth of its rate, to forget little."""

RECIPES = {recipe.name: recipe for recipe in (OURS, LONG, MRN, FINE, PUBLISHED)}


def margin_px(recipe: Recipe) -> int:
    """How far around a crop the blur reaches: frames are cut so much wider first."""
    return math.ceil(recipe.radius_px[1] * 1.3) + 2


def learning_rate(recipe: Recipe, iteration: int, fraction_done: float) -> float:
    """Warm-up, then cosine to the final rate; or the exponential decay as published."""
    done = min(max(fraction_done, 0.0), 1.0)
    if recipe.schedule == "exponential":
        return float(recipe.learning_rate * (recipe.final_learning_rate / recipe.learning_rate) ** done)
    warm = min(1.0, (iteration + 1) / max(1, recipe.warm_up_iterations))
    span = recipe.learning_rate - recipe.final_learning_rate
    return warm * (recipe.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * done)))


def sample(corpus: Corpus, recipe: Recipe, rng: np.random.Generator) -> tuple[Image, Image]:
    """One degraded crop and the sharp crop it came from, each (crop_px, crop_px) float32 in [0, 1]."""
    margin = margin_px(recipe)
    soft = rng.random() < recipe.soft_share
    wide = corpus.crop(rng, recipe.crop_px + 2 * margin, soft=soft, plain=recipe.plain_crops)
    if rng.random() < recipe.contrast_share:
        wide = _change_contrast(wide, rng)
    inner = slice(margin, margin + recipe.crop_px)
    sharp = np.ascontiguousarray(wide[inner, inner])
    seen = sharp
    if rng.random() >= recipe.sharp_share:
        seen = _defocus(wide, recipe, rng)[inner, inner]
        if rng.random() < recipe.cutblur_share:
            draw = _published_square if recipe.published_cutblur else _patch
            share = draw(sharp.shape, rng)
            seen = share * sharp + (1 - share) * seen
    return np.ascontiguousarray(_detect(seen, recipe, rng)), sharp


def batch(corpus: Corpus, recipe: Recipe, rng: np.random.Generator) -> tuple[Image, Image]:
    """A batch of pairs, each (batch, 1, crop_px, crop_px) float32."""
    pairs = [sample(corpus, recipe, rng) for _ in range(recipe.batch)]
    seen, sharp = (np.stack(images)[:, None] for images in zip(*pairs, strict=True))
    return seen, sharp


def _change_contrast(image: Image, rng: np.random.Generator) -> Image:
    gamma = math.exp(rng.uniform(-0.35, 0.35))
    gain = rng.uniform(0.4, 1.15)
    offset = rng.uniform(min(0.0, 1 - gain), max(0.0, 1 - gain))
    return np.asarray(np.clip(gain * image**gamma + offset, 0, 1), np.float32)


def _defocus(wide: Image, recipe: Recipe, rng: np.random.Generator) -> Image:
    radius_px = rng.uniform(*recipe.radius_px)
    sigma0_px = rng.uniform(0, recipe.sigma0_px)
    ellipticity = rng.uniform(1.05, 1.6) if rng.random() < recipe.elliptic_share else 1.0
    angle_rad = rng.uniform(0, math.pi)
    form = rng.random()
    if form < recipe.varying_share:
        radius_map = _defocus_map(wide.shape, radius_px, rng)
        return degrade.blur_varying(
            wide, radius_map, sigma0_px=sigma0_px, ellipticity=ellipticity, angle_rad=angle_rad
        )
    if form < recipe.varying_share + recipe.gaussian_share:
        sigma_px = degrade.equivalent_sigma_px(radius_px, sigma0_px)
        return degrade.blur(wide, degrade.gaussian_kernel(min(sigma_px, recipe.radius_px[1] / 3)))
    return degrade.blur(wide, degrade.probe_kernel(radius_px, sigma0_px, ellipticity, angle_rad))


def _defocus_map(shape: tuple[int, ...], radius_px: float, rng: np.random.Generator) -> Image:
    """``|dz|`` of a tilted plane: sharp along a line somewhere, up to ``radius_px`` away from it."""
    angle = rng.uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    height = math.cos(angle) * rows + math.sin(angle) * columns + rng.uniform(-1, 1)
    height = np.abs(height)
    return np.asarray(radius_px * height / height.max(), np.float32)


def _published_square(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """64 px of a crop of 256, and a quarter of the side of any other."""
    share = np.zeros(shape, np.float32)
    side = shape[0] // 4
    top, left = (int(rng.integers(n - side + 1)) for n in shape)
    share[top : top + side, left : left + side] = 1
    return share


def _patch(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """A rectangle of any size with an edge from hard to soft, sharp inside or sharp outside."""
    share = np.zeros(shape, np.float32)
    size = [int(n * rng.uniform(0.2, 0.75)) for n in shape]
    top, left = (int(rng.integers(-s // 3, n - s + s // 3)) for n, s in zip(shape, size, strict=True))
    share[max(0, top) : max(0, top + size[0]), max(0, left) : max(0, left + size[1])] = 1
    share = np.asarray(ndimage.uniform_filter(share, 2 * int(rng.integers(0, 9)) + 1), np.float32)
    return share if rng.random() < 0.5 else np.float32(1) - share


def _detect(seen: Image, recipe: Recipe, rng: np.random.Generator) -> Image:
    if recipe.electrons_per_px is None:
        return degrade.quantise(seen, 8)
    if rng.random() >= recipe.noiseless_share:
        low, high = recipe.electrons_per_px
        dose = low * (high / low) ** (rng.random() ** (1 / recipe.dose_skew))
        amplifier = rng.uniform(0, 0.02) if rng.random() < recipe.amplifier_share else 0.0
        rho = rng.uniform(0.1, 0.6) if rng.random() < recipe.correlated_share else 0.0
        seen = degrade.expose(seen, dose, rng, amplifier=amplifier, fast_axis_correlation=rho)
    return degrade.quantise(seen, 8 if rng.random() < 0.8 else 16)
