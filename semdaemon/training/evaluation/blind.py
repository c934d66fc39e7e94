"""Classical methods as instrument software could run them: nothing known but the picture.

The blur is what semdaemon's own estimator reads in the crop, taken for a disc with an in-focus Gaussian.
The parameter follows the discrepancy principle (Morozov 1966): going from smooth to rough, the first picture
that, blurred again, differs from the frame by no more than the frame's own noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from semdaemon.focus.map import focus_map
from semdaemon.focus.sigma import SigmaScorer
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus
from semdaemon.training.degrade import probe_kernel
from semdaemon.training.evaluation import restoring
from semdaemon.training.evaluation.case import Degraded, Image, Method
from semdaemon.training.evaluation.restoring import Path, Prepared, prepare

SIGMA_IN_FOCUS_PX = 0.6
"""Blur that a frame in focus has anyway; what exceeds it is taken for defocus."""

UNSHARP_AMOUNT = 1.0


def estimated_sigma_px(seen: Image) -> float:
    """Equivalent Gaussian blur by semdaemon's focus map: median over decided tiles, 0 where none is."""
    levels = np.rint(np.clip(seen, 0, 1) * 255).astype(np.uint8)
    return _estimated_sigma_px(levels.tobytes(), levels.shape)


@lru_cache(maxsize=2)
def _estimated_sigma_px(content: bytes, shape: tuple[int, int]) -> float:
    """Kept for the crop at hand: every blind method asks."""
    levels = np.frombuffer(content, np.uint8).reshape(shape)
    frame = Frame("0" * 16, "evaluate", "crop", levels, "", Area.whole(levels.shape))
    settings = Focus()
    if min(shape) < settings.tile_px:
        settings = settings.model_copy(update={"tile_px": max(32, min(shape))})
    return focus_map(frame, settings, _scorer()).median_sigma_px() or 0.0


def estimated_kernel(seen: Image) -> Image:
    """The probe that the estimated blur stands for; a single pixel where the crop reads as in focus."""
    sigma_px = estimated_sigma_px(seen)
    if sigma_px <= SIGMA_IN_FOCUS_PX:
        return probe_kernel(0)
    radius_px = 2 * math.sqrt(sigma_px**2 - SIGMA_IN_FOCUS_PX**2)
    return probe_kernel(radius_px, SIGMA_IN_FOCUS_PX)


def deconvolved(case: Degraded, *, path: Callable[[Prepared], Path]) -> Image:
    """The first picture along a path that explains the crop down to its noise; the last where none does."""
    at = prepare(case.seen, estimated_kernel(case.seen))
    noise = restoring.noise_rms(case.seen)
    found = case.seen
    for picture in path(at):
        found = at.cut(picture)
        residual = at.cut(at.reblurred(picture)) - case.seen
        if float(np.sqrt(np.mean(residual.astype(np.float64) ** 2))) <= noise:
            break
    return found


def unsharp(case: Degraded) -> Image:
    """Unsharp mask as wide as the estimated blur, amount 1."""
    sigma_px = max(estimated_sigma_px(case.seen), SIGMA_IN_FOCUS_PX)
    return restoring.unsharp(case.seen, sigma_px, UNSHARP_AMOUNT)


METHODS: dict[str, Method] = {
    **{
        f"blind {name}": partial(deconvolved, path=paths[0])
        for name, paths in restoring.DECONVOLUTIONS.items()
    },
    "blind unsharp mask": unsharp,
}


@lru_cache(maxsize=1)
def _scorer() -> SigmaScorer:
    return SigmaScorer()
