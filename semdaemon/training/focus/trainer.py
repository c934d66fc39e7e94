"""The training of the blur estimator: seeded, resumable, with averaged weights."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.training import checkpoint
from semdaemon.training.focus import evaluation
from semdaemon.training.focus.examples import draw_batch
from semdaemon.training.focus.network import SigmaNetwork, bin_edges_px, soft_labels
from semdaemon.training.focus.recipe import Recipe
from semdaemon.training.focus.warmstart import start_from
from semdaemon.training.frames import Image
from semdaemon.training.reading import load_corpus

_TELL_EVERY_S = 15.0
_SAVE_EVERY_S = 60.0
_VALIDATE_EVERY_S = 300.0
_WARM_UP = 200
_COOLING = 0.3
"""The last part of a training, in which the learning rate falls (a cosine); it is constant before, so that a
schedule by the clock loses little where a busy machine gives most of its time late."""
_AVERAGING = 0.998


@dataclass(frozen=True)
class Plan:
    """What to train on, where to, and for how long.

    With ``iterations`` a run is reproducible from its seed; with ``minutes`` the schedule follows the
    clock, so that it ends on time on a busy machine.
    """

    data: Path
    out: Path
    recipe: Recipe = field(default_factory=Recipe)
    minutes: float | None = None
    iterations: int | None = None
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    validation_fraction: float = 0.15
    start_from: Path | None = None


class Trainer:
    """One training, from its plan to its last checkpoint."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        torch.manual_seed(plan.seed)
        self.rng = np.random.default_rng(plan.seed)
        self.corpus = load_corpus(plan.data, validation_fraction=plan.validation_fraction, seed=plan.seed)
        self.network = SigmaNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if plan.start_from:
            full_tiles = replace(plan.recipe, tile_side_shares=(1.0, 0.0, 0.0))
            tiles, _ = draw_batch(self.corpus, full_tiles, self.rng)
            start_from(plan.start_from, self.network, torch.from_numpy(tiles))
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        self.progress = checkpoint.Progress()
        self.path = plan.out / checkpoint.NAME
        self.losses: list[float] = []

    def fraction_done(self) -> float:
        if self.plan.iterations:
            return self.progress.iteration / self.plan.iterations
        return self.progress.elapsed_s / (60 * (self.plan.minutes or 45.0))

    def run(self) -> None:
        """Train to the end of the plan, going on from a checkpoint in the output folder."""
        keep_big_blocks()
        self.plan.out.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            header = checkpoint.restore(self.path, self.network, self.average, self.optimiser)
            self.progress = checkpoint.Progress(**header["progress"])
            self.rng.bit_generator.state = header["rng"]
        began = time.monotonic() - self.progress.elapsed_s
        told = saved = validated = time.monotonic()
        while self.fraction_done() < 1:
            self.losses = [*self.losses[-99:], self.step()]
            now = time.monotonic()
            self.progress.elapsed_s = now - began
            if now - told > _TELL_EVERY_S:
                told = now
                self._tell()
            if now - saved > _SAVE_EVERY_S:
                saved = now
                self.save()
            if now - validated > _VALIDATE_EVERY_S:
                validated = now
                self._validate()
        self.save()
        self._validate()

    def step(self) -> float:
        """One batch; gives its loss (cross-entropy in nats, less what soft labels cannot avoid)."""
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        tiles, sigma_px = draw_batch(self.corpus, self.plan.recipe, self.rng)
        labels = soft_labels(torch.from_numpy(sigma_px))
        seen = torch.from_numpy(tiles).to(memory_format=torch.channels_last)
        loss = nn.functional.cross_entropy(self.network(seen), labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.progress.iteration += 1
        self._update_average()
        return float(loss.detach()) - float(torch.special.entr(labels).sum(dim=1).mean())

    def save(self) -> None:
        header: dict[str, Any] = {
            "recipe": self.plan.recipe.as_dict(),
            "seed": self.plan.seed,
            "learning_rate": self.plan.learning_rate,
            "weight_decay": self.plan.weight_decay,
            "validation_fraction": self.plan.validation_fraction,
            "started_from": self.plan.start_from and self.plan.start_from.name,
            "progress": vars(self.progress),
            "rng": self.rng.bit_generator.state,
        }
        checkpoint.save(self.path, self.network, self.average, self.optimiser, header)

    def _learning_rate(self) -> float:
        warm = min(1.0, (1 + self.progress.iteration) / _WARM_UP)
        cooled = max(0.0, min(1.0, self.fraction_done()) - 1 + _COOLING) / _COOLING
        return self.plan.learning_rate * warm * (1 + math.cos(math.pi * cooled)) / 2

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = min(_AVERAGING, (1 + self.progress.iteration) / (10 + self.progress.iteration))
        for key, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[key].lerp_(value, 1 - keep)

    def _tell(self) -> None:
        done, elapsed_s = self.fraction_done(), self.progress.elapsed_s
        sys.stderr.write(
            f"iteration {self.progress.iteration}  loss {np.mean(self.losses):.4f}  "
            f"{self.progress.iteration / elapsed_s:.2f} batches/s  {100 * done:.1f} %  "
            f"{elapsed_s * (1 - done) / max(done, 1e-9) / 60:.0f} min left\n"
        )

    def _validate(self) -> None:
        tiles = evaluation.degraded_tiles(self.corpus.validation, tiles_per_frame=6, seed=1)
        log_sigma = expected_log_sigma(logits_of(averaged(self.average), tiles.pixels))
        row = evaluation.areas(tiles, log_sigma)
        row["iteration"], row["minutes"] = self.progress.iteration, round(self.progress.elapsed_s / 60, 1)
        row["loss"] = round(float(np.mean(self.losses)), 4) if self.losses else None
        with (self.plan.out / "validation.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        sys.stderr.write(json.dumps(row) + "\n")


def averaged(average: dict[str, Tensor]) -> SigmaNetwork:
    """The network with averaged weights, ready for inference."""
    network = SigmaNetwork()
    network.load_state_dict(average)
    return network.eval()


@torch.inference_mode()
def logits_of(network: SigmaNetwork, tiles: Image) -> Tensor:
    """Tiles (n, h, w) float32 to logits (n, bins)."""
    parts = np.array_split(tiles, max(1, len(tiles) // 32))
    return torch.cat([network(torch.from_numpy(part)[:, None]) for part in parts])


def expected_log_sigma(logits: Tensor) -> npt.NDArray[np.float64]:
    """Logits (n, bins) to the expectation of ``ln sigma_px`` (n,)."""
    edges = np.log(bin_edges_px()).astype(np.float64)
    return np.asarray(torch.softmax(logits, dim=1).double().numpy() @ ((edges[1:] + edges[:-1]) / 2))
