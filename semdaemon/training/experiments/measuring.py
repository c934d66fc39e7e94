"""One trained network under every condition, frame by frame, as numbers that go into a JSON file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.training.experiments.conditions import (
    DOSES,
    RADII_PX,
    Case,
    blurred,
    dose_name,
    half_blurred,
)
from semdaemon.training.frames import CorpusFrame
from semdaemon.training.quality import psnr_db, ssim

Image = npt.NDArray[np.float32]
Refocus = Callable[[Image], Image]


@dataclass(frozen=True)
class Measured:
    """A network (or the input itself) under one condition; lists have one figure a frame.

    ``error`` is the root mean square difference to the truth, in grey levels of 255.
    """

    radius_px: float
    dose: str
    psnr_db: list[float]
    ssim: list[float]
    error: list[float]


@dataclass(frozen=True)
class Halves:
    """Frames half sharp, half blurred: errors of each half in grey levels of 255, one figure a frame."""

    dose: str
    sharp_error: list[float]
    blurred_error: list[float]


def unchanged(seen: Image) -> Image:
    """What everything is compared with: the frame as it came."""
    return seen


def measure(frames: Sequence[CorpusFrame], refocus: Refocus, *, crop_px: int, seed: int) -> dict[str, Any]:
    """All conditions and the half-sharp frames, ready for JSON."""
    whole = [
        _whole(blurred(frames, radius_px, dose, crop_px=crop_px, seed=seed), refocus, radius_px, dose)
        for dose in DOSES
        for radius_px in RADII_PX
    ]
    halves = [
        _halves(half_blurred(frames, dose, crop_px=crop_px, seed=seed), refocus, dose) for dose in DOSES
    ]
    return {"whole": [asdict(row) for row in whole], "halves": [asdict(row) for row in halves]}


def _whole(cases: Sequence[Case], refocus: Refocus, radius_px: float, dose: float | None) -> Measured:
    results = [np.clip(refocus(case.seen), 0, 1) for case in cases]
    pairs = [(result, case.sharp) for result, case in zip(results, cases, strict=True)]
    return Measured(
        radius_px,
        dose_name(dose),
        [round(psnr_db(*pair), 3) for pair in pairs],
        [round(ssim(*pair), 4) for pair in pairs],
        [_error(*pair) for pair in pairs],
    )


def _halves(cases: Sequence[Case], refocus: Refocus, dose: float | None) -> Halves:
    sharp, defocused = [], []
    for case in cases:
        result, half = np.clip(refocus(case.seen), 0, 1), case.sharp.shape[1] // 2
        sharp.append(_error(result[:, :half], case.sharp[:, :half]))
        defocused.append(_error(result[:, half:], case.sharp[:, half:]))
    return Halves(dose_name(dose), sharp, defocused)


def _error(image: Image, sharp: Image) -> float:
    return round(255 * float(np.sqrt(np.mean((image.astype(np.float64) - sharp) ** 2))), 3)
