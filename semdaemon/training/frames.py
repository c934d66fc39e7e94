"""A frame to learn from: how sharp it is, how often it is drawn, and what is cut out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]

SOFT_CUTOFF = 0.2
"""Cycles per pixel: a frame whose signal meets its noise below this is soft at pixel scale."""

_SOFT_WEIGHT = 0.3
_LEAST_BINNED_PX = 256
"""Side under which a frame would be too small once binned."""


@dataclass(frozen=True)
class CorpusFrame:
    """One sharp frame.

    Attributes
    ----------
    name, group
        File name; specimen group (frames of one specimen never stand on both sides of a split).
    pixels
        (h, w) float32 in [0, 1].
    weight
        How often crops are drawn from it, relative to the others.
    cutoff
        Cycles per pixel where the signal meets the noise; 0.5 where unknown.
    cutoff_known
        Whether an index or the blur estimator has told it.
    """

    name: str
    group: str
    pixels: Image
    weight: float
    cutoff: float
    cutoff_known: bool = True

    @classmethod
    def of(cls, name: str, group: str, pixels: Image, cutoff: float | None) -> CorpusFrame:
        """A frame that is drawn by its size and sharpness; ``cutoff`` is None where nobody has said it."""
        known, cutoff = cutoff is not None, 0.5 if cutoff is None else cutoff
        weight = float(np.sqrt(pixels.size / 1e6)) * (_SOFT_WEIGHT if cutoff < SOFT_CUTOFF else 1.0)
        return cls(name, group, pixels, weight, cutoff, known)

    @property
    def is_soft(self) -> bool:
        """Not sharp at pixel scale, as far as is known."""
        return self.cutoff < SOFT_CUTOFF

    @property
    def can_bin(self) -> bool:
        """Whether enough of it is left when it is binned 2x."""
        return bool(min(self.pixels.shape) >= _LEAST_BINNED_PX)

    def binned_if_soft(self) -> CorpusFrame:
        """Binned 2x where it is soft at pixel scale and large enough; else as it is."""
        if not (self.is_soft and self.can_bin):
            return self
        return CorpusFrame.of(self.name, self.group, bin2(self.pixels), 2 * self.cutoff)


def bin2(pixels: Image) -> Image:
    """Mean of each 2 x 2 pixels; an odd last row or column is dropped."""
    h, w = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    cut = pixels[:h, :w]
    return np.asarray((cut[::2, ::2] + cut[1::2, ::2] + cut[::2, 1::2] + cut[1::2, 1::2]) / 4, np.float32)


def random_square(pixels: Image, rng: np.random.Generator, size_px: int) -> Image:
    """A square at a random place; a frame that is smaller is mirrored out first."""
    missing = [max(0, size_px - n) for n in pixels.shape]
    if any(missing):
        pixels = np.pad(pixels, [(0, m) for m in missing], mode="symmetric")
    top, left = (int(rng.integers(n - size_px + 1)) for n in pixels.shape)
    return pixels[top : top + size_px, left : left + size_px]
