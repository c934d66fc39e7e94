"""The training loop: ``python -m semdaemon.training.loop --data DIR --out DIR --minutes 90``.

Needs torch, numpy, scipy, safetensors, tifffile and Pillow, nothing else of the daemon, so that it runs
on a bare GPU machine as it does on one core.
A checkpoint found in the output folder means going on from it.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from semdaemon.errors import SemdaemonError
from semdaemon.refocus import networks
from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.training import checkpoint
from semdaemon.training.arguments import parser, plan_of
from semdaemon.training.corpus import Corpus, corpus_of_scenes
from semdaemon.training.device import device_of, multiplies_bfloat16
from semdaemon.training.feeding import feed, workers_for
from semdaemon.training.loss import loss
from semdaemon.training.plan import (
    NETWORKS,
    Plan,
    adapted,
    check_same,
    length_of,
    recipe_of,
    spec_of,
)
from semdaemon.training.reading import training_corpus
from semdaemon.training.recipe import learning_rate
from semdaemon.training.starting import start_with
from semdaemon.training.stopping import Stop, TrainingStoppedError
from semdaemon.training.telling import Standing, Teller, say
from semdaemon.training.validation import Validator, validation_pairs

__all__ = [
    "NETWORKS",
    "Plan",
    "Trainer",
    "adapted",
    "learning_rate",
    "plan_of",
    "recipe_of",
    "spec_of",
    "train",
]

Image = npt.NDArray[np.float32]

CHECKPOINT_EVERY_S = 55.0
"""With the step and the validation that may lie between, a killed training loses about a minute."""
BEST = "best.safetensors"

_RECENT = 200


class Trainer:
    """One training, from its plan to its last checkpoint; frames given stand in for the plan's folder."""

    def __init__(self, plan: Plan, corpus: Corpus | None = None) -> None:
        self.plan = plan
        self.device = device_of(plan.device)
        self.half = multiplies_bfloat16(self.device)
        torch.manual_seed(plan.seed)
        self.corpus = corpus or corpus_of(plan)
        self.validator = Validator(
            validation_pairs(self.corpus),
            plan.out,
            patience=plan.patience,
            by_clock=plan.iterations is None,
        )
        net = networks.build_srn(plan.spec) if plan.single_scale else networks.build(plan.spec)
        self.net: nn.Module = net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._start = start_with(self.net, plan.start_from, plan.spec) if plan.start_from else None
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        on_gpu = self.device.type == "cuda"
        torch.backends.cudnn.benchmark = on_gpu  # all crops have one size
        self.optimiser = torch.optim.Adam(
            self.net.parameters(), lr=plan.recipe.learning_rate, betas=(0.9, 0.99), fused=on_gpu or None
        )
        self._fingerprints = self.corpus.fingerprints()
        self._pixel_statistics = self.corpus.statistics()
        self.progress = checkpoint.Progress()
        self.path = plan.out / checkpoint.NAME
        self.recent: list[float] = []
        self.saved_iteration: int | None = None
        self._batches: Iterator[tuple[Tensor, Tensor]] | None = None
        self._unseen: list[Tensor] = []
        # Reading a loss makes the processor wait for the accelerator, so there it is read now and then.
        self._look_every = 10 if on_gpu else 1
        self._waited_s, self._fed_since = 0.0, 0.0

    def resume(self) -> bool:
        """Go on from the newest sound checkpoint in the output folder, if there is one."""
        path, remark = checkpoint.newest(self.plan.out)
        if remark:
            say(remark)
        if path is None:
            return False
        for said in check_same(checkpoint.read_header(path), self.plan, self._frames(), path):
            say(said)
        header = checkpoint.restore(path, self.net, self.average, self.optimiser)
        self.progress = checkpoint.Progress(**header["progress"])
        self.validator.restore(header.get("validation", {}))
        self.saved_iteration = self.progress.iteration
        self._batches = None
        say(f"Going on from {path}, iteration {self.progress.iteration}.")
        return True

    def save(self) -> None:
        """Write a checkpoint; raises ``checkpoint_not_saved`` or ``loss_not_finite``."""
        self._look()
        if not all(bool(value.isfinite().all()) for value in self.average.values()):
            raise self._not_finite("A weight")  # its loss would only tell at the next step
        checkpoint.save(self.path, self.net, self.average, self.optimiser, self._header())
        self.saved_iteration = self.progress.iteration

    def step(self) -> None:
        """One batch; its loss is looked at by `run`, at once on a CPU."""
        recipe = self.plan.recipe
        rate = learning_rate(recipe, self.progress.iteration, self.fraction_done)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        seen, sharp = (self._to_device(images) for images in self._next_batch())
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
        self._unseen.append(value.detach())
        if len(self._unseen) >= self._look_every:
            self._look()

    @property
    def fraction_done(self) -> float:
        return self.plan.fraction_done(self.progress.iteration, self.progress.elapsed_s)

    def run(self) -> None:
        """Train to the end of the plan, showing progress, saving and validating on the way.

        Raises
        ------
        TrainingStoppedError
            Saved and stopped before the end.
        SemdaemonError
            ``loss_not_finite``, ``out_of_memory``, ``checkpoint_not_saved``, or what `resume` raises.
        """
        self.resume()
        for remark in self.corpus.remarks:
            say(remark)
        with Stop(self.plan.stop_after_minutes) as stop, Teller() as teller:
            try:
                self._run(stop, teller)
            except torch.cuda.OutOfMemoryError as error:
                raise self._too_large() from error
            finally:
                self._batches = None  # ends the workers
            if stop.exit_code is not None and self.fraction_done < 1:
                raise TrainingStoppedError.after(self.progress.iteration, self.fraction_done, stop.exit_code)

    def _run(self, stop: Stop, teller: Teller) -> None:
        began = time.monotonic() - self.progress.elapsed_s
        first, saved = self.progress.iteration, time.monotonic()
        if first == 0 and self.plan.patience:
            self._validate(teller)  # the start may be the best there is
        while self.fraction_done < 1 and stop.exit_code is None and not self.validator.out_of_patience:
            self.step()
            now = time.monotonic()
            self.progress.elapsed_s = now - began
            if teller.due() or self.progress.iteration == first + 1:
                teller.stands(self._standing(first))
            if self.validator.due(self.fraction_done):
                self._validate(teller)
            if now - saved > CHECKPOINT_EVERY_S:
                self._or_tell(teller, self.save)
                saved = time.monotonic()
        if self.validator.out_of_patience:
            teller.say(f"No gain since iteration {self.validator.best_iteration}: stopped early.")
        if stop.exit_code is None and self.validator.measured_iteration != self.progress.iteration:
            self._validate(teller)
        self.save()
        self._save_average()

    def refocus(self, image: Image) -> Image:
        """Run the averaged weights on one (h, w) image whose sides are multiples of the spec's."""
        current = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.average)
        try:
            with torch.inference_mode():
                y = _as_tuple(self.net(self._to_device(torch.from_numpy(image[None, None].copy()))))[-1]
        finally:
            self.net.load_state_dict(current)
        return np.asarray(y[0, 0].float().cpu().numpy(), np.float32)

    def _next_batch(self) -> tuple[Tensor, Tensor]:
        first = self._batches is None
        if self._batches is None:
            plan, workers = self.plan, workers_for(self.device, self.plan.workers)
            self._batches = feed(
                self.corpus,
                plan.recipe,
                plan.seed,
                start=plan.first_batch + self.progress.iteration,
                workers=workers,
                pinned=self.device.type == "cuda",
            )
        began = time.monotonic()
        pair = next(self._batches)
        now = time.monotonic()
        if first:  # it waited for the workers to begin, which more of them would not change
            self._waited_s, self._fed_since = 0.0, now
        self._waited_s += 0.0 if first else now - began
        return pair

    def _to_device(self, images: Tensor) -> Tensor:
        return images.to(self.device, memory_format=torch.channels_last, non_blocking=True)

    def _look(self) -> None:
        """Read the losses since the last look; one that is no number ends the training."""
        values = [float(value) for value in self._unseen]
        self._unseen.clear()
        if not all(map(math.isfinite, values)):
            raise self._not_finite("The loss")
        self.recent = [*self.recent, *values][-_RECENT:]

    def _not_finite(self, what: str) -> SemdaemonError:
        kept = f"that of iteration {self.saved_iteration}" if self.saved_iteration else "none yet"
        return SemdaemonError(
            "loss_not_finite",
            f"{what} is no finite number at iteration {self.progress.iteration}; "
            f"the last good checkpoint in {self.plan.out} is {kept}.",
            remedy=f"Start anew in another --out, --from that checkpoint where there is one, with a "
            f"--learning-rate below {self.plan.recipe.learning_rate:g}.",
        )

    def _too_large(self) -> SemdaemonError:
        recipe = self.plan.recipe
        return SemdaemonError(
            "out_of_memory",
            f"A step with a batch of {recipe.batch} and a crop of {recipe.crop_px} px needs more memory than "
            f"{self.device} has left, at iteration {self.progress.iteration}.",
            remedy="End what else uses the device, then the same command goes on; "
            "or begin in another --out with a smaller --batch or --crop.",
        )

    @torch.no_grad()
    def _update_average(self) -> None:
        done = self.progress.iteration
        keep = min(self.plan.recipe.ema, (1 + done) / (10 + done))
        for key, value in self.net.state_dict().items():
            self.average[key].lerp_(value, 1 - keep)

    def _standing(self, first: int) -> Standing:
        self._look()  # on a GPU the first line would have no loss yet
        done, elapsed_s = self.fraction_done, max(self.progress.elapsed_s, 1e-9)
        in_thread = workers_for(self.device, self.plan.workers) == 0
        return Standing(
            iteration=self.progress.iteration,
            loss=float(np.mean(self.recent or [math.nan])),
            samples_per_s=self.progress.iteration * self.plan.recipe.batch / elapsed_s,
            done=done,
            left_s=elapsed_s * (1 - done) / max(done, 1e-9),
            waiting=0.0 if in_thread or self.progress.iteration < first + 100 else self._waited_share(),
        )

    def _waited_share(self) -> float:
        """Share of the time since the workers began to deliver that was spent on waiting for them."""
        return self._waited_s / max(time.monotonic() - self._fed_since, 1e-9)

    def _validate(self, teller: Teller) -> None:
        self._look()
        facts = {
            "iteration": self.progress.iteration,
            "minutes": round(self.progress.elapsed_s / 60, 1),
            "loss": round(float(np.mean(self.recent)), 4) if self.recent else None,
        }
        best = self.validator.measure(self.refocus, facts=facts, done=self.fraction_done, tell=teller.say)
        if best and self.plan.patience:
            self._or_tell(teller, lambda: self._save_average(BEST))

    def _save_average(self, name: str = checkpoint.AVERAGE) -> None:
        checkpoint.save_average(self.plan.out / name, self.average, self._header())

    def _or_tell(self, teller: Teller, save: Callable[[], None]) -> None:
        """A full disk does not end a training: what was saved before is intact, and space may come."""
        try:
            save()
        except SemdaemonError as error:
            if error.code != "checkpoint_not_saved":
                raise
            teller.say(f"{error} The training goes on.")

    def _header(self) -> dict[str, Any]:
        return {
            "spec": self.plan.spec.as_dict(),
            "single_scale": self.plan.single_scale,
            "recipe": self.plan.recipe.as_dict(),
            "seed": self.plan.seed,
            "validation_fraction": self.plan.validation_fraction,
            "length": length_of(self.plan),
            "started_from": self._start.facts if self._start else {},
            "first_batch": self.plan.first_batch,
            "train_frames": [frame.name for frame in self.corpus.train],
            "frames": self._frames(),
            "pixel_statistics": self._pixel_statistics,
            "progress": vars(self.progress),
            "validation": self.validator.state(),
        }

    def _frames(self) -> dict[str, dict[str, str]]:
        prints = self._fingerprints
        parts = {"train": self.corpus.train, "validation": self.corpus.validation}
        return {part: {f.name: prints[f.name] for f in frames} for part, frames in parts.items()}


def corpus_of(plan: Plan) -> Corpus:
    """The frames that a plan learns from and is measured on."""
    if plan.data is None:
        return corpus_of_scenes(seed=plan.seed)
    return training_corpus(
        plan.data,
        needed_px=plan.needed_px,
        validation_fraction=plan.validation_fraction,
        seed=plan.seed,
    )


def _as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def train(plan: Plan) -> Path:
    """Run a plan to its end; gives the path of the checkpoint, or of the best weights where they are kept.

    Raises
    ------
    TrainingStoppedError
        Saved and stopped before the end, by a signal or at the end of a slice of time.
    SemdaemonError
        What is wrong with the frames, the checkpoint, the start or the loss.
    """
    keep_big_blocks()
    if plan.threads:
        torch.set_num_threads(plan.threads)
    trainer = Trainer(plan)
    trainer.run()
    best = plan.out / BEST
    return best if plan.patience and best.exists() else trainer.path


def main(arguments: list[str] | None = None) -> int:
    """Command line of the loop; gives the exit code."""
    try:
        say(str(train(plan_of(parser().parse_args(arguments)))))
    except TrainingStoppedError as stopped:
        say(str(stopped))
        return stopped.exit_code
    except SemdaemonError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
