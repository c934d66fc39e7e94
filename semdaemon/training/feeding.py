"""Batches for the training loop, made between the steps or ahead of them by processes of their own.

Batch number i of a seed is always the same, whoever makes it: a run is reproducible with any number of
workers, and one that was stopped goes on with the batch it would have had.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from semdaemon.training.corpus import Corpus
from semdaemon.training.frames import CorpusFrame
from semdaemon.training.recipe import Recipe, batch

_MOST_WORKERS = 8
"""One core makes 200 pairs of 256 px a second; no accelerator of today takes 1,600."""
_AHEAD = 4
_ENDLESS = 2**31
_SHARED = Path("/dev/shm")  # noqa: S108  (nothing is written there by us: its room is asked)


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Pairs ``(seen, sharp)``, each (batch, 1, crop_px, crop_px) float32, by the number of the batch."""

    def __init__(self, corpus: Corpus, recipe: Recipe, seed: int) -> None:
        self.corpus, self.recipe, self.seed = corpus, recipe, seed

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([abs(self.seed), number])
        seen, sharp = batch(self.corpus, self.recipe, rng)
        return torch.from_numpy(seen), torch.from_numpy(sharp)


class ShelvedBatches(Dataset[tuple[Tensor, Tensor]]):
    """The same batches, for processes: the frames lie in files that all of them map into their memory.

    Sent through a pipe they would cost each worker its own copy, and each start would wait for the last.
    """

    def __init__(self, corpus: Corpus, recipe: Recipe, seed: int, folder: Path) -> None:
        self._recipe, self._seed, self._folder = recipe, seed, folder
        parts = {"train": corpus.train, "soft": corpus.soft}
        self._parts = {
            part: [self._shelve(part, *f) for f in enumerate(frames)] for part, frames in parts.items()
        }
        self._batches: Batches | None = None

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        if self._batches is None:
            train, soft = (self._read(part) for part in ("train", "soft"))
            self._batches = Batches(Corpus(train, (), soft), self._recipe, self._seed)
        return self._batches[number]

    def _shelve(self, part: str, number: int, frame: CorpusFrame) -> CorpusFrame:
        np.save(self._file(part, number), frame.pixels)
        return replace(frame, pixels=np.empty((0, 0), np.float32))

    def _read(self, part: str) -> tuple[CorpusFrame, ...]:
        return tuple(
            replace(frame, pixels=np.asarray(np.load(self._file(part, number), mmap_mode="r")))
            for number, frame in enumerate(self._parts[part])
        )

    def _file(self, part: str, number: int) -> Path:
        return self._folder / f"{part}{number}.npy"


def workers_for(device: torch.device, asked: int | None) -> int:
    """How many processes make the pairs: none on a CPU, whose cores the network needs itself."""
    if asked is not None:
        return asked
    return 0 if device.type == "cpu" else min(_MOST_WORKERS, max(1, (os.cpu_count() or 2) - 1))


def fitting(workers: int, recipe: Recipe) -> tuple[int, int]:
    """As many of the workers, and batches that each makes ahead, as the system's shared memory has room for.

    The batches travel through it, containers often have 64 MiB of it, and who finds it full dies at once.
    """
    if not _SHARED.is_dir():
        return workers, _AHEAD
    batch_bytes = 2 * recipe.batch * recipe.crop_px**2 * 4
    room = shutil.disk_usage(_SHARED).free // batch_bytes - 1  # one more is with the network
    workers = max(1, min(workers, room))
    return workers, max(1, min(_AHEAD, room // workers))


def feed(
    corpus: Corpus, recipe: Recipe, seed: int, *, start: int, workers: int, pinned: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches from number ``start`` on, without end.

    Parameters
    ----------
    workers
        Processes; 0 makes each batch when it is asked for.
    pinned
        Hand them over in page-locked memory, from which an accelerator copies while it computes.
    """
    if workers:
        return _from_workers(corpus, recipe, seed, start, workers, pinned)
    pairs = Batches(corpus, recipe, seed)
    return (pairs[number] for number in itertools.count(start))


def _from_workers(
    corpus: Corpus, recipe: Recipe, seed: int, start: int, workers: int, pinned: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    workers, ahead = fitting(workers, recipe)
    with TemporaryDirectory(prefix="semdaemon-frames-", ignore_cleanup_errors=True) as folder:
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            ShelvedBatches(corpus, recipe, seed, Path(folder)),
            batch_size=None,
            sampler=range(start, _ENDLESS),
            num_workers=workers,
            prefetch_factor=ahead,
            persistent_workers=True,
            # Forked children of a process with threads and a GPU are not safe, and Windows has none.
            multiprocessing_context="spawn",
            worker_init_fn=_begin,
            pin_memory=pinned,
        )
        with warnings.catch_warnings():
            # It counts the cores of this process; whoever asks for more workers has been told by --help.
            warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
            made = iter(loader)
        try:
            yield from made
        finally:
            del made, loader  # which ends the workers, before their files go


def _begin(_number: int) -> None:
    # Ctrl-C and timeout(1) tell the whole group of processes, and a training whose workers die cannot end the
    # step under way; it ends them itself, and they end by themselves where it is gone.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
