"""Sharp frames to train on: a folder of images, with or without an ``index.csv`` about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semdaemon.errors import SemdaemonError
from semdaemon.training import intake, listing
from semdaemon.training.intake import SOFT_CUTOFF, Remarks
from semdaemon.training.pictures import read_grey, read_picture

__all__ = [
    "SOFT_CUTOFF",
    "Corpus",
    "CorpusFrame",
    "bin2",
    "corpus_of_scenes",
    "load_corpus",
    "load_frames",
    "random_square",
    "read_grey",
    "soft_at_pixel_scale",
    "training_corpus",
]

Image = npt.NDArray[np.float32]

_BIN_AGAIN = 0.25
"""Share of crops taken from the frame binned 2x: sharper targets, and twice the scales to learn from."""


@dataclass(frozen=True)
class CorpusFrame:
    """One sharp frame.

    Attributes
    ----------
    name, group
        File name; specimen group (frames of one specimen never stand on both sides of a split).
    pixels
        (h, w) float32 in [0, 1].
    weight
        How often crops are drawn from it, relative to the others.
    cutoff
        Cycles per pixel where the signal meets the noise; 0.5 where unknown.
    cutoff_known
        Whether an index or the blur estimator has told it.
    """

    name: str
    group: str
    pixels: Image
    weight: float
    cutoff: float
    cutoff_known: bool = True


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


def load_corpus(folder: str | Path, *, validation_fraction: float = 0.15, seed: int = 0) -> Corpus:
    """Read a folder of sharp frames and set a part of its specimen groups aside.

    Rows of ``index.csv`` (columns ``file``, ``group``, ``cutoff``; others ignored) are followed where
    there is one; otherwise every grey TIFF, PNG, JPEG or BMP counts, and frames whose names differ only
    in digits count as one specimen group, or each as its own where that would leave a single group.
    Without an index, the daemon's estimator tells frames that are not sharp at pixel scale: they are binned
    2x where that makes them sharp and left out where it does not.

    Raises
    ------
    SemdaemonError
        ``no_training_frames`` where the folder is missing or holds no image, ``unreadable_frame`` where one
        is broken, ``frames_blurred`` where most had to be left out.
    """
    remarks = Remarks()
    as_they_are = _admitted(_read_all(Path(folder), remarks), remarks)
    intake.refuse_blurred(len(as_they_are), remarks, folder)
    corpus = _split([_binned(frame) for frame in as_they_are], validation_fraction, seed, remarks)
    names = {frame.name for frame in corpus.train}
    soft = tuple(f for f in as_they_are if f.name in names and f.cutoff < SOFT_CUTOFF)
    return replace(corpus, soft=soft, remarks=remarks.sentences())


def training_corpus(
    folder: str | Path, *, needed_px: int, validation_fraction: float = 0.15, seed: int = 0
) -> Corpus:
    """`load_corpus` for a training whose crops and their margins are ``needed_px`` wide.

    Training frames that are smaller are left out, and told in the remarks.

    Raises
    ------
    SemdaemonError
        As `load_corpus`; ``too_few_frames`` where less than four usable frames are left.
    """
    corpus = load_corpus(folder, validation_fraction=validation_fraction, seed=seed)
    remarks = Remarks(more=list(corpus.remarks))
    train = tuple(f for f in corpus.train if min(f.pixels.shape) >= needed_px)
    remarks.small = [
        f"{f.name} ({f.pixels.shape[1]} x {f.pixels.shape[0]} px, {needed_px} are needed)"
        for f in corpus.train
        if min(f.pixels.shape) < needed_px
    ]
    soft = tuple(f for f in corpus.soft if min(f.pixels.shape) >= needed_px)
    intake.refuse_too_few(len(train) + len(corpus.validation) if train else 0, remarks, folder)
    return Corpus(train, corpus.validation, soft, remarks.sentences())


def corpus_of_scenes(count: int = 24, size_px: int = 512, *, seed: int = 0) -> Corpus:
    """Procedural scenes of the simulator, for a machine without frames of its own: good for a rehearsal."""
    from semdaemon.simulate.scenes import KINDS, scene

    frames = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        pixels = scene(kind, (size_px, size_px), seed=seed + number)
        frames.append(CorpusFrame(f"simulated {kind} {number}", f"{kind} {number // 8}", pixels, 1.0, 0.5))
    return _split(frames, 0.15, seed)


def load_frames(folder: str | Path, *, bin_soft: bool = True) -> list[CorpusFrame]:
    """All frames of a folder as they are; those whose index calls them soft binned 2x unless told otherwise.

    Raises
    ------
    SemdaemonError
        ``no_training_frames`` where the folder holds no image, ``unreadable_frame`` where one is broken.
    """
    frames = [_frame(*read) for read in _read_all(Path(folder), Remarks())]
    return [_binned(frame) for frame in frames] if bin_soft else frames


def soft_at_pixel_scale(frame: CorpusFrame, estimate: intake.BlurOf | None) -> bool | None:
    """Whether a frame is blurred as it is, by the rule of `load_corpus`; None where nobody can tell.

    Parameters
    ----------
    estimate
        Judges frames whose cutoff no index has told (`intake.blur_estimator`).
    """
    if frame.cutoff_known:
        return frame.cutoff < SOFT_CUTOFF
    if estimate is None or intake.is_flat(frame.pixels):
        return None
    return intake.cutoff_at(estimate(frame.pixels)) < SOFT_CUTOFF


def bin2(pixels: Image) -> Image:
    """Mean of each 2 x 2 pixels; an odd last row or column is dropped."""
    h, w = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    cut = pixels[:h, :w]
    return np.asarray((cut[::2, ::2] + cut[1::2, ::2] + cut[::2, 1::2] + cut[1::2, 1::2]) / 4, np.float32)


def random_square(pixels: Image, rng: np.random.Generator, size_px: int) -> Image:
    """A square at a random place; a frame that is smaller is mirrored out first."""
    missing = [max(0, size_px - n) for n in pixels.shape]
    if any(missing):
        pixels = np.pad(pixels, [(0, m) for m in missing], mode="symmetric")
    top, left = (int(rng.integers(n - size_px + 1)) for n in pixels.shape)
    return pixels[top : top + size_px, left : left + size_px]


_Read = tuple[str, str, Image, float | None]
"""Name, group, pixels, cutoff (None where nobody has said it)."""


def _read_all(folder: Path, remarks: Remarks) -> list[_Read]:
    files, by_index = listing.listed(folder), listing.index_of(folder) is not None
    if not files:
        what = "holds no image (TIFF, PNG, JPEG or BMP)" if folder.is_dir() else "is no folder"
        raise SemdaemonError(
            "no_training_frames", f"{folder} {what}.", remedy="Give a folder of sharp grey frames."
        )
    found = []
    for path, group, cutoff in files:
        picture = read_picture(path)
        # By their names within the folder: two instruments may both have written 0001.tif.
        name = path.name if by_index else path.relative_to(folder).as_posix()
        remarks.depths[picture.depth] += 1
        if picture.bar_rows:
            remarks.bars.append(f"{name} ({picture.bar_rows} rows)")
        found.append((name, group, picture.pixels, cutoff))
    return found


def _admitted(frames: list[_Read], remarks: Remarks) -> list[CorpusFrame]:
    """Frames that show something, with the cutoff that their index or the blur estimator tells."""
    estimate = intake.blur_estimator() if any(cutoff is None for *_, cutoff in frames) else None
    good = []
    for name, group, pixels, cutoff in frames:
        if intake.is_flat(pixels):
            remarks.flat.append(name)
        elif cutoff is not None or estimate is None:
            good.append(_frame(name, group, pixels, cutoff))
        else:
            sigma_px = estimate(pixels)
            frame = _frame(name, group, pixels, intake.cutoff_at(sigma_px))
            if frame.cutoff < SOFT_CUTOFF and not _sharp_when_binned(frame, estimate):
                remarks.blurred.append(f"{name} (sigma {sigma_px:.1f} px)")
                continue
            if frame.cutoff < SOFT_CUTOFF:
                remarks.soft.append(f"{name} (sigma {sigma_px:.1f} px)")
            good.append(frame)
    if estimate is None and any(cutoff is None for *_, cutoff in frames):
        remarks.more.append("Blurred frames were not looked for: onnxruntime or pydantic is not installed.")
    return good


def _sharp_when_binned(frame: CorpusFrame, estimate: intake.BlurOf) -> bool:
    return _can_bin(frame) and estimate(bin2(frame.pixels)) <= intake.SOFT_SIGMA_PX


def _can_bin(frame: CorpusFrame) -> bool:
    return bool(min(frame.pixels.shape) >= 256)


def _frame(name: str, group: str, pixels: Image, cutoff: float | None) -> CorpusFrame:
    known, cutoff = cutoff is not None, 0.5 if cutoff is None else cutoff
    weight = float(np.sqrt(pixels.size / 1e6)) * (0.3 if cutoff < SOFT_CUTOFF else 1.0)
    return CorpusFrame(name, group, pixels, weight, cutoff, known)


def _binned(frame: CorpusFrame) -> CorpusFrame:
    """A frame that is soft at pixel scale binned 2x; others as they are."""
    if frame.cutoff >= SOFT_CUTOFF or not _can_bin(frame):
        return frame
    return _frame(frame.name, frame.group, bin2(frame.pixels), 2 * frame.cutoff)


def _split(
    frames: list[CorpusFrame], validation_fraction: float, seed: int, remarks: Remarks | None = None
) -> Corpus:
    """Whole groups go to validation until its share of the frames is reached; train keeps the rest.

    Where every group is larger than that share, the smallest one goes.
    """
    groups = sorted({frame.group for frame in frames})
    if len(groups) == 1 and len(frames) >= intake.LEAST_FRAMES and validation_fraction > 0:
        if remarks is not None:
            remarks.more.append(
                "All frames are of one specimen group, so some of it are set aside: gains on them flatter."
            )
        frames = [replace(frame, group=f"{frame.group}/{frame.name}") for frame in frames]
        groups = sorted({frame.group for frame in frames})
    order = [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    sizes = {group: sum(frame.group == group for frame in frames) for group in groups}
    wanted, taken = validation_fraction * len(frames), 0
    chosen: set[str] = set()
    for group in order:
        if validation_fraction > 0 and taken + sizes[group] <= 1.5 * wanted and len(chosen) < len(groups) - 1:
            chosen.add(group)
            taken += sizes[group]
        if taken >= wanted:
            break
    if not chosen and validation_fraction > 0 and len(groups) > 1:
        chosen = {min(order, key=sizes.__getitem__)}
    return Corpus(
        tuple(f for f in frames if f.group not in chosen), tuple(f for f in frames if f.group in chosen)
    )
