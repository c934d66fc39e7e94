"""The way of a frame through the daemon (score, refocus, audit), with the truth beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.focus import FocusMap, focus_map, load_scorer
from semdaemon.frame import Area, Frame, intensity_range, to_unit
from semdaemon.refocus.audit import noise_sd
from semdaemon.refocus.discriminative import Refocused, refocus_frame, restore
from semdaemon.refocus.judging import findings
from semdaemon.refocus.regions import plan_regions
from semdaemon.refocus.trust import Trust
from semdaemon.refocus.weights import WeightsCard
from semdaemon.repairable import with_repair_limit
from semdaemon.settings import Settings
from semdaemon.training.trust.trials import Image, Trial

SMOOTHINGS_PX = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Gaussians that take noise off the original: the best of them, chosen by the truth, has to be beaten."""

_WHITE = 65535
_BLOCK_PX = 32
_LEAST_OF_RESULT = 0.5
"""The noise of the truth takes off at most half: it is an estimate itself."""

Column = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tiles:
    """Refocused tiles, one row each.

    Attributes
    ----------
    figures
        (m, n) float64, see `semdaemon.refocus.evidence`.
    error
        (m,) root mean square error of the result, a share of the frame's range; the noise of the frame that
        stands for the truth is taken off, for no result can have it.
    result, original, smoothed
        (m,) root mean square difference to that frame, its noise included: of the result, of the original,
        and of the original after the best of `SMOOTHINGS_PX`.
    group, region
        (m,) specimen group; number of the region, counted over all trials.
    """

    figures: Column
    error: Column
    result: Column
    original: Column
    smoothed: Column
    group: Column
    region: Column

    @property
    def gained(self) -> npt.NDArray[np.bool_]:
        """(m,) closer to the truth than the original, smoothed or not."""
        return np.asarray(self.result < self.smoothed)

    @property
    def harmed(self) -> npt.NDArray[np.bool_]:
        """(m,) farther from the truth than the original as it was."""
        return np.asarray(self.result > self.original)

    def only(self, chosen: npt.NDArray[np.bool_]) -> Tiles:
        """Some of the tiles."""
        return Tiles(*(getattr(self, each.name)[chosen] for each in fields(self)))


class Path:
    """Scorer, network and settings, ready for pictures.

    Parameters
    ----------
    card
        Of the weights; what they can repair goes into the settings as in the daemon.
    """

    def __init__(self, card: WeightsCard, device: str = "cpu") -> None:
        from semdaemon.refocus.engine import TorchEngine

        plain = Settings(refocus={"weights": str(card.path)})
        self.settings = with_repair_limit(plain)
        self.card = card
        self._scorer = load_scorer(self.settings.focus.scorer, self.settings.focus)
        self._engine = TorchEngine(card, device, threads=1)

    def score(self, seen: Image) -> tuple[Frame, FocusMap]:
        """A picture in [0, 1] as a frame of 16 bits, and its focus map."""
        pixels = np.rint(np.clip(seen, 0, 1) * _WHITE).astype(np.uint16)
        frame = Frame("trial", "trial", "trial:", pixels, "", Area.whole(pixels.shape))
        return frame, focus_map(frame, self.settings.focus, self._scorer)

    def refocus(
        self, frame: Frame, focus: FocusMap, trust: Trust | None, *, min_confidence: float
    ) -> Refocused:
        """As the worker does."""
        return refocus_frame(
            frame.pixels,
            focus,
            self._engine,
            self.settings.refocus.model_copy(update={"min_confidence": min_confidence}),
            sigma_max_px=self.card.sigma_max_px,
            trust=trust,
        )

    def tiles(self, trials: Iterable[Trial], told: Callable[[], None] = lambda: None) -> Tiles:
        """Every tile that would be refocused of some trials, before the audit has its say."""
        rows: list[tuple[float, ...]] = []
        regions = 0
        for trial in trials:
            found = self._tiles_of(trial, regions)
            regions += len({row[5] for row in found})
            rows += found
            told()
        table = np.array(rows, np.float64).reshape(len(rows), -1)
        return Tiles(table[:, 6:], *(table[:, column] for column in range(6)))

    def _tiles_of(self, trial: Trial, regions: int) -> list[tuple[float, ...]]:
        frame, focus = self.score(trial.seen)
        plan = plan_regions(focus, sigma_max_px=self.card.sigma_max_px)
        if not plan.regions:
            return []
        levels = intensity_range(frame.pixels)
        unit, truth = to_unit(frame.pixels, levels), to_unit(trial.sharp * np.float32(_WHITE), levels)
        restored = restore(unit, plan, self._engine, self.settings.refocus.feather_px)
        errors = [(restored - truth) ** 2, *((_smooth(unit, s) - truth) ** 2 for s in SMOOTHINGS_PX)]
        noise = noise_of_truth_sd(truth)
        rows = []
        for region in plan.regions:
            for tile in findings(region, plan, unit, restored):
                window = focus.cell(tile.row, tile.column).slices
                result, original, *smoothed = (float(np.sqrt(np.mean(e[window]))) for e in errors)
                error = math.sqrt(max(result**2 - noise**2, (_LEAST_OF_RESULT * result) ** 2))
                about = (
                    error,
                    result,
                    original,
                    min(original, *smoothed),
                    float(trial.group),
                    float(regions + region.number),
                )
                rows.append((*about, *map(float, tile.figures)))
        return rows


def noise_of_truth_sd(image: Image) -> float:
    """White noise of a picture, as its middling block has it: fine texture in some of it is no noise."""
    blocks = [
        noise_sd(image[top : top + _BLOCK_PX, left : left + _BLOCK_PX])
        for top in range(0, image.shape[0] - _BLOCK_PX + 1, _BLOCK_PX)
        for left in range(0, image.shape[1] - _BLOCK_PX + 1, _BLOCK_PX)
    ]
    return float(np.median(blocks)) if blocks else 0.0


def _smooth(image: Image, sigma_px: float) -> Image:
    return image if sigma_px == 0 else np.asarray(ndimage.gaussian_filter(image, sigma_px), np.float32)
