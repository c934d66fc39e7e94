"""Whether fine-tuned weights are better than those they started from, and what they forgot meanwhile."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from semdaemon.refocus import networks
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.training import checkpoint
from semdaemon.training.corpus import corpus_of_scenes
from semdaemon.training.device import device_of
from semdaemon.training.evaluation.pairing import LEAST_DRAWN, paired_difference
from semdaemon.training.export import export, write_card
from semdaemon.training.frames import CorpusFrame
from semdaemon.training.plan import Plan
from semdaemon.training.quality import psnr_db
from semdaemon.training.starting import Start, start_of
from semdaemon.training.trainer import corpus_of
from semdaemon.training.validation import CONDITIONS, Pair, degraded_pairs

Image = npt.NDArray[np.float32]
Refocus = Callable[[Image], Image]

FRACTION = 0.25
"""Of the frames set aside when fine-tuning: of twenty, five can tell a gain from chance."""
PATIENCE = 5
MINUTES = 20.0
"""Fine-tuning on a few dozen frames has found its best long before, on one core."""

_MOST_FRAMES, _CROP_PX = 12, 192
_GENERAL_SEED = 1000
_JUDGE_SEED = 1
"""Other noise than that by which the best iteration was chosen."""


@dataclass(frozen=True)
class Judged:
    """Start and result on the same degraded crops.

    Attributes
    ----------
    frames
        How many the figures are of.
    start_db, tuned_db
        Mean PSNR in decibels.
    gain_db, low_db, high_db
        Mean difference and its 95 % interval, over specimens where there are several.
    by_condition_db
        The difference at each condition (``R4_N50``: disc of 4 px, 50 electrons per pixel).
    specimens
        Of how many specimen groups the frames are.
    over
        What the interval is over: ``specimens``, ``frames``, or ``conditions`` of one or two frames.
    """

    frames: int
    start_db: float
    tuned_db: float
    gain_db: float
    low_db: float
    high_db: float
    by_condition_db: dict[str, float]
    specimens: int
    over: str

    def __str__(self) -> str:
        interval = f"95 % interval over {self.over} {self.low_db:+.2f} to {self.high_db:+.2f}"
        return f"{self.gain_db:+.2f} dB ({interval})"


@dataclass(frozen=True)
class Verdict:
    """What a fine-tuning came to."""

    own: Judged
    general: Judged

    @property
    def better(self) -> bool:
        """The lab's own frames gain beyond chance."""
        return self.own.low_db > 0

    def sentences(self, start: str) -> list[str]:
        """For people; ``start`` is the name of the weights it began with."""
        own, general = self.own, self.general
        frames = f"{own.frames}, of {own.specimens} specimen groups"
        lines = [
            f"On your own frames that were set aside ({frames}): {own} against '{start}'.",
            f"On {general.frames} general scenes, of kinds that were not trained on: {general}.",
        ]
        if own.specimens < LEAST_DRAWN:
            lines.append(
                f"With frames of fewer than {LEAST_DRAWN} specimens set aside the interval says less than it "
                "seems to: compare them on more with `semdaemon compare`."
            )
        if not self.better:
            lines.append(f"No gain beyond chance: keep '{start}', whose weights are what was written.")
        elif general.high_db < 0:
            lines.append("Better on your kind of sample, worse on others: use it for this kind only.")
        else:
            lines.append("Better on your kind of sample; nothing measurable was forgotten.")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """The card's ``fine_tuning``."""
        return {
            "better": self.better,
            "own_frames": {"set": "validation", **asdict(self.own)},
            "general_scenes": asdict(self.general),
        }


def judge(start: Start, tuned: Path, validation: Sequence[CorpusFrame], *, device: str = "cpu") -> Verdict:
    """Compare two states of one network on set-aside frames and on the simulator's scenes.

    Parameters
    ----------
    tuned
        Checkpoint, or averaged weights, of the fine-tuning.
    validation
        Frames that were not trained on. They chose when to stop, so their gain is a little flattered.
    """
    states = (start.tensors(), checkpoint.read_average(tuned))
    before, after = (_refocus(start.network, tensors, device) for tensors in states)
    general = corpus_of_scenes(8, 256, seed=_GENERAL_SEED)
    return Verdict(
        _judged(validation[:_MOST_FRAMES], before, after),
        _judged((*general.train, *general.validation), before, after),
    )


def finish(plan: Plan, tuned: Path, target: Path, *, network: str) -> tuple[dict[str, Any], Verdict]:
    """Judge a fine-tuning and write what is best under ``target``: the tuned weights, or those of the start.

    Returns
    -------
    The card as written, and the verdict.
    """
    if plan.start_from is None:
        raise ValueError("a fine-tuning has a start")
    start = start_of(plan.start_from)
    verdict = judge(start, tuned, corpus_of(plan).validation, device=str(device_of(plan.device)))
    if verdict.better or not start.is_weights:
        source = tuned if verdict.better else start.path
        card = export(source, target, network=network, data=plan.data)
    else:
        shutil.copyfile(start.path, target)
        card = json.loads(start.path.with_suffix(".json").read_text(encoding="utf-8"))
        card["name"] = target.stem
    card["started_from"] = start.facts
    card["fine_tuning"] = {**verdict.as_dict(), "frames_of": plan.data.name if plan.data else "simulator"}
    write_card(target, card)
    return card, verdict


def _judged(frames: Sequence[CorpusFrame], before: Refocus, after: Refocus) -> Judged:
    pairs = degraded_pairs(frames, size_px=_CROP_PX, seed=_JUDGE_SEED)
    a, b = (_psnr_table(refocus, pairs) for refocus in (before, after))
    # One or two frames leave nothing to resample: then the conditions stand in, and the reader is told.
    enough = len(a) > 2
    sides = [table.mean(axis=1) if enough else table.ravel() for table in (a, b)]
    groups = [frame.group for frame in frames]
    found = paired_difference(sides[0].tolist(), sides[1].tolist(), groups if enough else None)
    names = [f"R{radius_px:g}_N{dose:g}" for radius_px, dose in CONDITIONS]
    return Judged(
        frames=len(a),
        start_db=round(float(a.mean()), 3),
        tuned_db=round(float(b.mean()), 3),
        gain_db=round(found.mean, 3),
        low_db=round(found.low, 3),
        high_db=round(found.high, 3),
        by_condition_db={
            name: round(float(gain), 3) for name, gain in zip(names, (b - a).mean(axis=0), strict=True)
        },
        specimens=len(set(groups)),
        over=found.drawn.over if enough else "conditions",
    )


def _psnr_table(refocus: Refocus, pairs: Sequence[Pair]) -> npt.NDArray[np.float64]:
    """PSNR in decibels, (frames, conditions)."""
    values = [psnr_db(refocus(pair.seen), pair.sharp) for pair in pairs]
    return np.asarray(values).reshape(-1, len(CONDITIONS))


def _refocus(spec: NetworkSpec, tensors: dict[str, Tensor], device: str) -> Refocus:
    net: nn.Module = networks.SRN(spec) if "head.weight" in tensors else networks.MRN(spec)
    net.load_state_dict(tensors)
    net.to(device).eval()

    def refocus(seen: Image) -> Image:
        with torch.inference_mode():
            outputs = net(torch.from_numpy(seen[None, None].copy()).to(device))
        finest = outputs if isinstance(outputs, Tensor) else outputs[-1]
        return np.asarray(finest[0, 0].float().cpu().numpy(), np.float32)

    return refocus
