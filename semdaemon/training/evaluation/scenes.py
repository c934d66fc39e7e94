"""What refocusing is measured on: sharp frames, degraded by known amounts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semdaemon.training import degrade, intake
from semdaemon.training.evaluation.case import Degraded
from semdaemon.training.frames import CorpusFrame
from semdaemon.training.reading import load_corpus, load_frames, soft_at_pixel_scale

Image = npt.NDArray[np.float32]

BORDER_PX = 48
"""What a blur may reach beyond the crop that is measured."""


@dataclass(frozen=True)
class Scene:
    """A sharp frame to degrade.

    Attributes
    ----------
    sharp
        (h, w) float32 in [0, 1].
    group
        Specimen group; None where nobody knows it, which counts as one of its own.
    soft
        Whether it is soft at its own pixel scale, so that the truth itself is blurred
        (`semdaemon.training.reading.soft_at_pixel_scale`); None where nobody can tell.
    """

    name: str
    sharp: Image
    group: str | None = None
    soft: bool | None = None

    @property
    def specimen(self) -> str:
        """The specimen group, or a name that no group has."""
        return f"{self.name} alone" if self.group is None else self.group

    def around(self, crop_px: int) -> Scene:
        """The scene cut down to its central crop and what a blur brings into it."""
        window = central(self.sharp.shape, crop_px + 2 * BORDER_PX)
        return replace(self, sharp=np.ascontiguousarray(self.sharp[window]))


def scenes_of_folder(folder: Path) -> list[Scene]:
    """The frames of a folder as they are, soft ones too."""
    return _scenes(load_frames(folder, bin_soft=False))


def scenes_set_aside(folder: Path, validation_fraction: float, seed: int) -> list[Scene]:
    """What a training on a folder set aside: for choices, which must not be made on held-out frames."""
    corpus = load_corpus(folder, validation_fraction=validation_fraction, seed=seed)
    return _scenes(corpus.validation)


def scenes_of_simulator(count: int = 8, size_px: int = 416) -> list[Scene]:
    """Procedural scenes, for a machine without frames; figures on them say little about real ones."""
    from semdaemon.training.corpus import corpus_of_scenes

    corpus = corpus_of_scenes(count, size_px, seed=1000)
    return _scenes((*corpus.train, *corpus.validation))


def degrade_scene(scene: Scene, radius_px: float, dose: float, *, crop_px: int, seed: int) -> Degraded:
    """The central crop of a scene under one condition: disc blur of the whole frame, Poisson dose, 8 bits."""
    kernel = degrade.probe_kernel(radius_px)
    blurred = degrade.blur(scene.sharp, kernel)
    window = central(scene.sharp.shape, crop_px)
    rng = np.random.default_rng([seed, round(10 * radius_px), round(10 * dose)])
    seen = degrade.quantise(degrade.expose(blurred[window], dose, rng), 8)
    return Degraded(seen, scene.sharp[window], kernel)


def central(shape: tuple[int, ...], crop_px: int) -> tuple[slice, slice]:
    """The window of a frame that is measured: its centre, as far as it reaches."""
    starts = [max(0, n - crop_px) // 2 for n in shape]
    rows, columns = (slice(start, start + crop_px) for start in starts)
    return rows, columns


def _scenes(frames: Iterable[CorpusFrame]) -> list[Scene]:
    frames = list(frames)
    estimate = None if all(frame.cutoff_known for frame in frames) else intake.blur_estimator()
    return [
        Scene(frame.name, frame.pixels, frame.group, soft_at_pixel_scale(frame, estimate)) for frame in frames
    ]
