"""The grid of tiles on an image area, and whether a tile holds anything to judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from semdaemon.frame import Area, FloatImage, Pixels

_SATURATED_SHARE = 0.5
_NOISE_SDS = 4.0


@dataclass(frozen=True)
class Grid:
    """Cells of ``tile_px`` on an area; a remainder thinner than half a tile belongs to its neighbour."""

    area: Area
    tile_px: int

    @property
    def rows(self) -> int:
        return _cells(self.area.height, self.tile_px)

    @property
    def cols(self) -> int:
        return _cells(self.area.width, self.tile_px)

    def cell(self, row: int, col: int) -> Area:
        """Pixels of one cell in frame coordinates; cells cover the area without overlap."""
        if not (0 <= row < self.rows and 0 <= col < self.cols):
            raise IndexError(f"tile ({row}, {col}) is outside {self.rows} rows x {self.cols} columns")
        top, bottom = _span(row, self.area.height, self.tile_px)
        left, right = _span(col, self.area.width, self.tile_px)
        y, x = self.area.top, self.area.left
        return Area(y + top, x + left, y + bottom, x + right)

    def window(self, row: int, col: int) -> Area:
        """The full tile that is scored for a cell: centred on it and shifted inside the area."""
        cell = self.cell(row, col)
        top, bottom = _window(cell.top, cell.bottom, self.area.top, self.area.bottom, self.tile_px)
        left, right = _window(cell.left, cell.right, self.area.left, self.area.right, self.tile_px)
        return Area(top, left, bottom, right)

    def slices(self) -> tuple[list[slice], list[slice]]:
        """Rows of the windows from top to bottom, columns from left to right, in pixels of the area."""
        down = [self.window(row, 0).slices[0] for row in range(self.rows)]
        across = [self.window(0, col).slices[1] for col in range(self.cols)]
        return _moved(down, self.area.top), _moved(across, self.area.left)

    def centres(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """``(y_px, x_px)``: middles of the windows, row by row, from the middle of the area; (n,) each."""
        down, across = ([(each.start + each.stop) / 2 for each in ways] for ways in self.slices())
        y, x = np.array(down) - self.area.height / 2, np.array(across) - self.area.width / 2
        return np.repeat(y, x.size), np.tile(x, y.size)

    def tiles(self, image: Pixels) -> Sequence[Pixels]:
        """Views of the scored windows, row by row; ``image`` is the area's own pixels."""
        return _Tiles(self, image)


class _Tiles(Sequence[Pixels]):
    """Windows on demand, so that a frame is never copied as a whole."""

    def __init__(self, grid: Grid, image: Pixels) -> None:
        self._image = image
        self._rows, self._cols = grid.slices()

    def __len__(self) -> int:
        return len(self._rows) * len(self._cols)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Pixels]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row, col = divmod(int(index), len(self._cols))
        return self._image[self._rows[row], self._cols[col]]


def stands_out(tile: Pixels) -> bool:
    """False for a tile of noise only, whose rows do not stand out of it; ask `is_blank` first.

    Noise is told from signal along the slow-scan axis (rows), where a detector's noise is white: its
    autocorrelation at lags 1 and 2 must stand four standard deviations above that of white noise.
    What depends on the row or on the column alone is taken off first: shading, a vignette, lines of unequal
    brightness and hum are no signal either.

    Parameters
    ----------
    tile
        (h, w), any dtype.
    """
    centred = _flattened(np.asarray(tile, np.float32))
    power = _mean_product(centred, centred)
    if power <= 0 or tile.shape[0] < 3:
        return False
    lags = [_mean_product(centred[lag:], centred[:-lag]) / power for lag in (1, 2)]
    return bool(max(lags) > _NOISE_SDS / tile.size**0.5)


def is_blank(tile: Pixels, extremes: tuple[Any, Any]) -> bool:
    """Whether a tile is constant, or mostly at one of the ``extremes`` of the image area."""
    low, high = tile.min(), tile.max()
    if low == high:
        return True
    reached = [level for level in extremes if level in (low, high)]
    return any(np.count_nonzero(tile == level) >= _SATURATED_SHARE * tile.size for level in reached)


def _flattened(tile: FloatImage) -> FloatImage:
    """The tile without what depends on row or column alone, and without a twist."""
    flat: FloatImage = tile - tile.mean(axis=1, keepdims=True)
    flat -= flat.mean(axis=0, keepdims=True)
    y, x = (_ramp(side) for side in tile.shape)
    twist = float(y @ flat @ x) / max(float(y @ y) * float(x @ x), 1e-12)
    flat -= np.float32(twist) * y[:, None] * x
    return flat


@lru_cache(maxsize=8)
def _ramp(side_px: int) -> npt.NDArray[np.float32]:
    return np.linspace(-1, 1, side_px, dtype=np.float32)


def _mean_product(one: FloatImage, other: FloatImage) -> float:
    # In one pass, and unlike numpy's products without waking the threads of its algebra library.
    return float(np.einsum("ij,ij->", one, other)) / one.size


def _moved(slices: list[slice], start: int) -> list[slice]:
    return [slice(each.start - start, each.stop - start) for each in slices]


def _cells(length_px: int, tile_px: int) -> int:
    whole, rest = divmod(length_px, tile_px)
    return max(1, whole + (2 * rest >= tile_px))


def _span(index: int, length_px: int, tile_px: int) -> tuple[int, int]:
    last = index == _cells(length_px, tile_px) - 1
    return index * tile_px, length_px if last else (index + 1) * tile_px


def _window(start: int, stop: int, first: int, last: int, tile_px: int) -> tuple[int, int]:
    side = min(tile_px, last - first)
    begin = min(max((start + stop - side) // 2, first), last - side)
    return begin, begin + side
