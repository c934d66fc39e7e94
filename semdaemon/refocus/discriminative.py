"""One frame refocused where it is blurred, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image
from scipy import ndimage

from semdaemon.errors import FrameError
from semdaemon.focus.map import FocusMap
from semdaemon.frame import FloatImage, Mask, Pixels, from_unit, intensity_range, to_unit
from semdaemon.refocus.judging import RegionReport, judge
from semdaemon.refocus.regions import Plan, blend_weights, paint, plan_regions, scale_shares
from semdaemon.refocus.trust import Trust
from semdaemon.settings import Refocus


class Refocuses(Protocol):
    """What is asked of an engine here."""

    def refocus(self, unit: FloatImage, wanted: Mask | None = None) -> FloatImage: ...


@dataclass(frozen=True)
class Refocused:
    """A frame after refocusing.

    Attributes
    ----------
    pixels
        The frame's shape and dtype; equal to the original wherever ``mask`` is False.
    mask
        (height, width) bool of the frame: the pixels that refocusing changed.
    regions
        One report a region.
    levels
        Grey levels at 0 and 1 of the network's input.
    """

    pixels: Pixels
    mask: Mask
    regions: tuple[RegionReport, ...]
    levels: tuple[float, float]


def refocus_frame(
    pixels: Pixels,
    focus: FocusMap,
    engine: Refocuses,
    settings: Refocus,
    *,
    sigma_max_px: float,
    alive: Callable[[], None] = lambda: None,
    trust: Trust | None = None,
) -> Refocused:
    """Refocus the blurred regions of a frame.

    Parameters
    ----------
    pixels
        (height, width) of the frame, its own dtype.
    focus
        Its focus map; ``focus.area`` is the image area.
    engine
        Restores pictures; see `semdaemon.refocus.engine.Engine`.
    sigma_max_px
        Largest blur that the engine's weights were trained on, pixels.
    alive
        Called now and then where no tile of the engine is done for long.
    trust
        How far results of these weights can be trusted; None where their card does not say.

    Raises
    ------
    FrameError
        ``not_finite`` where the network's answer is not made of numbers.
    """
    plan = plan_regions(
        focus, sigma_max_px=sigma_max_px, min_tiles=settings.min_tiles, everywhere=settings.everywhere
    )
    image = pixels[focus.area.slices]
    levels = intensity_range(image)
    if not plan.regions:
        return Refocused(pixels.copy(), np.zeros(pixels.shape, bool), (), levels)
    unit = to_unit(image, levels)
    restored = restore(unit, plan, engine, settings.feather_px)
    judged = tuple(judge(region, plan, unit, restored, settings, alive, trust) for region in plan.regions)
    kept = [report.number for report in judged if report.accepted]
    mask = paint(np.isin(plan.labels, kept) & (plan.labels > 0), focus).astype(bool)
    alive()
    return Refocused(
        *_blend(pixels, focus, mask, unit, restored, levels, settings.feather_px), judged, levels
    )


def restore(unit: FloatImage, plan: Plan, engine: Refocuses, feather_px: int) -> FloatImage:
    """The refocused picture of the image area, each place at its own working scale."""
    inside = paint(plan.labels > 0, plan.focus).astype(bool)
    restored = np.zeros_like(unit)
    for scale, share in scale_shares(plan, feather_px).items():
        wanted = inside & (share > 0)
        restored += share * at_scale(unit, scale, wanted, engine)
    if not np.isfinite(restored[inside]).all():
        raise FrameError(
            "not_finite",
            "The network's answer holds NaN or infinities; the original stands.",
            remedy="'semdaemon doctor' checks device and weights; 'semdaemon requeue' tries the frame again.",
        )
    return restored


def at_scale(unit: FloatImage, scale: int, wanted: Mask, engine: Refocuses) -> FloatImage:
    """Bin by ``scale``, refocus, come back by bicubic enlargement; (h, w) to (h, w)."""
    if scale == 1:
        return engine.refocus(unit, wanted)
    low = engine.refocus(_bin(unit, scale), _dilated_any(wanted, scale))
    height, width = low.shape
    large = Image.fromarray(low).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    return np.asarray(large, np.float32)[: unit.shape[0], : unit.shape[1]]


def _bin(unit: FloatImage, scale: int) -> FloatImage:
    padded = np.pad(unit, ((0, -unit.shape[0] % scale), (0, -unit.shape[1] % scale)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // scale, scale, padded.shape[1] // scale, scale)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _dilated_any(mask: Mask, scale: int) -> Mask:
    # Two pixels more at the coarse scale: the bicubic enlargement looks that far.
    padded = np.pad(mask, ((0, -mask.shape[0] % scale), (0, -mask.shape[1] % scale)))
    small = padded.reshape(padded.shape[0] // scale, scale, padded.shape[1] // scale, scale).any(axis=(1, 3))
    return np.asarray(ndimage.maximum_filter(small.view(np.uint8), size=5), np.uint8).astype(bool)


def _blend(
    pixels: Pixels,
    focus: FocusMap,
    mask: Mask,
    unit: FloatImage,
    restored: FloatImage,
    levels: tuple[float, float],
    feather_px: int,
) -> tuple[Pixels, Mask]:
    weights = blend_weights(mask, feather_px)
    mixed = from_unit(unit + weights * (restored - unit), levels, pixels.dtype)
    result, whole = pixels.copy(), np.zeros(pixels.shape, bool)
    whole[focus.area.slices] = mask
    # Assignment through the mask alone: outside it not even rounding can touch a pixel.
    result[focus.area.slices][mask] = mixed[mask]
    return result, whole
