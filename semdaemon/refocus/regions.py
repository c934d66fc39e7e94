"""Which pixels are refocused, at which working scale, and how they are blended in.

A *region* is a connected set of blurred tiles.
Blur beyond what the network was trained on is served at a coarser *working scale*: the picture is binned
2x or 4x, so that its blur falls inside the trained range; nothing finer than the blur is lost by that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.focus.map import VERDICTS, FocusMap
from semdaemon.frame import Area, FloatImage, Mask

WORKING_SCALES = (1, 2, 4)
BLURRED = VERDICTS.index("blurred")


@dataclass(frozen=True, slots=True)
class Region:
    """A connected set of blurred tiles that is refocused as one.

    Attributes
    ----------
    number
        From 1, in reading order of the first tile.
    tiles
        (row, column) of each tile in the focus map.
    area
        Bounding rectangle in frame coordinates.
    sigma_px
        Median blur of its tiles, pixels; NaN where none is known.
    """

    number: int
    tiles: tuple[tuple[int, int], ...]
    area: Area
    sigma_px: float


@dataclass(frozen=True)
class Plan:
    """What will be refocused.

    Attributes
    ----------
    regions
        In order of their numbers.
    labels
        (rows, columns) int32: a region's number, or 0.
    scales
        (rows, columns) uint8: the working scale of each tile.
    """

    focus: FocusMap
    regions: tuple[Region, ...]
    labels: npt.NDArray[np.int32]
    scales: npt.NDArray[np.uint8]


def plan_regions(
    focus: FocusMap, *, sigma_max_px: float, min_tiles: int = 1, everywhere: bool = False
) -> Plan:
    """Group blurred tiles into regions and choose each tile's working scale.

    Parameters
    ----------
    sigma_max_px
        Largest blur at native scale that the weights were trained on, pixels (from their card).
    min_tiles
        Smaller regions are left alone.
    everywhere
        One region of all tiles, whatever their verdict.
    """
    wanted = np.ones_like(focus.verdict, bool) if everywhere else focus.verdict == BLURRED
    # Tiles that touch at a corner share an edge of blur more often than not: one region, one audit.
    found, count = ndimage.label(wanted, structure=np.ones((3, 3), bool))
    labels = np.zeros(found.shape, np.int32)
    regions: list[Region] = []
    for old in range(1, count + 1):
        rows, columns = np.nonzero(found == old)
        if len(rows) < min_tiles:
            continue
        tiles = tuple((int(r), int(c)) for r, c in zip(rows, columns, strict=True))
        regions.append(_region(len(regions) + 1, tiles, focus))
        labels[rows, columns] = len(regions)
    return Plan(focus, tuple(regions), labels, working_scales(focus.sigma_px, sigma_max_px))


def _region(number: int, tiles: tuple[tuple[int, int], ...], focus: FocusMap) -> Region:
    cells = [focus.cell(row, column) for row, column in tiles]
    area = Area(
        min(c.top for c in cells),
        min(c.left for c in cells),
        max(c.bottom for c in cells),
        max(c.right for c in cells),
    )
    sigmas = np.array([focus.sigma_px[row, column] for row, column in tiles])
    known = sigmas[np.isfinite(sigmas)]
    return Region(number, tiles, area, float(np.median(known)) if known.size else float("nan"))


def working_scales(sigma_px: npt.NDArray[np.float32], sigma_max_px: float) -> npt.NDArray[np.uint8]:
    """The smallest of `WORKING_SCALES` at which each tile's blur is inside the trained range.

    Where the blur is unknown the native scale is taken; where even the coarsest is not enough, the coarsest.
    """
    scales = np.full(sigma_px.shape, WORKING_SCALES[-1], np.uint8)
    for scale in reversed(WORKING_SCALES[:-1]):
        scales[~(sigma_px > sigma_max_px * scale)] = scale
    return scales


def paint(values: npt.NDArray[np.generic], focus: FocusMap) -> npt.NDArray[np.generic]:
    """Tile values (rows, columns) to pixels of the image area (h, w)."""
    painted = np.zeros(focus.area.shape, values.dtype)
    for row in range(focus.rows):
        for column in range(focus.cols):
            painted[_local(focus.cell(row, column), focus.area)] = values[row, column]
    return painted


def _local(cell: Area, area: Area) -> tuple[slice, slice]:
    return (
        slice(cell.top - area.top, cell.bottom - area.top),
        slice(cell.left - area.left, cell.right - area.left),
    )


def blend_weights(mask: Mask, feather_px: int) -> FloatImage:
    """Weights of the refocused picture: 0 outside the mask, rising to 1 over ``feather_px`` inside it.

    The border of the image area is no border of the mask: there is nothing to blend with beyond it.

    Parameters
    ----------
    mask
        (h, w) of the image area.

    Returns
    -------
    (h, w) float32 in [0, 1], exactly 0 wherever the mask is False, and above 0 wherever it is True.
    """
    if feather_px == 0 or mask.all() or not mask.any():
        return mask.astype(np.float32)
    half = max(1, feather_px // 2)
    core = ndimage.minimum_filter(mask.view(np.uint8), size=2 * half + 1, mode="nearest")
    weights = ndimage.uniform_filter(core.astype(np.float32), size=2 * half + 1, mode="nearest")
    # The outermost pixels (and regions thinner than the feather) still count as changed, by a little.
    floor = np.float32(1.0 / (2 * half + 1) ** 2)
    return np.where(mask, np.clip(weights, floor, 1.0), np.float32(0.0)).astype(np.float32)


def scale_shares(plan: Plan, feather_px: int) -> dict[int, FloatImage]:
    """How much each working scale gives to each pixel of the image area: shares that sum to 1.

    Neighbouring tiles of different scales cross-fade over ``2 * feather_px``, so that no seam shows.
    """
    used = sorted({int(s) for s in np.unique(plan.scales[plan.labels > 0])})
    if len(used) == 1:
        return {used[0]: np.ones(plan.focus.area.shape, np.float32)}
    shares = {}
    for scale in used:
        # Tiles outside every region have no say: they take part with all scales alike.
        own = np.where(plan.labels > 0, plan.scales == scale, 0).astype(np.float32)
        painted = paint(own, plan.focus).astype(np.float32)
        shares[scale] = ndimage.uniform_filter(painted, size=2 * feather_px + 1, mode="nearest")
    total = np.maximum(sum(shares.values()), np.float32(1e-6))
    return {scale: (share / total).astype(np.float32) for scale, share in shares.items()}
