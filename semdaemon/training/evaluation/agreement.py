"""Two weights on frames whose truth nobody knows: what audit, estimator and each other say of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from scipy import ndimage

from semdaemon.focus import BLURRED, FocusMap, Scorer
from semdaemon.focus.tiles import Grid
from semdaemon.frame import Area, FloatImage, Frame, Mask, Pixels, intensity_range, to_unit
from semdaemon.refocus.audit import noise_sd

WINDOW_PX = 192
"""Side of the square in which the largest disagreement is looked for."""

_BEYOND_NOISE = 3.0


class Answer(Protocol):
    """What is asked of a refocused frame: a `semdaemon.worker.WorkerAnswer`, say."""

    @property
    def pixels(self) -> Pixels: ...
    @property
    def mask(self) -> Mask: ...
    @property
    def regions(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class Way:
    """How one weights file is used: as the daemon would.

    Attributes
    ----------
    scores
        A frame's focus map, with the limit of repair that these weights have.
    refocuses
        A frame and its focus map refocused.
    scorer
        The estimator behind the focus map, for a second look at what was changed.
    """

    scores: Callable[[Frame], FocusMap]
    refocuses: Callable[[Frame, FocusMap], Answer]
    scorer: Scorer


@dataclass(frozen=True)
class Side:
    """What one weights file made of a frame, on the daemon's own path.

    Attributes
    ----------
    pixels, mask
        Of the frame's shape; the original and nothing changed where there was nothing to refocus.
    regions, accepted
        How many were tried, and how many the audit let through.
    unexplained
        Median over the tried regions of the share of contrast that re-blurring leaves unexplained; None
        without an audited region.
    changed
        Share of the image area that was changed.
    sigma_before_px, sigma_after_px
        Median blur over the changed tiles, each by itself, as the estimator sees it; None without any.
        The estimator was made for frames with noise, which a refocused one has lost: a hint, no proof.
    seconds
        Time in the worker.
    """

    pixels: Pixels
    mask: Mask
    regions: int
    accepted: int
    unexplained: float | None
    changed: float
    sigma_before_px: float | None
    sigma_after_px: float | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        left_out = ("pixels", "mask")
        return {key: getattr(self, key) for key in self.__dataclass_fields__ if key not in left_out}


@dataclass(frozen=True)
class Agreement:
    """How far two answers to one frame are from each other.

    Attributes
    ----------
    noise_grey
        Standard deviation of the frame's own noise, grey levels.
    rms_over_noise
        Root mean square of B - A where both changed the frame, in units of that noise; None where nowhere.
    beyond_noise
        Share of those pixels in which they differ by more than three times the noise.
    only_a, only_b
        Share of the image area that one alone changed.
    place
        Where they differ most, in frame coordinates; None where they do not differ.
    """

    noise_grey: float
    rms_over_noise: float | None
    beyond_noise: float | None
    only_a: float
    only_b: float
    place: Area | None

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "place": None if self.place is None else self.place.as_list()}


def side(frame: Frame, way: Way) -> Side:
    """One weights file's answer to a frame: score, refocus, audit, and estimate the blur again."""
    focus = way.scores(frame)
    if not (focus.verdict == BLURRED).any():
        untouched = np.zeros(frame.shape, bool)
        return Side(frame.pixels, untouched, 0, 0, None, 0.0, None, None, 0.0)
    answer = way.refocuses(frame, focus)
    audited = [r["unexplained"] for r in answer.regions if r["unexplained"] is not None]
    before, after = _sigmas(frame, focus, answer, way.scorer)
    return Side(
        pixels=answer.pixels,
        mask=answer.mask,
        regions=len(answer.regions),
        accepted=sum(bool(region["accepted"]) for region in answer.regions),
        unexplained=float(np.median(audited)) if audited else None,
        changed=float(answer.mask[frame.image_area.slices].mean()),
        sigma_before_px=before,
        sigma_after_px=after,
        seconds=answer.seconds,
    )


def agreement(frame: Frame, a: Side, b: Side) -> Agreement:
    """Compare two answers; what neither changed is the original in both, and counts for nothing."""
    inside = frame.image_area.slices
    noise = noise_grey(frame)
    difference = difference_over_noise(frame, a, b)
    in_a, in_b = a.mask[inside], b.mask[inside]
    both = difference[in_a & in_b]
    return Agreement(
        noise_grey=noise,
        rms_over_noise=float(np.sqrt(np.mean(both**2))) if both.size else None,
        beyond_noise=float(np.mean(np.abs(both) > _BEYOND_NOISE)) if both.size else None,
        only_a=float((in_a & ~in_b).mean()),
        only_b=float((in_b & ~in_a).mean()),
        place=_largest(difference, frame.image_area),
    )


def noise_grey(frame: Frame) -> float:
    """Standard deviation of the frame's noise in grey levels, at least that of rounding to whole ones."""
    low, high = intensity_range(frame.image)
    found = noise_sd(to_unit(frame.image, (low, high))) * (high - low)
    rounding = 1 / np.sqrt(12) if frame.pixels.dtype.kind in "iu" else 1e-6 * (high - low)
    return float(max(found, rounding))


def difference_over_noise(frame: Frame, a: Side, b: Side) -> FloatImage:
    """B - A over the image area, (h, w) float32, in units of the frame's noise."""
    inside = frame.image_area.slices
    apart = b.pixels[inside].astype(np.float32) - a.pixels[inside].astype(np.float32)
    return np.asarray(apart / np.float32(noise_grey(frame)), np.float32)


def _sigmas(
    frame: Frame, focus: FocusMap, answer: Answer, scorer: Scorer
) -> tuple[float | None, float | None]:
    grid = Grid(focus.area, focus.tile_px)
    places = [
        (int(row), int(column))
        for row, column in np.argwhere(focus.verdict == BLURRED)
        if answer.mask[focus.cell(row, column).slices].any()
    ]
    pairs = [
        tuple(
            float(scorer.estimate(pixels[grid.window(*place).slices][None].astype(np.float32)).sigma_px[0])
            for pixels in (frame.pixels, answer.pixels)
        )
        for place in places
    ]
    known = np.array([pair for pair in pairs if np.isfinite(pair).all()])
    if not known.size:
        return None, None
    before, after = np.median(known, axis=0)
    return float(before), float(after)


def _largest(difference: FloatImage, area: Area) -> Area | None:
    """The window with the largest mean square difference, inside the image area."""
    if not difference.any():
        return None
    height, width = (min(WINDOW_PX, side) for side in difference.shape)
    power = ndimage.uniform_filter(difference**2, (height, width), mode="constant")
    # The filter's window for centre c begins at c - size // 2: only centres whose window lies inside count.
    rows = slice(height // 2, height // 2 + difference.shape[0] - height + 1)
    columns = slice(width // 2, width // 2 + difference.shape[1] - width + 1)
    top, left = np.unravel_index(int(power[rows, columns].argmax()), power[rows, columns].shape)
    return Area(
        area.top + int(top),
        area.left + int(left),
        area.top + int(top) + height,
        area.left + int(left) + width,
    )
