"""What a network makes of noise alone, and of nothing at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from semdaemon.training.evaluation.explain.network import Restores, fitting
from semdaemon.training.evaluation.spectra import Curve, Triple, measure

Image = npt.NDArray[np.float32]

GREY = 0.5
NOISE_SD = (0.02, 0.05, 0.1, 0.2)
FLAT_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE_PX = 320
EDGE_PX = 16
LEVELS = 255
"""Deviations are told in grey levels of an 8-bit frame."""

_SD_THAT_STAND_OUT = 3.0
_SURROGATES = 16


@dataclass(frozen=True)
class NoiseResponse:
    """White Gaussian noise about mid grey, and what comes out.

    Attributes
    ----------
    sd, sd_out
        Standard deviation of input and output, range 1.
    peak_levels
        Largest deviation of the output from its mean, in 8-bit grey levels.
    correlation_px
        Distance at which the output's autocorrelation falls to a half.
    largest_px, largest_by_chance_px
        Area of the largest connected patch beyond 3 standard deviations; the same (a median) in fields of
        the same spectrum whose phases are random.
        A network that draws structure into noise has larger patches than chance.
    cycles_per_px, gain
        Amplitude of the output over that of the input, per band.
    """

    sd: float
    sd_out: float
    peak_levels: float
    correlation_px: float
    largest_px: int
    largest_by_chance_px: int
    cycles_per_px: Curve
    gain: Curve


@dataclass(frozen=True)
class FlatResponse:
    """A field of one grey: largest deviation from it in 8-bit grey levels, inside and at the edges."""

    level: float
    inside_levels: float
    edge_levels: float


def noise_response(network: Restores, sd: float, *, seed: int = 0) -> NoiseResponse:
    """Response to white noise of one standard deviation."""
    rng = np.random.default_rng([seed, round(1000 * sd)])
    noise = rng.standard_normal((SIDE_PX, SIDE_PX), dtype=np.float32) * np.float32(sd)
    unit = fitting(np.asarray(GREY + noise, np.float32), network.spec)
    inside = slice(EDGE_PX, -EDGE_PX)
    seen, out = unit[inside, inside], network.restore(unit)[inside, inside]
    spectra = measure([Triple(seen, out, seen)]).pooled()
    field = (out - out.mean()).astype(np.float64)
    by_chance = [_largest_px(_surrogate(field, rng)) for _ in range(_SURROGATES)]
    return NoiseResponse(
        sd,
        float(field.std()),
        float(np.abs(field).max() * LEVELS),
        correlation_px(field),
        _largest_px(field),
        int(np.median(by_chance)),
        spectra.cycles_per_px,
        spectra.gain,
    )


def flat_response(network: Restores, level: float) -> FlatResponse:
    """Response to a field of one grey, without noise."""
    unit = fitting(np.full((SIDE_PX // 2, SIDE_PX // 2), level, np.float32), network.spec)
    off = np.abs(network.restore(unit) - unit) * LEVELS
    inside = off[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]
    return FlatResponse(level, float(inside.max()), float(off.max()))


def correlation_px(field: npt.NDArray[np.float64]) -> float:
    """Distance, averaged over both axes, at which the autocorrelation of a field falls to a half."""
    power = np.abs(fft.fft2(field - field.mean())) ** 2
    correlation = fft.ifft2(power).real
    across = (correlation[0] + correlation[:, 0]) / (2 * correlation[0, 0])
    n = int(np.argmax(across < 0.5))
    return float(n - 1 + (across[n - 1] - 0.5) / (across[n - 1] - across[n])) if n else float("inf")


def _largest_px(field: npt.NDArray[np.float64]) -> int:
    """Area of the largest patch, bright or dark, that stands out."""
    limit = _SD_THAT_STAND_OUT * field.std()
    areas = [0]
    for far in (field > limit, field < -limit):
        labels, _ = ndimage.label(far, np.ones((3, 3)))
        areas.append(int(np.bincount(labels.ravel())[1:].max(initial=0)))
    return max(areas)


def _surrogate(field: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A field of the same spectrum with random phases."""
    phases = np.angle(fft.rfft2(rng.standard_normal(field.shape)))
    return np.asarray(fft.irfft2(np.abs(fft.rfft2(field)) * np.exp(1j * phases), field.shape))
