"""Sharp frames made worse at random, evenly over specimens: what trust is fitted to and checked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.training.corpus import Corpus, corpus_of_scenes
from semdaemon.training.frames import CorpusFrame
from semdaemon.training.reading import load_corpus, load_frames
from semdaemon.training.recipe import OURS, sample

_SCENES, _SCENE_PX = 12, 448

Image = npt.NDArray[np.float32]

RECIPE = replace(
    OURS,
    name="trust",
    crop_px=384,
    radius_px=(0.0, 12.0),
    sharp_share=0.25,
    electrons_per_px=(5.0, 2000.0),
    dose_skew=1.0,
    noiseless_share=0.08,
    soft_share=0.15,
)
"""As in training, but with more blur (working scale 2 too), low doses as often as high, and more of what may
be taken for blurred and is not: sharp frames, soft ones, and noise too low to hide a loss."""


@dataclass(frozen=True)
class Trial:
    """One degraded crop: ``seen`` and ``sharp`` are (h, w) float32 in [0, 1]; ``group`` its specimen's."""

    group: int
    seen: Image
    sharp: Image


@dataclass(frozen=True)
class Specimens:
    """Frames by specimen group, sorted by the group's name."""

    groups: tuple[Corpus, ...]

    @property
    def frames(self) -> int:
        return sum(len(corpus.train) for corpus in self.groups)

    def trials(self, count: int, seed: int) -> Iterator[Trial]:
        """``count`` trials, each group in turn."""
        for number in range(count):
            group = number % len(self.groups)
            yield Trial(group, *sample(self.groups[group], RECIPE, np.random.default_rng([seed, number])))


def split(data: Path | None, validation_fraction: float, seed: int) -> tuple[Specimens, Specimens]:
    """Specimens that the weights were trained on, and those that their training set aside.

    Parameters
    ----------
    data
        The folder of that training; None for the simulator's scenes.
    validation_fraction, seed
        Of that training.
    """
    if data is None:
        corpus = corpus_of_scenes(_SCENES, _SCENE_PX, seed=seed)
        return by_group(corpus.train, ()), by_group(corpus.validation, ())
    corpus = load_corpus(data, validation_fraction=validation_fraction, seed=seed)
    soft = _soft(data)
    return by_group(corpus.train, soft), by_group(corpus.validation, soft)


def never_seen(data: Path | None) -> Specimens:
    """All frames of a folder that the weights were not trained on; without one, the simulator's scenes."""
    if data is None:
        corpus = corpus_of_scenes(_SCENES, _SCENE_PX, seed=1000)
        return by_group((*corpus.train, *corpus.validation), ())
    return by_group(tuple(load_frames(data)), _soft(data))


def _soft(data: Path) -> tuple[CorpusFrame, ...]:
    """Frames that are soft at pixel scale, smoothed by a pixel.

    Nothing of theirs is as fine as that but noise, and it is strong: a result without it would count as lost.
    """
    return tuple(
        replace(frame, pixels=np.asarray(ndimage.gaussian_filter(frame.pixels, 1.0), np.float32))
        for frame in load_frames(data, bin_soft=False)
        if frame.is_soft
    )


def by_group(frames: tuple[CorpusFrame, ...], soft: tuple[CorpusFrame, ...]) -> Specimens:
    """Frames by specimen group, and those of ``soft`` that bear their names as they are.

    Frames of a group count the same, whatever their size: small ones are other materials, not less.
    """
    names = {frame.name for frame in frames}
    evenly = [replace(frame, weight=1.0) for frame in frames]
    as_they_are = [replace(frame, weight=1.0) for frame in soft if frame.name in names]
    return Specimens(
        tuple(
            Corpus(
                tuple(frame for frame in evenly if frame.group == group),
                (),
                tuple(frame for frame in as_they_are if frame.group == group),
            )
            for group in sorted({frame.group for frame in frames})
        )
    )
