"""Power of tiles in all the bands that anything looks at, from one spectrum of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from semdaemon.focus.artefacts.noise import BANDS, bands
from semdaemon.focus.astigmatism import polar_bands
from semdaemon.focus.spectra import band_power
from semdaemon.frame import Pixels

Powers = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TilePower:
    """Power of n tiles, squared grey levels.

    Attributes
    ----------
    noise
        (n, BANDS) float32 in the bands of `semdaemon.focus.artefacts.noise`.
    polar
        (n, RINGS * SECTORS) float32 in those of `semdaemon.focus.astigmatism.polar_bands`.
    """

    noise: Powers
    polar: Powers


def tile_power(tiles: Sequence[Pixels]) -> TilePower:
    """Of n tiles (h, w) of one shape, any real dtype."""
    power = band_power(tiles, _masks(tiles[0].shape))
    return TilePower(power[:, :BANDS], power[:, BANDS:])


@lru_cache(maxsize=4)
def _masks(shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array(np.concatenate([bands(shape), polar_bands(shape)], axis=1).T)
