"""Power of tiles in all the bands that anything looks at, from one spectrum of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse

from semdaemon.focus.artefacts.noise import BANDS, Powers, bands
from semdaemon.focus.astigmatism import polar_bands
from semdaemon.focus.spectra import band_power
from semdaemon.frame import Pixels

WINDOW_PX = 128
"""Side of the windows in which astigmatism is looked for."""


@dataclass(frozen=True, slots=True)
class TilePower:
    """Power of n tiles, squared grey levels.

    Attributes
    ----------
    noise
        (n, BANDS) float32 in the bands of `semdaemon.focus.artefacts.noise`.
    polar
        (n, RINGS * SECTORS) float32 in those of `semdaemon.focus.astigmatism.polar_bands`; (n, 0) of tiles
        that are no such window.
    """

    noise: Powers
    polar: Powers


def tile_power(tiles: Sequence[Pixels]) -> TilePower:
    """Of n tiles (h, w) of one shape, any real dtype."""
    power = band_power(tiles, _masks(tiles[0].shape))
    return TilePower(power[:, :BANDS], power[:, BANDS:])


@lru_cache(maxsize=4)
def _masks(shape: tuple[int, int]) -> sparse.csr_array:
    weights = bands(shape)
    if shape == (WINDOW_PX, WINDOW_PX):  # of tiles of 1024 px the polar bands take hundreds of megabytes
        weights = np.concatenate([weights, polar_bands(shape)], axis=1)
    return sparse.csr_array(weights.T)
