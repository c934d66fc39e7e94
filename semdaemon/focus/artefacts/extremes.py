"""Pixels at a frame's lowest and highest grey level: saturation, and what was burnt in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.frame import Pixels

Mask = npt.NDArray[np.bool_]

SATURATED_SHARE = 0.04
"""Share of a tile's pixels that begin a solid run; single pixels at the end of the scale do no harm."""

_RUN_PX = 8
_FEWEST_PX = 3 * _RUN_PX
_RULED_PX = 2 * _RUN_PX


def extremes(tile: Pixels, levels: tuple[Any, Any]) -> tuple[bool, bool]:
    """``(saturated, lettered)`` of a tile.

    Parameters
    ----------
    tile
        (h, w), any real dtype.
    levels
        Lowest and highest value of the image area.
    """
    saturated = lettered = False
    for level in levels:
        mask = tile == level
        count = int(np.count_nonzero(mask))
        if _FEWEST_PX <= count < tile.size:
            saturated |= int(np.count_nonzero(_runs(mask))) >= SATURATED_SHARE * tile.size
            lettered |= ruled_px(mask) >= _RULED_PX
    return saturated, lettered


def ruled_by_streaks(tile: Pixels, levels: tuple[Any, Any]) -> bool:
    """Whether a lettered tile's straight borders are those of single rows, as clipped streaks leave them."""
    for level in levels:
        mask = tile == level
        thick = np.zeros_like(mask)
        pairs = mask[1:] & mask[:-1]
        thick[1:] |= pairs
        thick[:-1] |= pairs
        if ruled_px(thick) >= _RULED_PX:
            return False
    return True


def ruled_px(mask: Mask) -> int:
    """Length of straight borders of a mask, counted where 8 or more pixels in a row begin at one line.

    A lens, a probe and noise leave no such border; a font and a ruler do.
    """
    return _borders(mask) + _borders(mask.T)


def _borders(mask: Mask) -> int:
    inside, outside = _runs(mask), _runs(~mask)
    return int(np.count_nonzero((inside[1:] & outside[:-1]) | (inside[:-1] & outside[1:])))


def _runs(mask: Mask) -> Mask:
    """True where 8 pixels from here to the right are all set."""
    for shift in (1, 2, 4):
        mask = mask[:, shift:] & mask[:, :-shift]
    return mask
