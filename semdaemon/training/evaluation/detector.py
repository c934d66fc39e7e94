"""A detector by what happens in it: the noise of another generator than training's.

Training counts Poisson electrons, adds white amplifier noise and correlates the sum along a line.
Here primary electrons arrive (Poisson), each frees a Poisson number of secondaries (a Neyman type A law:
counts are over-dispersed), each secondary makes a pulse of drawn height, the amplifier adds 1/f noise in the
order of scanning, the whole signal passes a time constant, every line starts a little early or late, and
the converter has its own offset and depth.
Reimer, Scanning Electron Microscopy (1998), section 4.2; Timischl et al., Scanning 34 (2012) 137.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from semdaemon.training import degrade

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Detector:
    """A detector and its electronics.

    Attributes
    ----------
    yield_at_white
        Secondaries per primary electron where the picture is white.
    pulse_spread
        Standard deviation of a pulse's height over its mean.
    flicker
        Standard deviation of the amplifier's 1/f noise, share of full scale.
    time_constant_px
        Of the detector, in pixels of the fast axis; its mean delay is compensated, as instruments do.
    line_jitter_px
        Standard deviation of a line's start.
    bits
        Depth of the converter.
    """

    yield_at_white: float
    pulse_spread: float
    flicker: float
    time_constant_px: float
    line_jitter_px: float
    bits: int

    @property
    def excess(self) -> float:
        """Noise variance at white over that of a Poisson count of as many electrons."""
        return 1 + (1 + self.pulse_spread**2) / self.yield_at_white

    def expected(self, image: Image, starts_px: npt.NDArray[np.float64]) -> Image:
        """What it would give without noise: time constant and line starts act on the signal as well."""
        return self._slow(_shifted(image, starts_px))

    def records(
        self,
        image: Image,
        electrons_per_px: float,
        starts_px: npt.NDArray[np.float64],
        rng: np.random.Generator,
    ) -> Image:
        """A frame of (h, w) float32; ``electrons_per_px`` primaries hit each pixel."""
        moved = np.clip(_shifted(image, starts_px), 0, None)
        primaries = rng.poisson(electrons_per_px, moved.shape)
        secondaries = rng.poisson(self.yield_at_white * moved * primaries)
        heights = secondaries + self.pulse_spread * np.sqrt(secondaries) * rng.standard_normal(moved.shape)
        signal = heights / (electrons_per_px * self.yield_at_white)
        signal += self.flicker * _flicker(moved.shape, rng)
        return degrade.quantise(self._slow(np.asarray(signal, np.float32)), self.bits)

    def starts(self, lines: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        """Where each line starts, pixels."""
        return self.line_jitter_px * rng.standard_normal(lines)

    def kernel(self) -> Image:
        """What the time constant does to a point, one line, odd: for an oracle to be told."""
        point = np.zeros((1, 33), np.float32)
        point[0, 16] = 1
        line = np.clip(self._slow(point)[0, 8:25], 0, None)
        return np.asarray(line / line.sum(), np.float32)

    def _slow(self, image: Image) -> Image:
        """A single pole along the fast axis, without its mean delay."""
        if self.time_constant_px <= 0:
            return image
        return _filtered(image, lambda f: _pole(f, self.time_constant_px))


def drawn_detector(rng: np.random.Generator) -> Detector:
    """A detector as one laboratory or another has it."""
    return Detector(
        yield_at_white=float(rng.uniform(0.8, 4.0)),
        pulse_spread=float(rng.uniform(0.3, 0.8)),
        flicker=float(rng.uniform(0.0, 0.01)),
        time_constant_px=float(rng.uniform(0.0, 0.5)),
        line_jitter_px=float(rng.uniform(0.0, 0.15)),
        bits=int(rng.choice([8, 10, 12, 16])),
    )


def _pole(frequency: npt.NDArray[np.float64], tau_px: float) -> npt.NDArray[np.complex128]:
    turn = 2j * np.pi * frequency * tau_px
    return np.asarray(np.exp(turn) / (1 + turn))


def _filtered(image: Image, response: object) -> Image:
    pad = 16
    wide = np.pad(image, ((0, 0), (pad, pad)), mode="symmetric")
    frequency = fft.rfftfreq(wide.shape[1])
    spectrum = fft.rfft(wide, axis=1) * response(frequency)  # type: ignore[operator]
    back = fft.irfft(spectrum, wide.shape[1], axis=1)
    return np.asarray(back[:, pad:-pad], np.float32)


def _shifted(image: Image, starts_px: npt.NDArray[np.float64]) -> Image:
    """Each line moved by its start, by the Fourier shift theorem: nothing is smoothed."""
    if not np.any(starts_px):
        return image
    return _filtered(image, lambda f: np.exp(-2j * np.pi * f[None] * starts_px[:, None]))


def _flicker(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """1/f noise in the order of scanning, mean 0 and standard deviation 1: bands along the lines."""
    count = int(np.prod(shape))
    white = fft.rfft(rng.standard_normal(count))
    frequency = fft.rfftfreq(count)
    frequency[0] = np.inf
    noise = fft.irfft(white / np.sqrt(frequency), count)
    return np.asarray((noise / noise.std()).reshape(shape))
