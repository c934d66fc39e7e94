"""Refocusing measured on sharp frames degraded by known amounts, beside the classical methods."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation import classical
from semdaemon.training.evaluation.classical import Degraded, Method
from semdaemon.training.evaluation.scenes import Scene, degrade_scene
from semdaemon.training.quality import psnr_db, ssim

Image = npt.NDArray[np.float32]

RADII_PX = (0.0, 2.0, 4.0, 6.0)
DOSES = (10.0, 50.0, 400.0)
QUICK_RADII_PX, QUICK_DOSES = (0.0, 4.0), (50.0, 400.0)
INPUT = "input"


@dataclass(frozen=True)
class Row:
    """One method under one condition, over all scenes.

    ``worst_gain_db`` is the smallest difference to the input over the scenes, and ``worst_scene`` its name.
    """

    method: str
    radius_px: float
    electrons_per_px: float
    psnr_db: float
    ssim: float
    worst_gain_db: float
    worst_scene: str
    scenes: int


def evaluate(
    scenes: Sequence[Scene],
    methods: dict[str, Method],
    *,
    radii_px: Sequence[float] = RADII_PX,
    doses: Sequence[float] = DOSES,
    crop_px: int = 320,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Every method under every condition on the same degraded crops; the input itself comes first."""
    everything: dict[str, Method] = {INPUT: lambda case: case.seen, **methods}
    rows = []
    conditions = [(radius_px, dose) for dose in doses for radius_px in radii_px]
    for done, (radius_px, dose) in enumerate(conditions):
        cases = [
            degrade_scene(scene, radius_px, dose, crop_px=crop_px, seed=seed + number)
            for number, scene in enumerate(scenes)
        ]
        before = [psnr_db(case.seen, case.sharp) for case in cases]
        for name, method in everything.items():
            results = [np.clip(method(case), 0, 1) for case in cases]
            rows.append(_row(name, radius_px, dose, scenes, cases, results, before))
        if progress:
            progress(done + 1, len(conditions))
    return rows


def network_method(card: WeightsCard, device: str = "auto") -> Method:
    """The weights behind a card, blind, by the engine that the daemon uses."""
    from semdaemon.refocus.engine import TorchEngine

    engine = TorchEngine(card, device, threads=1)
    return lambda case: engine.refocus(case.seen)


def s_per_megapixel(card: WeightsCard, *, size_px: int = 512) -> float:
    """CPU seconds of one thread for a million pixels, the best of three runs after a first."""
    method = network_method(card, "cpu")
    image = np.random.default_rng(0).random((size_px, size_px), dtype=np.float32)
    case = Degraded(image, image, np.ones((1, 1), np.float32))
    keep_big_blocks()
    method(case)
    spent = []
    for _ in range(3):
        began = time.process_time()
        method(case)
        spent.append(time.process_time() - began)
    return min(spent) / image.size * 1e6


def as_markdown(rows: Iterable[Row]) -> str:
    """One line a condition, one column a method: mean PSNR in dB / SSIM, and the network's worst gain."""
    rows = list(rows)
    methods = list(dict.fromkeys(row.method for row in rows))
    head = ["disc R, electrons per px", *methods, f"worst gain of {methods[-1]}"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for condition in dict.fromkeys((row.radius_px, row.electrons_per_px) for row in rows):
        here = {row.method: row for row in rows if (row.radius_px, row.electrons_per_px) == condition}
        cells = [f"{here[m].psnr_db:.2f} / {here[m].ssim:.3f}" for m in methods]
        lines.append(
            f"| {condition[0]:g}, {condition[1]:g} | "
            + " | ".join(cells)
            + f" | {here[methods[-1]].worst_gain_db:+.2f} dB |"
        )
    return "\n".join(lines) + "\n"


def as_json(rows: Iterable[Row], conditions: dict[str, Any]) -> str:
    """Conditions and rows as one line of JSON."""
    return json.dumps({"conditions": conditions, "rows": [asdict(row) for row in rows]})


def strip(case: Degraded, results: Sequence[Image]) -> npt.NDArray[np.uint8]:
    """Input, results and truth side by side, (h, n * w) uint8, to be looked at."""
    gap = np.ones((case.sharp.shape[0], 4), np.float32)
    parts = [part for image in (case.seen, *results, case.sharp) for part in (image, gap)]
    return np.asarray(np.rint(np.clip(np.hstack(parts[:-1]), 0, 1) * 255), np.uint8)


def _row(
    name: str,
    radius_px: float,
    dose: float,
    scenes: Sequence[Scene],
    cases: Sequence[Degraded],
    results: Sequence[Image],
    before: Sequence[float],
) -> Row:
    after = [psnr_db(result, case.sharp) for case, result in zip(cases, results, strict=True)]
    gains = [a - b for a, b in zip(after, before, strict=True)]
    worst = int(np.argmin(gains))
    similarity = [ssim(result, case.sharp) for case, result in zip(cases, results, strict=True)]
    return Row(
        name,
        radius_px,
        dose,
        round(float(np.mean(after)), 3),
        round(float(np.mean(similarity)), 4),
        round(gains[worst], 3),
        scenes[worst].name,
        len(cases),
    )


def mean_over(rows: Iterable[Row], method: str) -> float:
    """Mean PSNR of one method over its conditions, in dB; NaN without any."""
    values = [row.psnr_db for row in rows if row.method == method]
    return float(np.mean(values)) if values else math.nan


def default_methods(card: WeightsCard, device: str = "auto") -> dict[str, Method]:
    """The classical methods and, last, the network of a card."""
    return {**classical.METHODS, card.name: network_method(card, device)}
