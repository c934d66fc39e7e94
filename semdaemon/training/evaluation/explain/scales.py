"""What each scale of the network contributes: pictures, transfer, and what is lost without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semdaemon.training.evaluation.classical import Degraded
from semdaemon.training.evaluation.explain.network import Answers, Network, degraded
from semdaemon.training.evaluation.explain.returning import CROP_PX, inner
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.evaluation.spectra import Agreement, Curve, measure
from semdaemon.training.quality import psnr_db

Image = npt.NDArray[np.float32]

RADIUS_PX, DOSE = 4.0, 400.0
ABLATED = ((0.0, 400.0), (2.0, 400.0), (4.0, 400.0), (6.0, 400.0), (4.0, 50.0))
"""Disc radius and electrons per pixel of the conditions in which scales are taken away."""


@dataclass(frozen=True)
class Example:
    """One scene, and what each scale makes of it, (h, w) float32."""

    scene: str
    radius_px: float
    electrons_per_px: float
    seen: Image
    answers: Answers
    sharp: Image


@dataclass(frozen=True)
class Shares:
    """How the answer of each scale follows the truth, enlarged to the frame; all per band.

    Transfer is linear in the picture, so that of the result is the coarse answer's, plus what the middle
    scale adds (``middle.transfer - coarse.transfer``), plus what the fine scale adds.

    Attributes
    ----------
    coarse, middle, fine
        Agreement of each answer with the truth.
    added_power
        Power of the coarse answer, of what the middle scale adds to it, and of what the fine scale adds.
    """

    radius_px: float
    electrons_per_px: float
    cycles_per_px: Curve
    truth_power: Curve
    coarse: Agreement
    middle: Agreement
    fine: Agreement
    added_power: tuple[Curve, Curve, Curve]


@dataclass(frozen=True)
class Ablation:
    """Mean PSNR in dB over the scenes with all scales at work, and what is lost without one.

    Attributes
    ----------
    without_coarse_db, without_middle_db
        Loss where the scale above hears a plain enlargement of the reduced frame instead.
    coarse_alone_db, middle_alone_db
        PSNR of that scale's own answer, enlarged.
    """

    radius_px: float
    electrons_per_px: float
    psnr_db: float
    without_coarse_db: float
    without_middle_db: float
    coarse_alone_db: float
    middle_alone_db: float


def example(network: Network, scene: Scene, *, seed: int = 0) -> Example:
    """What each scale makes of one scene."""
    case = degraded(scene, RADIUS_PX, DOSE, network.spec, crop_px=CROP_PX, seed=seed)
    return Example(scene.name, RADIUS_PX, DOSE, case.seen, network.answers(case.seen), case.sharp)


def shares(network: Network, scenes: Sequence[Scene], *, seed: int = 0) -> Shares:
    """Transfer and power by scale, over the scenes."""
    cases, answers = [], []
    for number, scene in enumerate(scenes):
        case = degraded(scene, RADIUS_PX, DOSE, network.spec, crop_px=CROP_PX, seed=seed + number)
        cases.append(case)
        answers.append(network.answers(case.seen))
    both = list(zip(cases, answers, strict=True))
    # A triple compares any two pictures with the truth: here two answers, there two additions.
    low = measure(inner(a.coarse, a.middle, c.sharp) for c, a in both).pooled()
    high = measure(inner(a.middle - a.coarse, a.fine, c.sharp) for c, a in both).pooled()
    top = measure(inner(a.fine - a.middle, a.fine, c.sharp) for c, a in both).pooled()
    return Shares(
        RADIUS_PX,
        DOSE,
        low.cycles_per_px,
        low.truth_power,
        low.seen,
        low.restored,
        high.restored,
        (low.seen.power, high.seen.power, top.seen.power),
    )


def ablations(network: Network, scenes: Sequence[Scene], *, seed: int = 0) -> tuple[Ablation, ...]:
    """What is lost without each scale, by condition."""
    found = []
    for radius_px, dose in ABLATED:
        rows = []
        for number, scene in enumerate(scenes):
            case = degraded(scene, radius_px, dose, network.spec, crop_px=CROP_PX, seed=seed + number)
            rows.append(_ablated(network, case))
        whole, no_coarse, no_middle, coarse, middle = (float(x) for x in np.mean(rows, axis=0))
        lost = (whole - no_coarse, whole - no_middle)
        found.append(Ablation(radius_px, dose, whole, *lost, coarse, middle))
    return tuple(found)


def _ablated(network: Network, case: Degraded) -> list[float]:
    said = network.answers(case.seen)
    without = (network.blinded(case.seen, "coarse"), network.blinded(case.seen, "middle"))
    return [psnr_db(p, case.sharp) for p in (said.fine, *without, said.coarse, said.middle)]
