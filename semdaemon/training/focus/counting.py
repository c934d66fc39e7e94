"""How well noise and electrons are told: frames at known dose against what `semdaemon.focus.noise` says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semdaemon.focus.noise import noise_of
from semdaemon.training import degrade
from semdaemon.training.frames import CorpusFrame

RADII_PX = (0.0, 4.0)
DOSES = (10.0, 50.0, 200.0, 400.0)
CORRELATION = 0.5

Row = dict[str, float | list[float] | None]


def noise_figures(frames: Sequence[CorpusFrame], *, seed: int) -> dict[str, dict[str, Row]]:
    """By radius and dose: told over true, its 10 %, 50 % and 90 % points over the frames.

    Half of the frames have noise that is correlated along the fast axis; all are rounded to 8 bits.
    """
    table: dict[str, dict[str, Row]] = {}
    for radius_px in RADII_PX:
        blurred = [degrade.blur(frame.pixels, degrade.probe_kernel(radius_px)) for frame in frames]
        for dose in DOSES:
            rng = np.random.default_rng([seed, round(radius_px), round(dose)])
            size, electrons = [], []
            for number, scene in enumerate(blurred):
                correlation = CORRELATION * (number % 2)
                seen = degrade.expose(scene, dose, rng, fast_axis_correlation=correlation)
                noise = noise_of(np.rint(255 * degrade.quantise(seen, 8)).astype(np.uint8))
                if noise is None:
                    continue
                middling = float(np.median(scene))
                size.append(noise.sd / (255 * (middling / dose) ** 0.5))
                if noise.electrons_per_px is not None:
                    electrons.append(noise.electrons_per_px / (middling * dose))
            table.setdefault(f"{radius_px:g}", {})[f"{dose:g}"] = {
                "sd_ratio": _points(size),
                "electrons_told": round(len(electrons) / len(frames), 3),
                "electrons_ratio": _points(electrons),
            }
    return table


def _points(ratios: Sequence[float]) -> list[float] | None:
    if not ratios:
        return None
    return [round(float(point), 2) for point in np.quantile(ratios, (0.1, 0.5, 0.9))]
