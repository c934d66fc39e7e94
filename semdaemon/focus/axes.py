"""Where on a frame astigmatism is looked for: at the scale that fits its blur, and region by region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.focus.artefacts.noise import CORNER
from semdaemon.focus.astigmatism import FEWEST_TILES, Astigmatism, astigmatism
from semdaemon.focus.tilepower import WINDOW_PX, TilePower, tile_power
from semdaemon.focus.tiles import Grid
from semdaemon.frame import Area, Pixels, binned

Array = npt.NDArray[Any]

_SIGMA_AT_SCALE_PX = 1.6
"""A frame is binned 2 or 4 times until its blur is below this: then a window of 128 px holds enough of it."""
_LONG_AT_SCALE_PX = 2.4
_LONGEST_AT_SCALE_PX = 3.4
"""Beyond, its direction is not to be trusted even where a frame is too small to be binned again."""

_SCALES = (1, 2, 4)
_MOST_WINDOWS = 256
_REGION_TILES = 4
"""Astigmatism is told of regions of so many tiles in each direction, at least: fewer are too noisy."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame, and the blur of it along two axes."""

    area: Area
    astigmatism: Astigmatism


@dataclass(frozen=True)
class _Windows:
    """Spectra of windows, their centres in frame pixels, and their blur in pixels of the scale."""

    polar: Array
    noise: Array
    y_px: Array
    x_px: Array
    sigma_px: Array

    def told(self, which: Array, scale: int, shape: tuple[int, int]) -> Astigmatism:
        return astigmatism(self.polar[which], self.noise[which], self.sigma_px[which], shape, scale)


def axes_of(
    image: Pixels, grid: Grid, sigma_px: Array, power: TilePower | None = None
) -> tuple[Astigmatism, tuple[Region, ...]]:
    """Astigmatism of a frame, and of its regions where it has more than one.

    Parameters
    ----------
    image
        (h, w): the image area.
    sigma_px
        (n,) blur of the grid's tiles, row by row; NaN where one cannot be judged.
    power
        Of the grid's tiles where it is known: their spectra are not taken again.
    """
    known = sigma_px[np.isfinite(sigma_px)]
    if not known.size or min(image.shape) < WINDOW_PX:
        return Astigmatism("cannot_tell"), ()
    scale, largest = 1, _largest_scale(image.shape)
    while scale < largest and np.median(known) >= _SIGMA_AT_SCALE_PX * scale:
        scale *= 2
    shape = (WINDOW_PX, WINDOW_PX)
    while True:
        windows = _windows(image, grid, sigma_px, scale, power)
        whole = windows.told(np.ones(len(windows.noise), bool), scale, shape)
        # A long smear is told by its side lobes, which point the wrong way, unless the scale fits it.
        if not whole.differs or whole.sigma_long_px < _LONG_AT_SCALE_PX * scale:
            break
        if scale == largest:
            if whole.sigma_long_px < _LONGEST_AT_SCALE_PX * scale:
                break
            return Astigmatism("cannot_tell"), ()
        scale *= 2
    areas = _regions(grid)
    if len(areas) == 1:
        return whole, ()
    return whole, tuple(Region(area, windows.told(_inside(windows, area), scale, shape)) for area in areas)


def _windows(image: Pixels, grid: Grid, sigma_px: Array, scale: int, power: TilePower | None) -> _Windows:
    small = image if scale == 1 else binned(image, scale)
    step = _step(scale)
    while (small.shape[0] // step) * (small.shape[1] // step) > 2 * _MOST_WINDOWS:
        step *= 2
    tops, lefts = (_starts(side, step) for side in small.shape)
    corners = [(top, left) for top in tops for left in lefts]
    middles = (np.array(corners) + WINDOW_PX / 2) * scale
    area, sigmas = grid.area, sigma_px.reshape(grid.rows, grid.cols)
    rows = np.minimum(middles[:, 0] // grid.tile_px, grid.rows - 1).astype(int)
    cols = np.minimum(middles[:, 1] // grid.tile_px, grid.cols - 1).astype(int)
    if power is None or scale > 1 or not _are_tiles(tops, lefts, grid):
        power = tile_power([small[top : top + WINDOW_PX, left : left + WINDOW_PX] for top, left in corners])
    return _Windows(
        power.polar,
        power.noise[:, CORNER],
        middles[:, 0] + area.top,
        middles[:, 1] + area.left,
        sigmas[rows, cols] / scale,
    )


def _are_tiles(tops: list[int], lefts: list[int], grid: Grid) -> bool:
    """Whether the windows that begin there are the grid's tiles."""
    down, across = grid.slices()
    starts = [each.start for each in down], [each.start for each in across]
    return grid.tile_px == WINDOW_PX and starts == (tops, lefts)


def _largest_scale(shape: tuple[int, ...]) -> int:
    """How often a frame can be binned and still hold enough windows; 1 at least."""
    fits = [scale for scale in _SCALES if min(shape) >= WINDOW_PX * scale]
    enough = [scale for scale in fits if _window_count(shape, scale) >= FEWEST_TILES]
    return max(enough, default=1)


def _window_count(shape: tuple[int, ...], scale: int) -> int:
    rows, cols = (len(_starts(side // scale, _step(scale))) for side in shape)
    return rows * cols


def _step(scale: int) -> int:
    # Binned windows overlap by half: there are few, and the window function mutes what they share.
    return WINDOW_PX if scale == 1 else WINDOW_PX // 2


def _starts(side: int, step: int) -> list[int]:
    """Where windows begin along a side: evenly, from one end to the other, no more than a step apart."""
    count = -(-(side - WINDOW_PX) // step) + 1
    return [round(start) for start in np.linspace(0, side - WINDOW_PX, count)]


def _regions(grid: Grid) -> list[Area]:
    areas = []
    for rows in _split(grid.rows):
        for cols in _split(grid.cols):
            first, last = grid.cell(rows[0], cols[0]), grid.cell(rows[-1], cols[-1])
            areas.append(Area(first.top, first.left, last.bottom, last.right))
    return areas


def _inside(windows: _Windows, area: Area) -> Array:
    rows = (windows.y_px >= area.top) & (windows.y_px < area.bottom)
    return np.asarray(rows & (windows.x_px >= area.left) & (windows.x_px < area.right))


def _split(count: int) -> list[list[int]]:
    return [part.tolist() for part in np.array_split(np.arange(count), max(1, count // _REGION_TILES))]
