"""Pictures unlike anything that the network was trained on: they must be left alone, or come out better."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from semdaemon.extras import need
from semdaemon.frame import intensity_range, to_unit
from semdaemon.refocus.judging import UNEXPLAINED, objection
from semdaemon.refocus.regions import plan_regions
from semdaemon.refocus.trust import Trust
from semdaemon.training import degrade
from semdaemon.training.trust.path import Path
from semdaemon.training.trust.trials import Image

PICTURES = {
    "text": ("page", "text"),
    "natural textures": ("brick", "grass", "gravel"),
    "photographs": ("camera", "cell", "coins", "moon"),
    "drawings": ("checkerboard", "horse"),
}
"""Of scikit-image's wheel (nothing is fetched), by kind."""

CONDITIONS = (
    ("as it is", 0.0, None),
    ("400 e/px", 0.0, 400.0),
    ("30 e/px", 0.0, 30.0),
    ("R = 2 px, 100 e/px", 2.0, 100.0),
    ("R = 4 px, 100 e/px", 4.0, 100.0),
    ("R = 8 px, 400 e/px", 8.0, 400.0),
)
"""Name, disc radius in pixels, electrons per pixel (None: no noise added)."""

EMPTY = ("flat field", "noise, white", "noise along the lines")
"""Kinds in which there is nothing to refocus: any change is an invention."""

_SIDE_PX = 384


@dataclass(frozen=True)
class Fate:
    """What became of the tiles of one kind of picture under one condition, as counts.

    Attributes
    ----------
    left_alone
        Not scored as blurred.
    unexplained, abstained
        Rejected by re-blurring; rejected for want of trust.
    gained, harmed
        Refocused, and then closer to the truth than the original or farther from it.
    spared
        Of those rejected for want of trust, how many would have been harmed.
    """

    kind: str
    condition: str
    tiles: int
    left_alone: int
    unexplained: int
    abstained: int
    gained: int
    harmed: int
    spared: int


@dataclass(frozen=True)
class Case:
    """One picture: what the microscope would give, and the truth, (h, w) float32 in [0, 1]."""

    kind: str
    condition: str
    seen: Image
    truth: Image


def fates(path: Path, trust: Trust, *, seed: int = 0, told: Callable[[], None] = lambda: None) -> list[Fate]:
    """The whole way of the daemon over every kind and condition, tiles pooled.

    Raises
    ------
    SemdaemonError
        ``extra_missing`` without scikit-image.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    for case in _cases(seed):
        total = counts.setdefault((case.kind, case.condition), [0] * 7)
        for i, more in enumerate(_count(path, trust, case)):
            total[i] += more
        told()
    return [Fate(kind, condition, *numbers) for (kind, condition), numbers in counts.items()]


def _cases(seed: int) -> Iterator[Case]:
    rng = np.random.default_rng([seed, 6])
    yield from nothing_to_see(rng)
    yield from natural(rng)


def natural(rng: np.random.Generator) -> Iterator[Case]:
    """`PICTURES` under `CONDITIONS`."""
    for kind, pictures in _pictures().items():
        for picture in pictures:
            for condition, radius_px, dose in CONDITIONS:
                seen = degrade.blur(picture, degrade.probe_kernel(radius_px))
                if dose is not None:
                    seen = degrade.expose(seen, dose, rng)
                yield Case(kind, condition, degrade.quantise(seen, 8), picture)


def nothing_to_see(rng: np.random.Generator) -> Iterator[Case]:
    """Flat fields and noise: the truth is flat."""
    flat = np.full((_SIDE_PX, _SIDE_PX), 0.5, np.float32)
    for dose in (None, 10.0, 100.0, 800.0):
        seen = flat if dose is None else degrade.expose(flat, dose, rng)
        yield Case("flat field", "any dose", degrade.quantise(seen, 8), flat)
    for sd in (0.02, 0.1, 0.2):
        noise = rng.normal(0.5, sd, flat.shape).astype(np.float32)
        yield Case("noise, white", "any strength", degrade.quantise(noise, 8), flat)
    for rho in (0.3, 0.6, 0.9):
        noise = degrade.expose(flat, 30, rng, fast_axis_correlation=rho)
        yield Case("noise along the lines", "correlation 0.3 to 0.9", degrade.quantise(noise, 8), flat)


def _pictures() -> dict[str, list[Image]]:
    need("train", "skimage", why="Pictures unlike the training come with")
    from skimage import data

    return {
        kind: [_grey(np.asarray(getattr(data, name)())) for name in names] for kind, names in PICTURES.items()
    }


def _grey(raw: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Image:
    if raw.dtype == bool:
        return raw.astype(np.float32)
    return np.asarray(raw, np.float32) / np.float32(255)


def _count(path: Path, trust: Trust, case: Case) -> tuple[int, ...]:
    """Tiles, and how many of each fate, in the order of `Fate`."""
    frame, focus = path.score(case.seen)
    labels = plan_regions(focus, sigma_max_px=path.card.sigma_max_px).labels
    left = int(np.count_nonzero(labels == 0))
    if left == labels.size:
        return (labels.size, left, 0, 0, 0, 0, 0)
    # The audit's say, but not yet that of trust: what it spares is to be counted too.
    done = path.refocus(frame, focus, trust, min_confidence=0.0)
    levels = intensity_range(frame.pixels)
    truth = to_unit(np.asarray(case.truth * np.float32(65535)), levels)
    before, after = (np.square(to_unit(p, levels) - truth) for p in (frame.pixels, done.pixels))
    reports = {report.number: report for report in done.regions}
    unexplained = abstained = gained = harmed = spared = 0
    for row, column in np.argwhere(labels > 0):
        report = reports[int(labels[row, column])]
        window = focus.cell(int(row), int(column)).slices
        worse = bool(after[window].mean() > before[window].mean())
        reason = objection(report.unexplained, report.confidence, report.novelty, path.settings.refocus)
        if reason == UNEXPLAINED:
            unexplained += 1
        elif reason:
            abstained += 1
            spared += worse
        elif worse:
            harmed += 1
        else:
            gained += 1
    return (labels.size, left, unexplained, abstained, gained, harmed, spared)
