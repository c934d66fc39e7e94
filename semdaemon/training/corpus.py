"""What a training has to learn from and to be measured on, set apart by specimen."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from semdaemon.training.frames import CorpusFrame, Image, bin2, random_square
from semdaemon.training.intake import LEAST_FRAMES, Remarks

_BIN_AGAIN = 0.25
"""Share of crops taken from the frame binned 2x: sharper targets, and twice the scales to learn from."""


@dataclass(frozen=True)
class Corpus:
    """Frames to learn from and frames to measure on, of different specimen groups.

    ``soft`` are the training frames that are soft at pixel scale, as they are; ``train`` has them binned.
    ``remarks`` are sentences about what was changed or left out on the way in.
    """

    train: tuple[CorpusFrame, ...]
    validation: tuple[CorpusFrame, ...]
    soft: tuple[CorpusFrame, ...] = ()
    remarks: tuple[str, ...] = ()

    def fingerprints(self) -> dict[str, str]:
        """A short hash of each frame's pixels by its name: has the data changed since?"""
        frames = (*self.train, *self.validation)
        return {f.name: hashlib.sha256(f.pixels.tobytes()).hexdigest()[:12] for f in frames}

    def statistics(self) -> dict[str, float]:
        """``mean`` and ``sd`` of the training pixels (range 1), each frame counting the same."""
        mean = float(np.mean([f.pixels.mean() for f in self.train]))
        sd = float(np.sqrt(np.mean([((f.pixels - mean) ** 2).mean() for f in self.train])))
        return {"mean": round(mean, 4), "sd": round(sd, 4)}

    def crop(
        self, rng: np.random.Generator, size_px: int, *, soft: bool = False, plain: bool = False
    ) -> Image:
        """A random square of the training frames, flipped and turned at random.

        Of two places the one with more contrast is taken: much of a frame is bare substrate.

        Parameters
        ----------
        soft
            Take a frame that is soft at pixel scale, where there is one.
        plain
            A square from anywhere in a frame as it is: neither chosen, binned, flipped nor turned.

        Returns
        -------
        (size_px, size_px) float32 in [0, 1], contiguous; mirrored out where a frame is smaller.
        """
        soft = soft and bool(self.soft)
        pool = self.soft if soft else self.train
        weights = np.array([frame.weight for frame in pool])
        pixels = pool[rng.choice(len(weights), p=weights / weights.sum())].pixels
        if plain:
            return np.ascontiguousarray(random_square(pixels, rng, size_px))
        if not soft and rng.random() < _BIN_AGAIN and min(pixels.shape) >= 2 * size_px:
            pixels = bin2(random_square(pixels, rng, 2 * size_px))
        square = max((random_square(pixels, rng, size_px) for _ in range(2)), key=np.std)
        square = np.rot90(square, int(rng.integers(4)))
        return np.ascontiguousarray(square[:, ::-1] if rng.random() < 0.5 else square)


def split(
    frames: Sequence[CorpusFrame], validation_fraction: float, seed: int, remarks: Remarks | None = None
) -> Corpus:
    """Whole specimen groups go to validation until its share of the frames is reached; train keeps the rest.

    Where there is a single group, each of its frames counts as one of its own, and that is remarked.
    """
    one_group = len({frame.group for frame in frames}) == 1
    if one_group and len(frames) >= LEAST_FRAMES and validation_fraction > 0:
        if remarks is not None:
            remarks.more.append(
                "All frames are of one specimen group, so some of it are set aside: gains on them flatter."
            )
        frames = [replace(frame, group=f"{frame.group}/{frame.name}") for frame in frames]
    chosen = _set_aside([frame.group for frame in frames], validation_fraction, seed)
    return Corpus(
        tuple(f for f in frames if f.group not in chosen), tuple(f for f in frames if f.group in chosen)
    )


def corpus_of_scenes(count: int = 24, size_px: int = 512, *, seed: int = 0) -> Corpus:
    """Procedural scenes of the simulator, for a machine without frames of its own: good for a rehearsal."""
    from semdaemon.simulate.scenes import KINDS, scene

    frames = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        pixels = scene(kind, (size_px, size_px), seed=seed + number)
        frames.append(CorpusFrame(f"simulated {kind} {number}", f"{kind} {number // 8}", pixels, 1.0, 0.5))
    return split(frames, 0.15, seed)


def _set_aside(group_of_each: Sequence[str], validation_fraction: float, seed: int) -> set[str]:
    """The groups for validation, drawn at random; where each is larger than its share, the smallest one."""
    sizes = Counter(group_of_each)
    groups = sorted(sizes)
    if validation_fraction <= 0 or len(groups) < 2:
        return set()
    order = [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    wanted, taken = validation_fraction * len(group_of_each), 0
    chosen: set[str] = set()
    for group in order:
        if taken + sizes[group] <= 1.5 * wanted and len(chosen) < len(groups) - 1:
            chosen.add(group)
            taken += sizes[group]
        if taken >= wanted:
            break
    return chosen or {min(order, key=sizes.__getitem__)}
