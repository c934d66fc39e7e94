"""How blurred a frame may be for weights still to gain something: the card's ``repairs_up_to_px``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from semdaemon.refocus.discriminative import at_scale
from semdaemon.refocus.regions import working_scales
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.degrade import equivalent_sigma_px
from semdaemon.training.evaluation.classical import oracle_denoiser
from semdaemon.training.evaluation.scenes import Scene, degrade_scene
from semdaemon.training.quality import psnr_db

RADII_PX = (8.0, 12.0, 16.0, 20.0, 24.0, 32.0, 40.0)
DOSES = (50.0, 400.0)
SIGMA_IN_FOCUS_PX = 0.6
LEAST_GAIN_DB = 0.3
"""Less than this over the best denoiser is not worth calling a repair: nobody sees it."""

MOST_LOSERS = 0.1


@dataclass(frozen=True)
class Reach:
    """One blur, at the working scale that the daemon would take for it.

    Attributes
    ----------
    sigma_px, scale
        Equivalent Gaussian blur; by how much the picture is binned first.
    gain_db
        Mean PSNR of the network over that of the best denoiser, which sees the truth; doses pooled.
    losers
        Share of pictures that came out worse than the denoiser's.
    """

    radius_px: float
    sigma_px: float
    scale: int
    gain_db: float
    losers: float


def reach(
    card: WeightsCard,
    scenes: Sequence[Scene],
    *,
    crop_px: int = 384,
    seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> list[Reach]:
    """The gain of weights at ever larger blur, told the blur's working scale and nothing else."""
    from semdaemon.refocus.engine import TorchEngine

    engine, rows = TorchEngine(card, "cpu", threads=1), []
    for radius_px in RADII_PX:
        sigma_px = equivalent_sigma_px(radius_px, SIGMA_IN_FOCUS_PX)
        scale = int(working_scales(np.array([sigma_px], np.float32), card.sigma_max_px)[0])
        gains = []
        for number, scene in enumerate(scenes):
            for dose in DOSES:
                case = degrade_scene(scene, radius_px, dose, crop_px=crop_px, seed=seed + number)
                restored = at_scale(case.seen, scale, np.ones(case.seen.shape, bool), engine)
                best = psnr_db(oracle_denoiser(case), case.sharp)
                gains.append(psnr_db(np.clip(restored, 0, 1), case.sharp) - best)
        lost = float(np.mean(np.array(gains) < 0))
        row = Reach(radius_px, round(sigma_px, 2), scale, round(float(np.mean(gains)), 3), round(lost, 3))
        rows.append(row)
        if tell:
            tell(f"R {radius_px:g}: {row.gain_db:+.2f} dB over the best denoiser at scale {scale}")
    return rows


def repairs_up_to_px(rows: Sequence[Reach]) -> float:
    """The largest blur up to which weights gain and hardly any picture loses, in pixels, to a tenth."""
    reached = 0.0
    for row in rows:
        if row.gain_db < LEAST_GAIN_DB or row.losers > MOST_LOSERS:
            break
        reached = row.sigma_px
    return round(reached, 1)


def as_facts(rows: Sequence[Reach]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]
