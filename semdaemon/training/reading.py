"""A folder of sharp frames, with or without an ``index.csv`` about them, read into a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from semdaemon.errors import SemdaemonError
from semdaemon.training import intake, listing
from semdaemon.training.corpus import Corpus, split
from semdaemon.training.frames import SOFT_CUTOFF, CorpusFrame, bin2
from semdaemon.training.intake import Remarks
from semdaemon.training.pictures import read_picture


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
    corpus = split([frame.binned_if_soft() for frame in as_they_are], validation_fraction, seed, remarks)
    names = {frame.name for frame in corpus.train}
    soft = tuple(f for f in as_they_are if f.name in names and f.is_soft)
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


def load_frames(folder: str | Path, *, bin_soft: bool = True) -> list[CorpusFrame]:
    """All frames of a folder as they are; those whose index calls them soft binned 2x unless told otherwise.

    Raises
    ------
    SemdaemonError
        ``no_training_frames`` where the folder holds no image, ``unreadable_frame`` where one is broken.
    """
    frames = _read_all(Path(folder), Remarks())
    return [frame.binned_if_soft() for frame in frames] if bin_soft else frames


def soft_at_pixel_scale(frame: CorpusFrame, estimate: intake.BlurOf | None) -> bool | None:
    """Whether a frame is blurred as it is, by the rule of `load_corpus`; None where nobody can tell.

    Parameters
    ----------
    estimate
        Judges frames whose cutoff no index has told (`intake.blur_estimator`).
    """
    if frame.cutoff_known:
        return frame.is_soft
    if estimate is None or intake.is_flat(frame.pixels):
        return None
    return intake.cutoff_at(estimate(frame.pixels)) < SOFT_CUTOFF


def _read_all(folder: Path, remarks: Remarks) -> list[CorpusFrame]:
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
        found.append(CorpusFrame.of(name, group, picture.pixels, cutoff))
    return found


def _admitted(frames: Sequence[CorpusFrame], remarks: Remarks) -> list[CorpusFrame]:
    """Frames that show something, with the cutoff that their index or the blur estimator tells."""
    untold = any(not frame.cutoff_known for frame in frames)
    estimate = intake.blur_estimator() if untold else None
    good = []
    for frame in frames:
        if intake.is_flat(frame.pixels):
            remarks.flat.append(frame.name)
        elif frame.cutoff_known or estimate is None:
            good.append(frame)
        else:
            good += _estimated(frame, estimate, remarks)
    if untold and estimate is None:
        remarks.more.append("Blurred frames were not looked for: onnxruntime or pydantic is not installed.")
    return good


def _estimated(frame: CorpusFrame, estimate: intake.BlurOf, remarks: Remarks) -> list[CorpusFrame]:
    """A frame with the cutoff that its blur tells; none where it is blurred even when binned 2x."""
    sigma_px = estimate(frame.pixels)
    frame = CorpusFrame.of(frame.name, frame.group, frame.pixels, intake.cutoff_at(sigma_px))
    if not frame.is_soft:
        return [frame]
    said = f"{frame.name} (sigma {sigma_px:.1f} px)"
    if not (frame.can_bin and estimate(bin2(frame.pixels)) <= intake.SOFT_SIGMA_PX):
        remarks.blurred.append(said)
        return []
    remarks.soft.append(said)
    return [frame]
