"""The course of a training from where it stands to its end: steps, telling, measuring, saving, stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch

from semdaemon.errors import SemdaemonError
from semdaemon.training import checkpoint
from semdaemon.training.stopping import Stop, TrainingStoppedError
from semdaemon.training.telling import Standing, Teller, say
from semdaemon.training.trainer import Trainer

CHECKPOINT_EVERY_S = 55.0
"""With the step and the validation that may lie between, a killed training loses about a minute."""

_WAITING_TOLD_AFTER = 100
"""Iterations of a run: before, the share of the time that went to waiting says little."""


def run(trainer: Trainer) -> None:
    """Train to the end of the plan, from the last checkpoint on, showing progress, saving and validating.

    Raises
    ------
    TrainingStoppedError
        Saved and stopped before the end.
    SemdaemonError
        ``loss_not_finite``, ``out_of_memory``, ``checkpoint_not_saved``, or what `Trainer.resume` raises.
    """
    trainer.resume()
    for remark in trainer.corpus.remarks:
        say(remark)
    with Stop(trainer.plan.stop_after_minutes) as stop, Teller() as teller:
        try:
            Course(trainer, stop, teller).run()
        except torch.cuda.OutOfMemoryError as error:
            raise _too_large(trainer) from error
        finally:
            trainer.supply.end()
        if stop.exit_code is not None and trainer.fraction_done < 1:
            raise TrainingStoppedError.after(
                trainer.progress.iteration, trainer.fraction_done, stop.exit_code
            )


class Course:
    """One run of a trainer, whose clock goes on from what its checkpoint had."""

    def __init__(self, trainer: Trainer, stop: Stop, teller: Teller) -> None:
        self._trainer, self._stop, self._teller = trainer, stop, teller
        self._first = trainer.progress.iteration
        self._began_at = time.monotonic() - trainer.progress.elapsed_s
        self._saved_at = time.monotonic()

    def run(self) -> None:
        """Step until the plan, the patience or the time is over; then measure and save."""
        trainer, validator = self._trainer, self._trainer.validator
        if self._first == 0 and trainer.plan.patience:
            self._validate()  # the start may be the best there is
        while trainer.fraction_done < 1 and self._stop.exit_code is None and not validator.out_of_patience:
            self._step()
        if validator.out_of_patience:
            self._teller.say(f"No gain since iteration {validator.best_iteration}: stopped early.")
        if self._stop.exit_code is None and validator.measured_iteration != trainer.progress.iteration:
            self._validate()
        trainer.save()
        trainer.save_average(checkpoint.AVERAGE)

    def _step(self) -> None:
        """One step, and what is due after it."""
        trainer = self._trainer
        trainer.step()
        now = time.monotonic()
        trainer.progress.elapsed_s = now - self._began_at
        if self._teller.due() or trainer.progress.iteration == self._first + 1:
            self._teller.stands(self.standing())
        if trainer.validator.due(trainer.fraction_done):
            self._validate()
        if now - self._saved_at > CHECKPOINT_EVERY_S:
            self._or_tell(trainer.save)
            self._saved_at = time.monotonic()

    def standing(self) -> Standing:
        """How the training stands; raises ``loss_not_finite``."""
        trainer, progress = self._trainer, self._trainer.progress
        trainer.look()  # on a GPU the first line would have no loss yet
        done, elapsed_s = trainer.fraction_done, max(progress.elapsed_s, 1e-9)
        early = progress.iteration < self._first + _WAITING_TOLD_AFTER
        return Standing(
            iteration=progress.iteration,
            loss=float(np.mean(trainer.learner.recent or [math.nan])),
            samples_per_s=progress.iteration * trainer.plan.recipe.batch / elapsed_s,
            done=done,
            left_s=elapsed_s * (1 - done) / max(done, 1e-9),
            waiting=0.0 if early else trainer.supply.waited_share(),
        )

    def _validate(self) -> None:
        trainer = self._trainer
        trainer.look()
        recent = trainer.learner.recent
        facts = {
            "iteration": trainer.progress.iteration,
            "minutes": round(trainer.progress.elapsed_s / 60, 1),
            "loss": round(float(np.mean(recent)), 4) if recent else None,
        }
        best = trainer.validator.measure(
            trainer.learner.refocus, facts=facts, done=trainer.fraction_done, tell=self._teller.say
        )
        if best and trainer.plan.patience:
            self._or_tell(lambda: trainer.save_average(checkpoint.BEST))

    def _or_tell(self, save: Callable[[], None]) -> None:
        """A full disk does not end a training: what was saved before is intact, and space may come."""
        try:
            save()
        except SemdaemonError as error:
            if error.code != "checkpoint_not_saved":
                raise
            self._teller.say(f"{error} The training goes on.")


def _too_large(trainer: Trainer) -> SemdaemonError:
    recipe = trainer.plan.recipe
    return SemdaemonError(
        "out_of_memory",
        f"A step with a batch of {recipe.batch} and a crop of {recipe.crop_px} px needs more memory than "
        f"{trainer.learner.device} has left, at iteration {trainer.progress.iteration}.",
        remedy="End what else uses the device, then the same command goes on; "
        "or begin in another --out with a smaller --batch or --crop.",
    )
