"""Two weights on a lab's own sharp frames: who restores more of what was there?

Both are shown the same degraded crops, so that every frame is its own control.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from semdaemon.errors import SemdaemonError
from semdaemon.focus.picture import badge
from semdaemon.training.evaluation.case import Degraded, Method
from semdaemon.training.evaluation.conditions import HEADLINE, IN_FOCUS, Blur, Condition, Defocus
from semdaemon.training.evaluation.pairing import Difference, paired_difference
from semdaemon.training.evaluation.scenes import Scene, central
from semdaemon.training.intervals import Drawn
from semdaemon.training.listing import specimen_groups
from semdaemon.training.pictures import read_grey
from semdaemon.training.quality import psnr_db, ssim

Image = npt.NDArray[np.float32]
Pair = tuple[float, float]

_GAP_PX = 6
_LEAST_CELL_PX = 320

CONDITIONS: tuple[Condition, ...] = (*IN_FOCUS, *HEADLINE)
QUICK_CONDITIONS: tuple[Condition, ...] = tuple(
    Defocus(Blur("disc", radius_px), dose) for radius_px in (0, 4) for dose in (50, 400)
)
SHOWN = Defocus(Blur("disc", 4), 50)
"""What pictures are made of."""


@dataclass(frozen=True)
class ConditionResult:
    """Both weights under one condition; pairs are (A, B), means over the frames.

    Attributes
    ----------
    name
        Of the condition.
    worse_than_input
        On how many frames each made the picture worse than it was (by PSNR).
    worst_gain_db, worst_frame
        The smallest gain of each over its input, and on which frame.
    """

    name: str
    psnr_db: Pair
    psnr_difference_db: Difference
    ssim: Pair
    ssim_difference: Difference
    worse_than_input: tuple[int, int]
    worst_gain_db: Pair
    worst_frame: tuple[str, str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Harm:
    """What weights do to frames that are sharp and free of added noise: ideally nothing.

    Attributes
    ----------
    rms_grey, worst_rms_grey, worst_frame
        Root mean square change in grey levels of 255: mean over the frames, and the worst of them.
    """

    rms_grey: float
    worst_rms_grey: float
    worst_frame: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """Two weights over all conditions.

    Attributes
    ----------
    overall_db
        Difference in PSNR of the frames' means over all conditions.
    harm
        On the sharp frames as they are, (A, B).
    """

    rows: tuple[ConditionResult, ...]
    overall_db: Difference
    harm: tuple[Harm, Harm]
    frames: int

    @property
    def drawn(self) -> Drawn:
        """What intervals are over: specimen groups, or frames."""
        return self.overall_db.drawn

    def as_dict(self) -> dict[str, Any]:
        return {
            "frames": self.frames,
            "drawn": str(self.drawn),
            "overall_db": asdict(self.overall_db),
            "rows": [row.as_dict() for row in self.rows],
            "harm": [harm.as_dict() for harm in self.harm],
        }


def readable_scenes(folder: Path, files: Sequence[Path]) -> tuple[list[Scene], list[SemdaemonError]]:
    """The grey pictures among files as scenes named by their place in the folder; what could not be read."""
    scenes, faults = [], []
    for path, group in zip(files, specimen_groups(folder, files), strict=True):
        try:
            scenes.append(Scene(path.relative_to(folder).as_posix(), _finite(path), group))
        except SemdaemonError as error:
            faults.append(error)
    return scenes, faults


def compare(
    scenes: Sequence[Scene],
    a: Method,
    b: Method,
    *,
    conditions: Sequence[Condition] = CONDITIONS,
    crop_px: int = 320,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Comparison:
    """Measure two methods on the same degraded crops.

    Parameters
    ----------
    scenes
        Sharp frames, at least one.
    conditions
        By default those of the headline figures of `semdaemon evaluate`.
    progress
        Called with conditions done and their number.
    """
    rows, figures = [], []
    parts = [scene.around(crop_px) for scene in scenes]
    for done, condition in enumerate(conditions, 1):
        cases = [
            condition.degrade(scene, crop_px=crop_px, seed=seed + number)
            for number, scene in enumerate(parts)
        ]
        row, psnr = _condition(condition.name, scenes, cases, (a, b))
        rows.append(row)
        figures.append(psnr)
        progress(done, len(conditions))
    mean_a, mean_b = np.mean(figures, axis=0)
    harm = _harm(scenes, a, crop_px), _harm(scenes, b, crop_px)
    overall = paired_difference(mean_a, mean_b, _groups(scenes))
    return Comparison(tuple(rows), overall, harm, len(scenes))


def strips(
    scenes: Sequence[Scene],
    a: Method,
    b: Method,
    names: tuple[str, str],
    *,
    crop_px: int = 320,
    seed: int = 0,
) -> Iterator[tuple[str, PillowImage.Image]]:
    """``(scene, picture)``: what was `SHOWN`, A, B and the truth side by side, each labelled."""
    labels = ("blurred", f"{names[0]} · network output", f"{names[1]} · network output", "truth")
    for number, scene in enumerate(scenes):
        case = SHOWN.degrade(scene.around(crop_px), crop_px=crop_px, seed=seed + number)
        images = (case.seen, a(case), b(case), case.sharp)
        greys = [np.asarray(np.rint(np.clip(image, 0, 1) * 255), np.uint8) for image in images]
        larger = max(1, _LEAST_CELL_PX // max(case.seen.shape))
        greys = [grey.repeat(larger, 0).repeat(larger, 1) for grey in greys]
        cells = [np.asarray(badge(grey, label)) for grey, label in zip(greys, labels, strict=True)]
        gap = np.full((cells[0].shape[0], _GAP_PX, 3), 24, np.uint8)
        row = [part for cell in cells for part in (cell, gap)][:-1]
        yield scene.name, PillowImage.fromarray(np.hstack(row))


def _condition(
    name: str,
    scenes: Sequence[Scene],
    cases: Sequence[Degraded],
    methods: tuple[Method, Method],
) -> tuple[ConditionResult, npt.NDArray[np.float64]]:
    """The condition's row, and the PSNR of each side and frame, (2, frames)."""
    results = [[np.clip(method(case), 0, 1) for case in cases] for method in methods]
    psnr, similarity = (
        np.array([[f(out, case.sharp) for out, case in zip(side, cases, strict=True)] for side in results])
        for f in (psnr_db, ssim)
    )
    gains = psnr - np.array([psnr_db(case.seen, case.sharp) for case in cases])
    worst, groups = gains.argmin(axis=1), _groups(scenes)
    row = ConditionResult(
        name,
        _pair(psnr.mean(axis=1)),
        paired_difference(psnr[0], psnr[1], groups),
        _pair(similarity.mean(axis=1)),
        paired_difference(similarity[0], similarity[1], groups),
        (int((gains[0] < 0).sum()), int((gains[1] < 0).sum())),
        _pair(gains.min(axis=1)),
        (scenes[worst[0]].name, scenes[worst[1]].name),
    )
    return row, psnr


def _harm(scenes: Sequence[Scene], method: Method, crop_px: int) -> Harm:
    identity = np.ones((1, 1), np.float32)
    changes = []
    for scene in scenes:
        crop = scene.sharp[central(scene.sharp.shape, crop_px)]
        change = np.clip(method(Degraded(crop, crop, identity)), 0, 1) - crop
        changes.append(255 * float(np.sqrt(np.mean(change**2))))
    worst = int(np.argmax(changes))
    return Harm(float(np.mean(changes)), changes[worst], scenes[worst].name)


def _groups(scenes: Sequence[Scene]) -> list[str]:
    return [scene.specimen for scene in scenes]


def _finite(path: Path) -> Image:
    pixels = read_grey(path)
    if not np.isfinite(pixels).all():
        raise SemdaemonError(
            "unreadable_frame",
            f"{path} holds NaN or infinities.",
            remedy="Take the file out of the folder, or save it as 8 or 16-bit grey TIFF or PNG.",
        )
    return pixels


def _pair(values: npt.NDArray[np.float64]) -> Pair:
    return float(values[0]), float(values[1])
