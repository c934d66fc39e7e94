"""Sharp frames to train on: a folder of images, with or without an ``index.csv`` about them."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.errors import SemdaemonError

Image = npt.NDArray[np.float32]

SOFT_CUTOFF = 0.2
"""Cycles per pixel: a frame whose signal meets its noise below this is soft at pixel scale."""

_SUFFIXES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"}
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
    """

    name: str
    group: str
    pixels: Image
    weight: float
    cutoff: float


@dataclass(frozen=True)
class Corpus:
    """Frames to learn from and frames to measure on, of different specimen groups.

    ``soft`` are the training frames that are soft at pixel scale, as they are; ``train`` has them binned.
    """

    train: tuple[CorpusFrame, ...]
    validation: tuple[CorpusFrame, ...]
    soft: tuple[CorpusFrame, ...] = ()

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

    Raises
    ------
    SemdaemonError
        ``no_training_frames`` where the folder holds no image, ``unreadable_frame`` where one is broken.
    """
    corpus = _split(load_frames(folder), validation_fraction, seed)
    names = {frame.name for frame in corpus.train}
    as_they_are = load_frames(folder, bin_soft=False)
    soft = tuple(f for f in as_they_are if f.name in names and f.cutoff < SOFT_CUTOFF)
    return replace(corpus, soft=soft)


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
    """All frames of a folder; those soft at pixel scale binned 2x unless ``bin_soft`` is false.

    Raises
    ------
    SemdaemonError
        ``no_training_frames`` where the folder holds no image, ``unreadable_frame`` where one is broken.
    """
    folder = Path(folder)
    index = next((p / "index.csv" for p in (folder, folder.parent) if (p / "index.csv").exists()), None)
    listed = _unindexed(folder) if index is None else _indexed(folder, index)
    if not listed:
        raise SemdaemonError(
            "no_training_frames",
            f"{folder} holds no image (TIFF, PNG, JPEG or BMP).",
            remedy="Give a folder of sharp grey frames.",
        )
    return [_frame(path, group, cutoff, bin_soft) for path, group, cutoff in listed]


def read_grey(path: str | Path) -> Image:
    """Any grey image as (h, w) float32 in [0, 1]; integers by their full range, floats by their own."""
    try:
        return _to_unit(_read(Path(path)))
    except (OSError, ValueError) as error:
        raise SemdaemonError(
            "unreadable_frame",
            f"{path} cannot be read as a grey image: {error}",
            remedy="Take the file out of the folder, or save it as 8 or 16-bit grey TIFF or PNG.",
        ) from error


def _read(path: Path) -> npt.NDArray[Any]:
    if path.suffix.lower() in {".tif", ".tiff"}:
        import tifffile

        try:
            return np.asarray(tifffile.imread(path))
        except tifffile.TiffFileError as error:
            raise ValueError(str(error)) from error
    from PIL import Image as PillowImage

    with PillowImage.open(path) as picture:
        return np.asarray(picture.convert("L") if picture.mode in {"P", "1", "LA", "RGBA"} else picture)


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


def _to_unit(raw: npt.NDArray[Any]) -> Image:
    if raw.ndim == 3:  # colour planes first or last: SEM files repeat the same grey in each
        raw = raw[..., 0] if raw.shape[-1] in (3, 4) else raw[0]
    if raw.ndim != 2:
        raise ValueError(f"a grey image is needed, not one of shape {raw.shape}")
    if np.issubdtype(raw.dtype, np.integer):
        top = np.iinfo(np.dtype(raw.dtype.str)).max
        return np.asarray(raw.astype(np.float32) / top, np.float32)
    values = raw.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    return values if low >= 0 and high <= 1 else (values - low) / max(high - low, 1e-12)


def _indexed(folder: Path, index: Path) -> list[tuple[Path, str, float]]:
    """(file, group, cutoff) of the index's rows whose file is in the folder or its ``train`` part."""
    listed = []
    with index.open(newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            places = (folder / row["file"], folder / "train" / row["file"])
            path = next((p for p in places if p.exists()), None)
            if path is not None:
                group = f"{row.get('source', '')}/{row.get('group', path.stem)}"
                listed.append((path, group, float(row.get("cutoff") or 0.5)))
    return listed


def _unindexed(folder: Path) -> list[tuple[Path, str, float]]:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    groups = [re.sub(r"\d+", "", p.stem) for p in paths]
    if len(set(groups)) < 2:
        groups = [p.stem for p in paths]
    return [(path, group, 0.5) for path, group in zip(paths, groups, strict=True)]


def _frame(path: Path, group: str, cutoff: float, bin_soft: bool) -> CorpusFrame:
    pixels = read_grey(path)
    if bin_soft and cutoff < SOFT_CUTOFF and min(pixels.shape) >= 256:
        pixels, cutoff = bin2(pixels), 2 * cutoff
    weight = float(np.sqrt(pixels.size / 1e6)) * (0.3 if cutoff < SOFT_CUTOFF else 1.0)
    return CorpusFrame(path.name, group, pixels, weight, cutoff)


def _split(frames: list[CorpusFrame], validation_fraction: float, seed: int) -> Corpus:
    """Whole groups go to validation until its share of the frames is reached; train keeps the rest."""
    groups = sorted({frame.group for frame in frames})
    order = np.random.default_rng(seed).permutation(len(groups))
    wanted, taken = validation_fraction * len(frames), 0
    chosen: set[str] = set()
    for group in (groups[i] for i in order):
        size = sum(frame.group == group for frame in frames)
        if validation_fraction > 0 and taken + size <= 1.5 * wanted and len(chosen) < len(groups) - 1:
            chosen.add(group)
            taken += size
        if taken >= wanted:
            break
    return Corpus(
        tuple(f for f in frames if f.group not in chosen), tuple(f for f in frames if f.group in chosen)
    )
