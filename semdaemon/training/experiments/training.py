"""Training one experiment: in equal legs, measured after each on frames set aside, resumable at each."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from semdaemon.refocus import networks
from semdaemon.training import checkpoint
from semdaemon.training.corpus import Corpus
from semdaemon.training.experiments.catalogue import LEVELS_PX, Experiment
from semdaemon.training.experiments.conditions import Case, blurred
from semdaemon.training.experiments.measuring import Image, Refocus
from semdaemon.training.frames import CorpusFrame
from semdaemon.training.plan import Plan
from semdaemon.training.quality import psnr_db
from semdaemon.training.trainer import Trainer

CURVE, BEST = "curve.csv", "best.safetensors"
_WATCHED_FRAMES, _WATCHED_PX = 8, 192
_TELL_EVERY_S = 10.0


@dataclass(frozen=True)
class Point:
    """One point of a learning curve, on frames set aside from the training's own folder.

    ``gain_db`` is the mean gain over the input and ``loss`` the mean L1 of the finest scale,
    in the experiment's own world: its known level or all of them, noise-free or at a finite dose.
    """

    iteration: int
    samples: int
    gain_db: float
    loss: float


def train(
    experiment: Experiment,
    plan: Plan,
    corpus: Corpus,
    tell: Callable[[str], None],
) -> list[Point]:
    """Train to the end, going on from what the folder holds; gives the learning curve.

    The weights of the point with the lowest loss stay in ``best.safetensors``, as the paper chooses them.
    A leg that was cut short is trained again from its start, to the same end.
    """
    trainer = Trainer(plan, corpus)
    trainer.resume()
    cases = watched_cases(experiment, corpus.validation or corpus.train, plan.seed)
    curve = [p for p in read_curve(plan.out) if p.iteration <= trainer.progress.iteration]
    while trainer.progress.iteration < experiment.iterations:
        _leg(trainer, experiment, tell)
        curve.append(_point(trainer, cases))
        trainer.save()
        _write_curve(plan.out, curve)
        if curve[-1].loss <= min(point.loss for point in curve):
            _keep_as_best(trainer.path, plan.out / BEST)
        tell(f"{experiment.name}: iteration {curve[-1].iteration}, gain {curve[-1].gain_db:+.2f} dB")
    return curve


def trained(experiment: Experiment, folder: Path, device: str) -> Refocus:
    """The best weights of a training, as a function from a crop to its refocused picture."""
    net = networks.SRN(experiment.spec) if experiment.single_scale else networks.MRN(experiment.spec)
    net.load_state_dict(checkpoint.read_average(folder / BEST))
    on = torch.device(device)
    net = net.to(on).eval()

    def refocus(seen: Image) -> Image:
        with torch.inference_mode():
            outputs = net(torch.from_numpy(np.ascontiguousarray(seen))[None, None].to(on))
        finest = outputs if isinstance(outputs, torch.Tensor) else outputs[-1]
        return np.asarray(finest[0, 0].float().cpu().numpy(), np.float32)

    return refocus


def watched_cases(experiment: Experiment, frames: Sequence[CorpusFrame], seed: int) -> list[Case]:
    """What a training is watched on: a few crops, degraded as the experiment's own world is."""
    step = max(1, len(frames) // _WATCHED_FRAMES)
    few = frames[::step][:_WATCHED_FRAMES]
    low, high = experiment.recipe.radius_px
    radii = (low,) if low == high else LEVELS_PX
    doses = (400.0, 50.0) if experiment.noisy else (None,)
    return [
        case
        for radius_px in radii
        for dose in doses
        for case in blurred(few, radius_px, dose, crop_px=_WATCHED_PX, seed=seed)
    ]


def read_curve(folder: Path) -> list[Point]:
    """The learning curve that a folder holds; empty where it holds none."""
    path = folder / CURVE
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as text:
        return [
            Point(int(r["iteration"]), int(r["samples"]), float(r["gain_db"]), float(r["loss"]))
            for r in csv.DictReader(text)
        ]


def _leg(trainer: Trainer, experiment: Experiment, tell: Callable[[str], None]) -> None:
    """Steps up to the next point of the curve, which is also the next checkpoint."""
    length = -(-experiment.iterations // experiment.points)
    end = min(experiment.iterations, (trainer.progress.iteration // length + 1) * length)
    began, first = time.monotonic(), trainer.progress.iteration
    told, before_s = began, trainer.progress.elapsed_s
    while trainer.progress.iteration < end:
        trainer.step()
        now = time.monotonic()
        if now - told > _TELL_EVERY_S:
            told = now
            done = trainer.progress.iteration
            rate = (done - first) / (now - began)
            left_min = (experiment.iterations - done) / rate / 60
            tell(f"{experiment.name}: iteration {done} of {experiment.iterations}, {left_min:.0f} min left")
    trainer.progress.elapsed_s = before_s + time.monotonic() - began


def _point(trainer: Trainer, cases: Sequence[Case]) -> Point:
    results = [np.clip(trainer.learner.refocus(case.seen), 0, 1) for case in cases]
    gains = [psnr_db(r, c.sharp) - psnr_db(c.seen, c.sharp) for r, c in zip(results, cases, strict=True)]
    losses = [float(np.abs(r - c.sharp).mean()) for r, c in zip(results, cases, strict=True)]
    done = trainer.progress.iteration
    samples = done * trainer.plan.recipe.batch
    return Point(done, samples, round(float(np.mean(gains)), 3), round(float(np.mean(losses)), 6))


def _keep_as_best(path: Path, best: Path) -> None:
    beside = best.with_suffix(".part")
    shutil.copyfile(path, beside)
    beside.replace(best)


def _write_curve(folder: Path, curve: Sequence[Point]) -> None:
    beside = folder / f"{CURVE}.part"
    with beside.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, vars(curve[0]))
        writer.writeheader()
        writer.writerows(vars(point) for point in curve)
    beside.replace(folder / CURVE)
