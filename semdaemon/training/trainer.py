"""One training: its frames, its network, how far it has come, and the checkpoints that it goes on from."""

from __future__ import annotations

from typing import Any

from semdaemon.errors import SemdaemonError
from semdaemon.training import checkpoint
from semdaemon.training.corpus import Corpus, corpus_of_scenes
from semdaemon.training.device import device_of
from semdaemon.training.learner import Learner
from semdaemon.training.plan import Plan, check_same, length_of
from semdaemon.training.reading import training_corpus
from semdaemon.training.recipe import learning_rate
from semdaemon.training.supply import Supply
from semdaemon.training.telling import say
from semdaemon.training.validation import Validator, validation_pairs


class Trainer:
    """A training that goes a step at a time; `semdaemon.training.course` leads one to its end.

    Parameters
    ----------
    corpus
        Frames that stand in for the plan's folder.

    Raises
    ------
    SemdaemonError
        What is wrong with the device, the frames or the weights to start from.
    """

    def __init__(self, plan: Plan, corpus: Corpus | None = None) -> None:
        self.plan = plan
        device = device_of(plan.device)
        self.corpus = corpus or corpus_of(plan)
        self.validator = Validator(
            validation_pairs(self.corpus),
            plan.out,
            patience=plan.patience,
            by_clock=plan.iterations is None,
        )
        self.learner = Learner(plan, device)
        self.supply = Supply(self.corpus, plan, device)
        self.progress = checkpoint.Progress()
        self.path = plan.out / checkpoint.NAME
        self._saved_iteration: int | None = None
        self._fingerprints = self.corpus.fingerprints()
        self._pixel_statistics = self.corpus.statistics()

    @property
    def fraction_done(self) -> float:
        """How much of the plan is done, from 0 to 1 (a little more where the last step took long)."""
        return self.plan.fraction_done(self.progress.iteration, self.progress.elapsed_s)

    def step(self) -> None:
        """Learn from the next batch; raises ``loss_not_finite``, on a GPU at a later step."""
        rate = learning_rate(self.plan.recipe, self.progress.iteration, self.fraction_done)
        seen, sharp = self.supply.take(self.progress.iteration)
        self.learner.step(seen, sharp, learning_rate=rate, iteration=self.progress.iteration + 1)
        self.progress.iteration += 1
        if self.learner.look_due:
            self.look()

    def look(self) -> None:
        """Read the losses since the last look; raises ``loss_not_finite`` where one is no number."""
        if not self.learner.look():
            raise self._not_finite("The loss")

    def resume(self) -> bool:
        """Go on from the newest sound checkpoint in the output folder, if there is one.

        Raises
        ------
        SemdaemonError
            ``checkpoint_broken``, or ``another_...`` where it is one of another plan.
        """
        path, remark = checkpoint.newest(self.plan.out)
        if remark:
            say(remark)
        if path is None:
            return False
        for said in check_same(checkpoint.read_header(path), self.plan, self._frames(), path):
            say(said)
        learner = self.learner
        header = checkpoint.restore(path, learner.net, learner.average, learner.optimiser)
        self.progress = checkpoint.Progress(**header["progress"])
        self.validator.restore(header.get("validation", {}))
        self._saved_iteration = self.progress.iteration
        self.supply.end()
        say(f"Going on from {path}, iteration {self.progress.iteration}.")
        return True

    def save(self) -> None:
        """Write a checkpoint; raises ``checkpoint_not_saved`` or ``loss_not_finite``."""
        self.look()
        learner = self.learner
        if not learner.average_is_finite():
            raise self._not_finite("A weight")  # its loss would only tell at the next step
        checkpoint.save(self.path, learner.net, learner.average, learner.optimiser, self._header())
        self._saved_iteration = self.progress.iteration

    def save_average(self, name: str) -> None:
        """Write the averaged weights alone into the output folder; raises ``checkpoint_not_saved``."""
        checkpoint.save_average(self.plan.out / name, self.learner.average, self._header())

    def _not_finite(self, what: str) -> SemdaemonError:
        kept = f"that of iteration {self._saved_iteration}" if self._saved_iteration else "none yet"
        return SemdaemonError(
            "loss_not_finite",
            f"{what} is no finite number at iteration {self.progress.iteration}; "
            f"the last good checkpoint in {self.plan.out} is {kept}.",
            remedy=f"Start anew in another --out, --from that checkpoint where there is one, with a "
            f"--learning-rate below {self.plan.recipe.learning_rate:g}.",
        )

    def _header(self) -> dict[str, Any]:
        start = self.learner.start
        return {
            "spec": self.plan.spec.as_dict(),
            "single_scale": self.plan.single_scale,
            "recipe": self.plan.recipe.as_dict(),
            "seed": self.plan.seed,
            "validation_fraction": self.plan.validation_fraction,
            "length": length_of(self.plan),
            "started_from": start.facts if start else {},
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
