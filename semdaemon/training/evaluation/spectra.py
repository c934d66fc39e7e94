"""Which spatial frequencies a restored picture has back, and which it made up.

Per ring of spatial frequency (cycles per pixel, up to Nyquist's 0.5) a picture ``x`` is regressed on the
truth ``t``: ``X = T * truth + e``. What follows the truth is *restored*, ``T**2 <|truth|**2>``; the rest,
``<|e|**2>``, is *invented*, whether it is noise that was let through or structure that never was.

- Transfer ``T = Re<X conj(truth)> / <|truth|**2>``: the least-squares coefficient, 1 for a perfect picture.
- Coherence ``C = Re<X conj(truth)> / sqrt(<|X|**2> <|truth|**2>)``: the Fourier ring correlation
  (Saxton and Baumeister, Journal of Microscopy 127, 127, 1982), here against the truth rather than a second
  exposure. ``C**2`` is the share of the picture's power that follows the truth; for the truth plus
  independent noise it is ``SNR / (1 + SNR)``.

Spectra are those of overlapping windows (Welch 1967) under Hann's, each less its own weighted mean, so that
nothing of the mean grey level leaks; frequencies within the window's main lobe of zero (2 / side) are left
out. Where the truth holds noise of its own, as photographed frames do, no restoration can follow that:
coherence at high frequencies then stays below 1 for the best of all networks.
Pictures are (h, w) float in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from semdaemon.training.intervals import Groups, clusters

Image = npt.NDArray[np.float32]
Curve = npt.NDArray[np.float64]

WINDOW_PX = 128
BANDS = 31
"""As many as keep a band about as wide as the main lobe of the default window."""

_TRUTH, _SEEN, _RESTORED = slice(0, 1), slice(1, 5), slice(5, 9)
"""Rows of the sums: the truth's power, then for either picture its power, its product with the truth, and of
that product amplitude and amplitude times phase."""

_TINY = 1e-30


@dataclass(frozen=True)
class Triple:
    """One scene: what the microscope gave, what was made of it, and the truth; three (h, w) of one shape."""

    seen: Image
    restored: Image
    sharp: Image


@dataclass(frozen=True)
class Agreement:
    """How one picture agrees with the truth, per band.

    Attributes
    ----------
    power
        Mean power, scaled so that white noise of variance v has power v.
    transfer
        Regression on the truth; 1 is perfect, negative is contrast turned round.
    coherence
        Fourier ring correlation with the truth, -1 to 1.
    phase_error_rad
        Mean absolute phase difference, weighted by both amplitudes; pi/2 where phases are random.
    restored_power, invented_power
        Parts of ``power`` that follow the truth and that do not; they add up to it.
    """

    power: Curve
    transfer: Curve
    coherence: Curve
    phase_error_rad: Curve
    restored_power: Curve
    invented_power: Curve


@dataclass(frozen=True)
class Spectra:
    """What comes back and what is invented, per band.

    Attributes
    ----------
    cycles_per_px
        Middle of each band, rising.
    truth_power
        Mean power of the sharp pictures.
    seen, restored
        How input and result agree with the truth.
    """

    cycles_per_px: Curve
    truth_power: Curve
    seen: Agreement
    restored: Agreement

    @property
    def gain(self) -> Curve:
        """Amplitude of the result over that of the input."""
        return _root(self.restored.power / np.maximum(self.seen.power, _TINY))

    @property
    def gain_wanted(self) -> Curve:
        """Amplitude of the truth over that of the input: what a perfect restoration would gain."""
        return _root(self.truth_power / np.maximum(self.seen.power, _TINY))

    @property
    def invented_share(self) -> Curve:
        """Power of the result that does not follow the truth, over the power that the truth has there."""
        return np.asarray(self.restored.invented_power / np.maximum(self.truth_power, _TINY))


@dataclass(frozen=True)
class Measured:
    """Sums over the windows of each picture, so that pictures can be drawn anew.

    Attributes
    ----------
    cycles_per_px
        Middle of each band.
    sums
        (pictures, 9, bands): the truth's power, then four rows for input and for result.
    coefficients
        (bands,): how many Fourier coefficients of one window lie in each band.
    """

    cycles_per_px: Curve
    sums: npt.NDArray[np.float64]
    coefficients: Curve

    def pooled(self) -> Spectra:
        """Over all windows of all pictures; those with more contrast count more, as in a mean error."""
        return self._of(np.arange(len(self.sums)))

    def interval(
        self,
        of: Callable[[Spectra], Curve],
        *,
        groups: Groups = None,
        seed: int = 0,
        draws: int = 200,
        level: float = 0.95,
    ) -> tuple[Curve, Curve]:
        """Lower and upper end of a bootstrap interval of a curve, over specimens as `intervals` has it.

        Parameters
        ----------
        of
            Picks the curve, e.g. ``lambda spectra: spectra.restored.coherence``.
        groups
            (pictures,) the specimen group of each; without them whole pictures are drawn.
        """
        which = clusters(len(self.sums), groups)
        together = [np.flatnonzero(which == number) for number in range(which.max() + 1)]
        rng, count = np.random.default_rng(seed), len(together)
        drawn = (rng.integers(0, count, count) for _ in range(draws))
        curves = [of(self._of(np.concatenate([together[i] for i in chosen]))) for chosen in drawn]
        low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return low, high

    def _of(self, chosen: npt.NDArray[np.intp]) -> Spectra:
        mean = self.sums[chosen].mean(axis=0) / self.coefficients
        truth = mean[_TRUTH][0]
        seen, restored = _agreement(mean[_SEEN], truth), _agreement(mean[_RESTORED], truth)
        return Spectra(self.cycles_per_px, truth, seen, restored)


def measure(triples: Iterable[Triple], *, window_px: int = WINDOW_PX, bands: int = BANDS) -> Measured:
    """Cut triples into half-overlapping windows and sum their spectra ring by ring.

    Parameters
    ----------
    triples
        Pictures of any size that holds a window; borders of a restoration are best cut off first.
    window_px
        Side of the windows, pixels, >= 16.
    bands
        Rings of equal width from ``2 / window_px`` to 0.5 cycles per pixel.

    Raises
    ------
    ValueError
        Where there is no triple, its pictures differ in shape, or one is smaller than the window.
    """
    rings = _Rings(window_px, bands)
    sums = [rings.sums(triple) for triple in triples]
    if not sums:
        raise ValueError("there are no pictures to measure")
    return Measured(rings.cycles_per_px, np.stack(sums), rings.coefficients)


def windows(shape: tuple[int, ...], window_px: int) -> Iterator[tuple[slice, slice]]:
    """Half-overlapping squares that cover a picture as far as whole steps go, centred in it."""
    step = window_px // 2
    starts = []
    for side in shape:
        count = (side - window_px) // step + 1
        first = (side - window_px - (count - 1) * step) // 2
        starts.append(range(first, first + count * step, step))
    for top in starts[0]:
        for left in starts[1]:
            yield slice(top, top + window_px), slice(left, left + window_px)


class _Rings:
    """Hann's window of one size and the rings of its half-plane spectrum."""

    def __init__(self, window_px: int, bands: int) -> None:
        if window_px < 16 or bands < 1:
            raise ValueError(f"windows need 16 px and at least one band, not {window_px} and {bands}")
        line = np.hanning(window_px + 1)[:-1]  # periodic: the sum of shifted copies is flat
        window = np.outer(line, line)
        self.window_px, self.window = window_px, window / np.sqrt(np.square(window).sum())
        edges = np.linspace(2 / window_px, 0.5, bands + 1)
        self.cycles_per_px: Curve = (edges[:-1] + edges[1:]) / 2
        rows, columns = fft.fftfreq(window_px)[:, None], fft.rfftfreq(window_px)[None]
        ring = np.digitize(np.hypot(rows, columns), edges) - 1
        # Each coefficient of the half plane stands for two, but for those that are their own mirror image.
        twice = np.where((columns == 0) | (columns == 0.5), 1.0, 2.0)
        self._inside = (ring >= 0) & (ring < bands)
        self._ring = ring[self._inside]
        self._weight = np.broadcast_to(twice, ring.shape)[self._inside]
        self._bands = bands
        self.coefficients: Curve = np.bincount(self._ring, self._weight, bands).astype(np.float64)

    def sums(self, triple: Triple) -> npt.NDArray[np.float64]:
        """(9, bands): mean over the windows of the sum over each ring."""
        shapes = {triple.seen.shape, triple.restored.shape, triple.sharp.shape}
        if len(shapes) != 1 or min(triple.sharp.shape) < self.window_px:
            raise ValueError(f"a triple needs one shape that holds {self.window_px} px, not {shapes}")
        found = [self._window_sums(triple, where) for where in windows(triple.sharp.shape, self.window_px)]
        return np.asarray(np.mean(found, axis=0))

    def _window_sums(self, triple: Triple, where: tuple[slice, slice]) -> npt.NDArray[np.float64]:
        truth = self._spectrum(triple.sharp[where])
        rows = [np.abs(truth) ** 2]
        for picture in (triple.seen, triple.restored):
            spectrum = self._spectrum(picture[where])
            product = spectrum * np.conj(truth)
            amplitude = np.abs(product)
            rows += [np.abs(spectrum) ** 2, product.real, amplitude, amplitude * np.abs(np.angle(product))]
        return np.stack([np.bincount(self._ring, row * self._weight, self._bands) for row in rows])

    def _spectrum(self, picture: Image) -> npt.NDArray[np.complex128]:
        values = picture.astype(np.float64)
        mean = (values * self.window).sum() / self.window.sum()
        return np.asarray(fft.rfft2((values - mean) * self.window)[self._inside])


def _agreement(rows: npt.NDArray[np.float64], truth: Curve) -> Agreement:
    power, product, amplitude, turned = rows
    transfer = product / np.maximum(truth, _TINY)
    restored = transfer * product
    return Agreement(
        power=power,
        transfer=transfer,
        coherence=product / np.maximum(_root(power * truth), _TINY),
        phase_error_rad=turned / np.maximum(amplitude, _TINY),
        restored_power=restored,
        invented_power=np.maximum(power - restored, 0),
    )


def _root(values: Curve) -> Curve:
    return np.asarray(np.sqrt(np.maximum(values, 0)))
