"""What one refocused tile shows of its own quality, without the truth: figures that cost next to nothing.

Amplitudes are shares of the frame's intensity range, and enter as logarithms: an error is a factor of them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.frame import FloatImage
from semdaemon.refocus.audit import noise_sd

NAMES = (
    "noise",
    "contrast",
    "detail",
    "change",
    "moved",
    "grain",
    "edges",
    "unexplained",
    "blur",
    "scale",
    "doubt",
)
"""Of the figures in `evidence`, in its order; a card that was fitted to others is not read."""

Figures = npt.NDArray[np.float64]

_LEAST = 1e-4
"""Smaller amplitudes are all the same: a fortieth of a grey level of 8 bits."""

_LEAST_UNEXPLAINED = 0.02
_UNKNOWN_BLUR_PX, _UNKNOWN_SD = 1.25, 0.6


def evidence(
    seen: FloatImage,
    refocused: FloatImage,
    *,
    unexplained: float,
    sigma_px: float,
    relative_sd: float,
    scale: int,
) -> Figures:
    """The figures `NAMES` of one tile.

    Parameters
    ----------
    seen, refocused
        (h, w) float32 of the same place, in units of the frame's intensity range.
    unexplained
        What the re-blur audit found there, see `semdaemon.refocus.audit.Audit`.
    sigma_px, relative_sd
        Estimated blur, pixels, and the standard deviation of its logarithm; NaN where unknown.
    scale
        Working scale.

    Returns
    -------
    (n,) float64, finite:

    - ``noise``: standard deviation of the tile's white noise; ``contrast``: of what is wider than the blur;
    - ``detail``: root mean square of what the result holds above the blur's cutoff;
    - ``change``: of all that the network changed; ``moved``: of the part of it that is wider than the blur;
    - ``grain``: steepness of what it changed, relative to its size (noise taken off is steep);
    - ``edges``: fourth moment of the detail over its squared second, so lines and steps against a weave;
    - ``unexplained``, ``blur`` (at the working scale), ``scale``, ``doubt`` (of the blur): all logarithms.
    """
    known_px = sigma_px if math.isfinite(sigma_px) else _UNKNOWN_BLUR_PX
    changed = refocused - seen
    detail = refocused - _smooth(refocused, known_px)
    contrast = float(np.std(_smooth(seen, known_px)))
    moved = _rms(_smooth(changed, known_px))
    change, fine = _rms(changed), _rms(detail)
    steep = 0.5 * (_rms(np.diff(changed, axis=0)) + _rms(np.diff(changed, axis=1)))
    peaked = float(np.mean(detail.astype(np.float64) ** 4)) / max(fine, _LEAST) ** 4
    return np.array(
        [
            _log(noise_sd(seen)),
            _log(contrast),
            _log(fine),
            _log(change),
            _log(moved),
            _log(steep) - _log(change),
            math.log(max(peaked, 1.0)),
            math.log(max(unexplained, _LEAST_UNEXPLAINED)),
            math.log(max(known_px / scale, 0.3)),
            math.log2(scale),
            math.log(min(max(relative_sd, 0.02), 2.0) if math.isfinite(relative_sd) else _UNKNOWN_SD),
        ]
    )


def _smooth(image: FloatImage, sigma_px: float) -> FloatImage:
    return np.asarray(ndimage.gaussian_filter(image, sigma_px, mode="reflect", truncate=3.0), np.float32)


def _rms(values: FloatImage) -> float:
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2))) if values.size else 0.0


def _log(amplitude: float) -> float:
    return math.log(max(amplitude, _LEAST))
