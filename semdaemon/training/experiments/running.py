"""All experiments one after another: what is done is skipped, what was cut short goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from semdaemon.errors import SemdaemonError
from semdaemon.refocus import networks
from semdaemon.training.corpus import Corpus, corpus_of_scenes
from semdaemon.training.experiments.catalogue import Experiment
from semdaemon.training.experiments.measuring import measure, unchanged
from semdaemon.training.experiments.training import Point, train, trained
from semdaemon.training.export import commit_here
from semdaemon.training.frames import CorpusFrame
from semdaemon.training.plan import Plan
from semdaemon.training.reading import load_corpus, load_frames

RESULT, PLAN = "result.json", "plan.json"
CROP_PX = 256
"""Side of the crops that results are reported on."""

VALIDATION_FRACTION = 0.15


@dataclass(frozen=True)
class Series:
    """What all experiments of one command share.

    Attributes
    ----------
    data
        Folder with ``train/`` and ``heldout/`` (and ``index.csv``); None for simulated scenes.
    out
        One folder an experiment in it.
    """

    data: Path | None
    out: Path
    scale: str
    seed: int = 0
    device: str = "cpu"
    commit: str = field(default_factory=commit_here)


@dataclass(frozen=True)
class Frames:
    """What is trained on, watched (set aside by specimen group) and reported on."""

    corpus: Corpus
    reported: tuple[CorpusFrame, ...]
    reported_part: str

    @cached_property
    def sha256(self) -> str:
        """Of all pixels of all three parts: the same figures need the same frames."""
        digest = hashlib.sha256()
        for frame in (*self.corpus.train, *self.corpus.validation, *self.reported):
            digest.update(frame.name.encode())
            digest.update(frame.pixels.tobytes())
        return digest.hexdigest()


def frames_of(series: Series) -> Frames:
    """Frames of a folder; without one, the simulator's scenes, reported on scenes of other seeds.

    Raises
    ------
    SemdaemonError
        ``no_training_frames``, ``unreadable_frame`` as `load_frames` has them.
    """
    if series.data is None:
        other = corpus_of_scenes(12, seed=series.seed + 1000)
        reported = (*other.train, *other.validation)
        return Frames(corpus_of_scenes(seed=series.seed), reported, "simulated scenes of other seeds")
    corpus = load_corpus(series.data / "train", validation_fraction=VALIDATION_FRACTION, seed=series.seed)
    return Frames(corpus, tuple(load_frames(series.data / "heldout")), "held-out frames")


def run(
    experiments: Sequence[Experiment],
    series: Series,
    tell: Callable[[str], None],
    after_each: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Train and measure every experiment; gives all results, ready for JSON.

    ``after_each`` is called with the results so far after every experiment.

    Raises
    ------
    SemdaemonError
        ``another_experiment`` where the folder holds one of other settings or frames.
    """
    frames = frames_of(series)
    results = _heading(series, frames)
    for number, experiment in enumerate(experiments, 1):
        tell_one = partial(_tell_numbered, tell, f"[{number}/{len(experiments)}]")
        results["experiments"][experiment.name] = run_one(experiment, series, frames, tell_one)
        if after_each:
            after_each(results)
    return results


def run_one(
    experiment: Experiment, series: Series, frames: Frames, tell: Callable[[str], None]
) -> dict[str, Any]:
    """One experiment's result: as its folder holds it, or trained and measured now."""
    folder = series.out / experiment.name
    _claim(folder, experiment, series, frames)
    if (folder / RESULT).exists():
        tell(f"{experiment.name}: done before")
        return _read(folder / RESULT)
    curve = train(experiment, _plan(experiment, series, folder), frames.corpus, tell)
    tell(f"{experiment.name}: measuring on {frames.reported_part}")
    result = _result(experiment, series, frames, folder, curve)
    _write(folder / RESULT, result)
    return _read(folder / RESULT)


def _result(
    experiment: Experiment, series: Series, frames: Frames, folder: Path, curve: Sequence[Point]
) -> dict[str, Any]:
    began = time.monotonic()
    figures = measure(
        frames.reported, trained(experiment, folder, series.device), crop_px=CROP_PX, seed=series.seed
    )
    net = networks.SRN(experiment.spec) if experiment.single_scale else networks.MRN(experiment.spec)
    return {
        "experiment": experiment.as_dict(),
        "parameters": networks.parameters_of(net),
        "commit": series.commit,
        "device": _device_name(series.device),
        "measuring_s": round(time.monotonic() - began, 1),
        "curve": [asdict(point) for point in curve],
        "best_iteration": min(curve, key=lambda point: point.loss).iteration,
        **figures,
    }


def _plan(experiment: Experiment, series: Series, folder: Path) -> Plan:
    return Plan(
        data=series.data,
        out=folder,
        spec=experiment.spec,
        recipe=experiment.recipe,
        single_scale=experiment.single_scale,
        iterations=experiment.iterations,
        seed=series.seed + experiment.seed_step,
        device=series.device,
        validation_fraction=VALIDATION_FRACTION,
    )


def _claim(folder: Path, experiment: Experiment, series: Series, frames: Frames) -> None:
    """Write down what the folder is for; refuse one that was begun for something else."""
    mine = {"experiment": experiment.as_dict(), "seed": series.seed, "frames_sha256": frames.sha256}
    path = folder / PLAN
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, mine)
    elif _read(path) != json.loads(json.dumps(mine)):
        raise SemdaemonError(
            "another_experiment",
            f"{folder} holds '{experiment.name}' with other settings, another seed or other frames.",
            remedy="Give another --out, or remove that folder.",
        )


def _heading(series: Series, frames: Frames) -> dict[str, Any]:
    """What the results were made from, and the input's own figures to compare with."""
    return {
        "scale": series.scale,
        "seed": series.seed,
        "commit": series.commit,
        "simulated": series.data is None,
        "frames_sha256": frames.sha256,
        "trained_on": len(frames.corpus.train),
        "watched_on": len(frames.corpus.validation),
        "reported_part": frames.reported_part,
        "reported_on": [frame.name for frame in frames.reported],
        "reported_groups": [frame.group for frame in frames.reported],
        "crop_px": CROP_PX,
        "input": measure(frames.reported, unchanged, crop_px=CROP_PX, seed=series.seed),
        "experiments": {},
    }


def _tell_numbered(tell: Callable[[str], None], number: str, line: str) -> None:
    tell(f"{number} {line}")


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else device


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(content), encoding="utf-8")
    beside.replace(path)
