"""Periods in the steps from line to line: JPEG blocks, enlarged frames, repeated lines.

The mean step between neighbouring rows (or columns) is a curve over the frame.
Interpolation makes it periodic by the scale (Gallagher, *Detection of linear and cubic interpolation in JPEG
compressed images*, CRV 2005), JPEG by its block of 8 pixels, repeated lines by their number; what a specimen
shows has no sharp period in both axes at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from semdaemon.frame import Pixels

_LINES = 512
"""Lines over which a curve is averaged."""

_SHORTEST_PX = 144
_UNIT_PX = 48
"""Curves are cut to a multiple of this, so that 1/2, 1/3, 1/4 and 1/8 are frequencies of theirs."""

_LOWEST = 0.1
_TREND_PX = 33
_PEAK = 600.0
"""Power over the curve's own noise; the highest of 91 sharp frames had 12 along rows, 58 along columns."""
_REPEATED_PEAK = 2000.0
_BLOCKS = 8.0


@dataclass(frozen=True, slots=True)
class Curve:
    """Spectrum of the steps along one axis.

    Attributes
    ----------
    power
        (n // 2 + 1,), over the curve's median power: about 1 without a period.
    length
        n, a multiple of 48.
    """

    power: npt.NDArray[np.float64]
    length: int

    @property
    def peak(self) -> tuple[float, float]:
        """``(frequency in cycles/px, power)`` of the strongest period below 10 px."""
        first = int(_LOWEST * self.length)
        place = first + int(np.argmax(self.power[first:]))
        return place / self.length, float(self.power[place])

    @property
    def blocks(self) -> float:
        """Mean power at the harmonics of 8 px."""
        eighth = self.length // 8
        # The last one, at half a cycle per pixel, has one degree of freedom and twice the power.
        return float(np.mean(self.power[[eighth, 2 * eighth, 3 * eighth, 4 * eighth]] / [1, 1, 1, 2]))

    @property
    def odd_blocks(self) -> float:
        """The stronger of 1/8 and 3/8 cycles per pixel: JPEG has them, a frame enlarged 2 or 4 times not."""
        eighth = self.length // 8
        return float(max(self.power[eighth], self.power[3 * eighth]))


def periods(image: Pixels) -> list[str]:
    """Codes of what is periodic in a frame, (h, w) of any real dtype."""
    if min(image.shape) < _SHORTEST_PX:
        return []
    fast, slow = step_curve(image), step_curve(image.T)
    if _is_jpeg(fast, slow):
        return ["jpeg_blocks"]
    (k_fast, fast_peak), (k_slow, slow_peak) = fast.peak, slow.peak
    if min(fast_peak, slow_peak) > _PEAK and abs(k_fast - k_slow) < 0.01:
        return ["resampled"]
    repeated = slow_peak > _REPEATED_PEAK and slow_peak > 30 * fast_peak
    return ["lines_repeated"] if repeated else []


def step_curve(image: Pixels) -> Curve:
    """Spectrum of the mean step between neighbouring columns; of rows for the transposed image."""
    curve = np.log(_mean_steps(image) + np.float32(0.05))
    curve -= ndimage.uniform_filter1d(curve, _TREND_PX)
    # One scratch or line of dust must not spread over all frequencies.
    spread = 1.4826 * float(np.median(np.abs(curve))) + 1e-9
    length = curve.size // _UNIT_PX * _UNIT_PX
    curve = np.clip(curve, -4 * spread, 4 * spread)[:length]
    power = np.square(np.abs(fft.rfft(curve - curve.mean())))
    noise = float(np.median(power[int(_LOWEST * length) :])) / np.log(2)
    return Curve(np.asarray(power / max(noise, 1e-12), np.float64), length)


def _mean_steps(image: Pixels) -> npt.NDArray[np.float32]:
    """(w - 1,) mean size of the step from each column to the next, over some of the rows."""
    total, count = np.zeros(image.shape[1] - 1), 0
    for run in _runs(image, _LINES):  # a run and its steps fit the cache
        grey = run.astype(np.float32)
        steps = grey[:, 1:] - grey[:, :-1]
        total += np.abs(steps, out=steps).sum(axis=0)
        count += len(run)
    return np.asarray(total / count, np.float32)


def _is_jpeg(fast: Curve, slow: Curve) -> bool:
    odd = all(curve.odd_blocks > max(0.5 * _BLOCKS, 0.03 * curve.blocks) for curve in (fast, slow))
    return odd and _block_strength(fast, slow) > _BLOCKS


def _block_strength(fast: Curve, slow: Curve) -> float:
    return float(np.sqrt(fast.blocks * slow.blocks))


def some_lines(image: Pixels, count: int) -> npt.NDArray[Any]:
    """At most ``count`` of the rows, in eight runs over the image: runs are read faster than single rows."""
    return np.concatenate(_runs(image, count))


def _runs(image: Pixels, count: int) -> list[Pixels]:
    if image.shape[0] <= count:
        return [image]
    run = count // 8
    starts = np.linspace(0, image.shape[0] - run, 8).astype(int)
    return [image[start : start + run] for start in starts]
