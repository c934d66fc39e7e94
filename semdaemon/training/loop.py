"""The training loop: ``python -m semdaemon.training.loop --data DIR --out DIR --minutes 90``.

Needs torch, numpy, scipy, safetensors and a reader of images, nothing else of the daemon, so that it runs
on a bare GPU machine as it does on one core.
A checkpoint found in the output folder means going on from it.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from semdaemon.errors import SemdaemonError
from semdaemon.refocus import networks
from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.training import checkpoint
from semdaemon.training.corpus import Corpus, corpus_of_scenes, load_corpus
from semdaemon.training.loss import loss
from semdaemon.training.recipe import RECIPES, Image, Recipe, batch
from semdaemon.training.validation import measure, validation_pairs

CHECKPOINT_EVERY_S = 60.0
STATUS_EVERY_S = 10.0
VALIDATE_EVERY_S = 300.0


@dataclass(frozen=True)
class Plan:
    """What to train, on what, for how long.

    With ``iterations`` the schedule counts iterations and a run is reproducible from its seed;
    with ``minutes`` the schedule follows the clock, so that it ends on time on a busy machine.
    """

    data: Path | None
    out: Path
    spec: networks.NetworkSpec
    recipe: Recipe
    single_scale: bool = False
    minutes: float | None = None
    iterations: int | None = None
    seed: int = 0
    start_from: Path | None = None
    device: str = "auto"
    threads: int | None = None
    validation_fraction: float = 0.15

    def fraction_done(self, progress: checkpoint.Progress) -> float:
        if self.iterations:
            return progress.iteration / self.iterations
        return progress.elapsed_s / (60 * (self.minutes or 60.0))


class Trainer:
    """One training, from its plan to its last checkpoint; frames given stand in for the plan's folder."""

    def __init__(self, plan: Plan, corpus: Corpus | None = None) -> None:
        self.plan = plan
        self.device = torch.device(_pick_device(plan.device))
        self.half = _multiplies_bfloat16(self.device)
        torch.manual_seed(plan.seed)
        self.corpus = corpus or _corpus_of(plan)
        self.pairs = validation_pairs(self.corpus)
        self.rng = np.random.default_rng(plan.seed)
        net = networks.build_srn(plan.spec) if plan.single_scale else networks.build(plan.spec)
        self.net: nn.Module = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if plan.start_from:
            self.net.load_state_dict(_weights_to_start_from(plan.start_from))
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        self.optimiser = torch.optim.Adam(
            self.net.parameters(), lr=plan.recipe.learning_rate, betas=(0.9, 0.99)
        )
        self.progress = checkpoint.Progress()
        self.path = plan.out / checkpoint.NAME
        self.recent: list[float] = []

    def resume(self) -> bool:
        """Go on from the checkpoint in the output folder, if there is one."""
        if not self.path.exists():
            return False
        header = checkpoint.read_header(self.path)
        if header["spec"] != self.plan.spec.as_dict():
            raise SemdaemonError(
                "another_network",
                f"{self.path} holds a training of another network ({header['spec']}).",
                remedy="Give another --out.",
            )
        checkpoint.restore(self.path, self.net, self.average, self.optimiser)
        self.progress = checkpoint.Progress(**header["progress"])
        self.rng.bit_generator.state = header["rng"]
        return True

    def save(self) -> None:
        self.plan.out.mkdir(parents=True, exist_ok=True)
        header: dict[str, Any] = {
            "spec": self.plan.spec.as_dict(),
            "single_scale": self.plan.single_scale,
            "recipe": self.plan.recipe.as_dict(),
            "seed": self.plan.seed,
            "validation_fraction": self.plan.validation_fraction,
            "train_frames": [frame.name for frame in self.corpus.train],
            "progress": vars(self.progress),
            "rng": self.rng.bit_generator.state,
        }
        checkpoint.save(self.path, self.net, self.average, self.optimiser, header)

    def step(self) -> float:
        """One batch; gives its loss."""
        recipe = self.plan.recipe
        rate = learning_rate(recipe, self.progress.iteration, self.plan.fraction_done(self.progress))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        seen, sharp = (self._to_device(images) for images in batch(self.corpus, recipe, self.rng))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            outputs = _as_tuple(self.net(seen))
        value = loss(outputs, sharp, recipe)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.net.parameters(), recipe.clip_norm)
        self.optimiser.step()
        self.progress.iteration += 1
        self._update_average()
        return float(value.detach())

    def run(self) -> None:
        """Train to the end of the plan, showing progress, saving and validating on the way."""
        self.resume()
        began = time.monotonic() - self.progress.elapsed_s
        saved = told = time.monotonic()
        validated = time.monotonic() - VALIDATE_EVERY_S + 60
        first = self.progress.iteration
        while self.plan.fraction_done(self.progress) < 1:
            self.recent = [*self.recent[-199:], self.step()]
            now = time.monotonic()
            self.progress.elapsed_s = now - began
            if now - told > STATUS_EVERY_S or self.progress.iteration == first + 1:
                told = now
                self._tell()
            if now - validated > VALIDATE_EVERY_S:
                self._validate()
                validated = time.monotonic()
            if now - saved > CHECKPOINT_EVERY_S:
                self.save()
                saved = now
        self._validate()
        self.save()

    def refocus(self, image: Image) -> Image:
        """Run the averaged weights on one (h, w) image whose sides are multiples of the spec's."""
        current = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.average)
        try:
            with torch.inference_mode():
                y = _as_tuple(self.net(self._to_device(image[None, None])))[-1]
        finally:
            self.net.load_state_dict(current)
        return np.asarray(y[0, 0].float().cpu().numpy(), np.float32)

    def _to_device(self, images: Image) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(images))
        return tensor.to(self.device, memory_format=torch.channels_last, non_blocking=True)

    @torch.no_grad()
    def _update_average(self) -> None:
        done = self.progress.iteration
        keep = min(self.plan.recipe.ema, (1 + done) / (10 + done))
        for key, value in self.net.state_dict().items():
            self.average[key].lerp_(value, 1 - keep)

    def _tell(self) -> None:
        done, elapsed_s = self.plan.fraction_done(self.progress), self.progress.elapsed_s
        left_s = elapsed_s * (1 - done) / max(done, 1e-9)
        rate = self.progress.iteration * self.plan.recipe.batch / max(elapsed_s, 1e-9)
        line = (
            f"iteration {self.progress.iteration}  loss {np.mean(self.recent):.4f}  {rate:.1f} samples/s  "
            f"{100 * done:.1f} %  {left_s / 60:.0f} min left"
        )
        _say(line, end="\r" if sys.stderr.isatty() else "\n")

    def _validate(self) -> None:
        table = measure(self.pairs, self.refocus)
        row = {"iteration": self.progress.iteration, "minutes": round(self.progress.elapsed_s / 60, 1)}
        row |= {"loss": round(float(np.mean(self.recent or [math.nan])), 4)}
        row |= {name: round(value, 3) for name, value in table.items()}
        self.plan.out.mkdir(parents=True, exist_ok=True)
        log = self.plan.out / "validation.csv"
        fresh = not log.exists()
        with log.open("a", newline="", encoding="utf-8") as text:
            writer = csv.DictWriter(text, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        _say("gain in dB: " + json.dumps(row))


def learning_rate(recipe: Recipe, iteration: int, fraction_done: float) -> float:
    """Warm-up, then cosine to the final rate; or the exponential decay as published."""
    done = min(max(fraction_done, 0.0), 1.0)
    if recipe.schedule == "exponential":
        return float(recipe.learning_rate * (recipe.final_learning_rate / recipe.learning_rate) ** done)
    warm = min(1.0, (iteration + 1) / max(1, recipe.warm_up_iterations))
    span = recipe.learning_rate - recipe.final_learning_rate
    return warm * (recipe.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * done)))


def _corpus_of(plan: Plan) -> Corpus:
    if plan.data is None:
        return corpus_of_scenes(seed=plan.seed)
    return load_corpus(plan.data, validation_fraction=plan.validation_fraction, seed=plan.seed)


def _say(text: str, end: str = "\n") -> None:
    sys.stderr.write(text + end)
    sys.stderr.flush()


def _as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _pick_device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions pay: on one core with avx512_bf16 a step took 0.63 of its time."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return device.type == "cuda"


def _weights_to_start_from(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    if path.is_dir():
        path = path / checkpoint.NAME
    average = checkpoint.read_average(path)
    return average or {k: v.float() for k, v in load_file(path).items()}


NETWORKS = {"light": networks.LIGHT, "mrn": networks.PUBLISHED, "srn": networks.PUBLISHED}


def train(plan: Plan) -> Path:
    """Run a plan to its end; gives the checkpoint's path."""
    keep_big_blocks()
    if plan.threads:
        torch.set_num_threads(plan.threads)
    trainer = Trainer(plan)
    trainer.run()
    return trainer.path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of sharp frames; without it, simulated scenes")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--network", choices=sorted(NETWORKS), default="light")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="ours")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="schedule by the clock (default 60)")
    length.add_argument("--iterations", type=int, help="schedule by iterations: reproducible")
    parser.add_argument("--from", dest="start_from", type=Path, help="weights or checkpoint to start from")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--radius-px", type=float, help="one known disc radius (the non-blind setting)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="threads of torch")
    parser.add_argument("--validation-fraction", type=float, default=0.15)
    return parser


def plan_of(given: argparse.Namespace) -> Plan:
    """The plan that a command line describes."""
    return Plan(
        data=given.data,
        out=given.out,
        spec=NETWORKS[given.network],
        recipe=adapted(RECIPES[given.recipe], given.batch, given.learning_rate, given.radius_px),
        single_scale=given.network == "srn",
        minutes=given.minutes,
        iterations=given.iterations,
        seed=given.seed,
        start_from=given.start_from,
        device=given.device,
        threads=given.threads,
        validation_fraction=given.validation_fraction,
    )


def adapted(
    recipe: Recipe, batch_size: int | None, learning_rate: float | None, radius_px: float | None
) -> Recipe:
    """A recipe with another batch, rate, or one known radius (the non-blind setting)."""
    if batch_size:
        recipe = replace(recipe, batch=batch_size)
    if learning_rate:
        recipe = replace(recipe, learning_rate=learning_rate)
    if radius_px is not None:
        recipe = replace(recipe, radius_px=(radius_px, radius_px), sharp_share=0.0, varying_share=0.0)
    return recipe


def main(arguments: list[str] | None = None) -> None:
    """Command line of the loop."""
    _say(str(train(plan_of(_parser().parse_args(arguments)))))


if __name__ == "__main__":
    main()
