"""What the experiments are measured on: noise-free frames as in the paper, and frames of a finite dose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.training import degrade
from semdaemon.training.experiments.catalogue import LEVELS_PX
from semdaemon.training.frames import CorpusFrame

Image = npt.NDArray[np.float32]

RADII_PX = (0.0, *LEVELS_PX)
DOSES: tuple[float | None, ...] = (None, 400.0, 50.0)
"""Electrons per pixel at full scale; None is free of noise, as the published world is."""

HALF_BLURRED_PX = 4.0


@dataclass(frozen=True)
class Case:
    """A degraded crop and the truth, each (h, w) float32 in [0, 1]."""

    seen: Image
    sharp: Image


def dose_name(dose: float | None) -> str:
    """How a dose is called in results and tables."""
    return "noise-free" if dose is None else f"{dose:g} e/px"


def blurred(
    frames: Sequence[CorpusFrame], radius_px: float, dose: float | None, *, crop_px: int, seed: int
) -> list[Case]:
    """The central crop of each frame under one condition: disc blur of the whole frame, dose, 8 bits."""
    return [
        _case(
            frame, _defocused(frame.pixels, radius_px, crop_px), dose, [seed, number, round(10 * radius_px)]
        )
        for number, frame in enumerate(frames)
    ]


def half_blurred(frames: Sequence[CorpusFrame], dose: float | None, *, crop_px: int, seed: int) -> list[Case]:
    """Crops whose left half is sharp and whose right half is out of focus by ``HALF_BLURRED_PX``."""
    cases = []
    for number, frame in enumerate(frames):
        defocused = _defocused(frame.pixels, HALF_BLURRED_PX, crop_px)
        sharp = frame.pixels[_central(frame.pixels.shape, crop_px)]
        half = sharp.shape[1] // 2
        both = np.hstack([sharp[:, :half], defocused[:, half:]])
        cases.append(_case(frame, both, dose, [seed, number, 999]))
    return cases


def _defocused(pixels: Image, radius_px: float, crop_px: int) -> Image:
    window = _central(pixels.shape, crop_px)
    return degrade.blur(pixels, degrade.probe_kernel(radius_px))[window]


def _case(frame: CorpusFrame, crop: Image, dose: float | None, seed: list[int]) -> Case:
    sharp = frame.pixels[_central(frame.pixels.shape, crop.shape[0], crop.shape[1])]
    if dose is not None:
        crop = degrade.expose(crop, dose, np.random.default_rng([*seed, round(dose)]))
    return Case(degrade.quantise(crop, 8), np.ascontiguousarray(sharp))


def _central(shape: tuple[int, ...], height_px: int, width_px: int | None = None) -> tuple[slice, slice]:
    """The middle of a frame, its sides multiples of 16 so that every network takes it."""
    wanted = (height_px, height_px if width_px is None else width_px)
    sides = [min(n, side) // 16 * 16 for n, side in zip(shape, wanted, strict=True)]
    rows, columns = (slice((n - side) // 2, (n + side) // 2) for n, side in zip(shape, sides, strict=True))
    return rows, columns
