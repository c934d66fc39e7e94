"""The batches as a training takes them, one after the other, and how long it waited for them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from semdaemon.training.corpus import Corpus
from semdaemon.training.feeding import feed, workers_for
from semdaemon.training.plan import Plan


class Supply:
    """Batches of a plan, made on the way or by workers; begins to make them when the first is taken."""

    def __init__(self, corpus: Corpus, plan: Plan, device: torch.device) -> None:
        self._corpus, self._plan = corpus, plan
        self._workers = workers_for(device, plan.workers)
        self._pinned = device.type == "cuda"
        self._batches: Iterator[tuple[Tensor, Tensor]] | None = None
        self._waited_s, self._since = 0.0, 0.0

    def take(self, iteration: int) -> tuple[Tensor, Tensor]:
        """The next batch; from that of ``iteration`` on where none was taken since `end`.

        Returns
        -------
        ``(seen, sharp)``, each (batch, 1, crop_px, crop_px) float32 in [0, 1].
        """
        first = self._batches is None
        if self._batches is None:
            self._batches = self._from(iteration)
        began = time.monotonic()
        pair = next(self._batches)
        now = time.monotonic()
        if first:  # it waited for the workers to begin, which more of them would not change
            self._waited_s, self._since = 0.0, now
        self._waited_s += 0.0 if first else now - began
        return pair

    def end(self) -> None:
        """End the workers."""
        self._batches = None

    def waited_share(self) -> float:
        """Share of the time since the workers began to deliver that was spent on waiting for them.

        0 without workers: what is made between the steps is not waited for.
        """
        if self._workers == 0:
            return 0.0
        return self._waited_s / max(time.monotonic() - self._since, 1e-9)

    def _from(self, iteration: int) -> Iterator[tuple[Tensor, Tensor]]:
        return feed(
            self._corpus,
            self._plan.recipe,
            self._plan.seed,
            start=self._plan.first_batch + iteration,
            workers=self._workers,
            pinned=self._pinned,
        )
