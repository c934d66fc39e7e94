"""Which frames of a folder a network can learn from, and why the others are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from semdaemon.errors import SemdaemonError
from semdaemon.training.frames import SOFT_CUTOFF, Image

BlurOf = Callable[[Image], float]

LEAST_FRAMES = 4
"""Fewer usable frames cannot be learned from and measured on at once."""
GOOD_FRAMES = 20
"""With fewer, the gain is small and its figure uncertain."""

SOFT_SIGMA_PX = 1.15
"""Blur by the daemon's own estimator above which a frame is not sharp at pixel scale.

Over the real training frames sharp ones read 0.61 to 0.92 px (down to 10 electrons per pixel: up to 1.14),
those whose signal ends below 0.2 cycles per pixel 1.2 to 2.9, sharp ones blurred by a 3 px disc from 1.28.
"""

_TILE_PX, _MOST_TILES = 128, 4
_FLAT_SD = 1e-3
_NAMES = 12


@dataclass
class Remarks:
    """What was found on the way in, each kind with the frames it concerns."""

    depths: Counter[str] = field(default_factory=Counter)
    bars: list[str] = field(default_factory=list)
    soft: list[str] = field(default_factory=list)
    blurred: list[str] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)
    small: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)

    def sentences(self) -> tuple[str, ...]:
        """One sentence a kind, for people."""
        depths = ", ".join(f"{depth} ({count})" for depth, count in sorted(self.depths.items()))
        found = [
            (len(self.depths) > 1, f"Mixed bit depths, each frame scaled by its own: {depths}."),
            (self.bars, f"A data bar was cut off: {_listed(self.bars)}."),
            (self.soft, f"Not sharp at pixel scale, binned 2x: {_listed(self.soft)}."),
            (self.blurred, f"Left out, blurred even when binned 2x: {_listed(self.blurred)}."),
            (self.flat, f"Left out, without any contrast: {_listed(self.flat)}."),
            (self.small, f"Left out, too small: {_listed(self.small)}."),
        ]
        return (*(sentence for said, sentence in found if said), *self.more)


def blur_estimator() -> BlurOf | None:
    """The daemon's estimator as a function of a picture; None where its requirements are not installed."""
    try:
        from semdaemon.focus.sigma import SigmaScorer

        scorer = SigmaScorer()
    except ImportError:
        return None
    return lambda pixels: float(np.nanmedian(scorer.estimate(_busy_tiles(pixels)).sigma_px))


def cutoff_at(sigma_px: float) -> float:
    """Cycles per pixel where a frame of this blur ends: a Gaussian's transfer shrinks as ``1 / sigma``."""
    return 0.5 if not sigma_px > SOFT_SIGMA_PX else SOFT_CUTOFF * SOFT_SIGMA_PX / sigma_px


def is_flat(pixels: Image) -> bool:
    """True where a frame shows nothing at all."""
    return float(pixels.std()) < _FLAT_SD


def refuse_blurred(usable: int, remarks: Remarks, folder: object) -> None:
    """Raise ``frames_blurred`` where most frames had to be left out."""
    if len(remarks.blurred) > usable:
        raise SemdaemonError(
            "frames_blurred",
            f"Most frames of {folder} are blurred, also when binned 2x ({len(remarks.blurred)} of "
            f"{usable + len(remarks.blurred)}): {_listed(remarks.blurred)}.",
            remedy="Take frames in focus: a network learns to sharpen only as far as its examples are sharp. "
            "If they are as sharp as the sample is, an index.csv with columns file,group,cutoff says so.",
        )


def refuse_too_few(usable: int, remarks: Remarks, folder: object) -> None:
    """Raise ``too_few_frames`` under `LEAST_FRAMES`; remark under `GOOD_FRAMES`."""
    if usable < LEAST_FRAMES:
        why = " ".join(remarks.sentences())
        raise SemdaemonError(
            "too_few_frames",
            f"{folder} has {usable} usable frames; at least {LEAST_FRAMES} are needed. {why}".rstrip(),
            remedy=f"Add sharp frames, {GOOD_FRAMES} or more"
            + ("; with a smaller --crop, smaller frames serve." if remarks.small else "."),
        )
    if usable < GOOD_FRAMES:
        remarks.more.append(
            f"Only {usable} frames: with fewer than {GOOD_FRAMES}, little is gained and its figure uncertain."
        )


def _busy_tiles(pixels: Image) -> Image:
    """Of up to 4 x 4 tiles the half with most contrast, in grey levels: bare substrate tells no blur."""
    side = min(_TILE_PX, *pixels.shape)
    tops, lefts = (_starts(length, side) for length in pixels.shape)
    tiles = np.stack([pixels[t : t + side, left : left + side] for t in tops for left in lefts]) * 255
    order = np.argsort(-tiles.std(axis=(1, 2)))
    return np.asarray(tiles[order[: -(-len(tiles) // 2)]], np.float32)


def _starts(length: int, side: int) -> Sequence[int]:
    count = max(1, min(_MOST_TILES, length // side))
    return [int(start) for start in np.linspace(0, length - side, count)]


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
