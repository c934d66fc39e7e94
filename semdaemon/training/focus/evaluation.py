"""How well blur is told: areas under the ROC curve, error and coverage, on frames nobody trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.training import degrade
from semdaemon.training.focus.network import TILE_PX
from semdaemon.training.frames import CorpusFrame, Image

Figures = npt.NDArray[np.float64]

RADII_PX = (0.0, 2.0, 3.0, 5.0)
DOSES = (10.0, 200.0)


@dataclass(frozen=True)
class Facts:
    """What was done to n tiles: each (n,)."""

    radius_px: Figures
    dose: Figures
    frame: npt.NDArray[np.intp]

    def where(self, *, radius_px: float | None = None, dose: float | None = None) -> npt.NDArray[np.bool_]:
        chosen = np.ones(len(self.radius_px), bool)
        if radius_px is not None:
            chosen &= self.radius_px == radius_px
        if dose is not None:
            chosen &= self.dose == dose
        return chosen

    def chosen(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Facts:
        return Facts(self.radius_px[which], self.dose[which], self.frame[which])


@dataclass(frozen=True)
class Tiles(Facts):
    """Degraded tiles, pixels (n, h, w), and what was done to them."""

    pixels: Image


def degraded_tiles(
    frames: Sequence[CorpusFrame],
    *,
    radii_px: Sequence[float] = RADII_PX,
    doses: Sequence[float] = DOSES,
    tiles_per_frame: int | None = None,
    seed: int = 0,
) -> Tiles:
    """Whole frames blurred by a disc, exposed and rounded to 8 bits, then cut into tiles.

    ``tiles_per_frame`` limits the tiles of a frame (spread evenly over it); None takes all.
    """
    rng = np.random.default_rng(seed)
    pixels, facts = [], []
    for number, frame in enumerate(frames):
        places = _places(frame.pixels.shape, tiles_per_frame)
        for radius_px in radii_px:
            blurred = degrade.blur(frame.pixels, degrade.probe_kernel(radius_px))
            for dose in doses:
                seen = degrade.quantise(degrade.expose(blurred, dose, rng), 8)
                for top, left in places:
                    pixels.append(seen[top : top + TILE_PX, left : left + TILE_PX])
                    facts.append((radius_px, dose, number))
    table = np.array(facts, np.float64)
    return Tiles(table[:, 0], table[:, 1], table[:, 2].astype(np.intp), np.stack(pixels))


def area_under_curve(low: Figures, high: Figures) -> float | None:
    """Probability that a random figure of ``high`` exceeds one of ``low`` (ties count half).

    Four decimals; None where either is empty.
    """
    if not (len(low) and len(high)):
        return None
    ordered = np.sort(low)
    below, up_to = np.searchsorted(ordered, high, "left"), np.searchsorted(ordered, high, "right")
    return round(float(np.mean(below + up_to) / (2 * len(low))), 4)


def areas(tiles: Facts, blur: Figures) -> dict[str, float | int | None]:
    """Area under the curve for sharp against each radius: doses pooled, and crossed both ways.

    ``blur`` (n,) rises with blur.
    """
    row: dict[str, float | int | None] = {}
    low, high = DOSES
    for radius_px in RADII_PX[1:]:
        sharp, blurred = blur[tiles.where(radius_px=0)], blur[tiles.where(radius_px=radius_px)]
        row[f"auc_r{radius_px:g}"] = area_under_curve(sharp, blurred)
        for here, there in ((low, high), (high, low)):
            sharp = blur[tiles.where(radius_px=0, dose=here)]
            blurred = blur[tiles.where(radius_px=radius_px, dose=there)]
            name = f"auc_r{radius_px:g}_sharp_{here:g}_blurred_{there:g}"
            row[name] = area_under_curve(sharp, blurred)
    return row


def _places(shape: tuple[int, ...], limit: int | None) -> list[tuple[int, int]]:
    places = [
        (top, left)
        for top in range(0, shape[0] - TILE_PX + 1, TILE_PX)
        for left in range(0, shape[1] - TILE_PX + 1, TILE_PX)
    ]
    if limit is None or len(places) <= limit:
        return places
    return [places[i] for i in np.linspace(0, len(places) - 1, limit).round().astype(int)]
