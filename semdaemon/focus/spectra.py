"""Power spectra of a frame's tiles, taken once and read by everything that looks at more than one number.

Each tile's mean is taken off, it is windowed (Hann) and its power divided by that of the window, so that
white noise of variance v has power v at every frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, sparse

from semdaemon.frame import Pixels

Array = npt.NDArray[np.float32]

_BATCH_TILES = 16
"""A batch and its spectrum fit the second-level cache."""


def band_power(tiles: Sequence[Pixels], masks: sparse.csr_array) -> Array:
    """Mean power of n tiles in each of some bands.

    Parameters
    ----------
    tiles
        n arrays (h, w) of one shape, any real dtype.
    masks
        (bands, h * (w // 2 + 1)) float32 weights, each row of sum 1 (see `frequencies` for their order);
        sparse, because a dense product would wake every thread of the machine's algebra library.

    Returns
    -------
    (n, bands) float32, squared grey levels.
    """
    window = _window(tiles[0].shape)
    parts = []
    for start in range(0, len(tiles), _BATCH_TILES):
        batch = np.stack([tiles[i] for i in range(start, min(start + _BATCH_TILES, len(tiles)))])
        batch = batch.astype(np.float32)
        batch -= batch.mean(axis=(1, 2), keepdims=True)
        batch *= window
        spectrum = fft.rfft2(batch)
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        parts.append((masks @ np.ascontiguousarray(power.reshape(len(batch), -1).T)).T)
    return np.concatenate(parts)


def frequencies(shape: tuple[int, int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """``(ky, kx)`` in cycles per pixel, each (h, w // 2 + 1): rows first, negative ky in the second half."""
    ky, kx = fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None]
    return np.broadcast_to(ky, (shape[0], kx.size)), np.broadcast_to(kx, (shape[0], kx.size))


@lru_cache(maxsize=4)
def _window(shape: tuple[Any, ...]) -> Array:
    rows, cols = (np.hanning(side + 2)[1:-1] for side in shape)
    window = np.outer(rows, cols)
    return np.asarray(window / np.sqrt(np.square(window).sum()), np.float32)
