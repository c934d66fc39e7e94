"""Tables of means by condition and method: what a card keeps of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from semdaemon.training.evaluation import conditions
from semdaemon.training.evaluation.conditions import Defocus
from semdaemon.training.evaluation.measuring import INPUT, NETWORK
from semdaemon.training.evaluation.plan import ORACLES
from semdaemon.training.evaluation.results import Results


@dataclass(frozen=True)
class Row:
    """One method under one condition, over all scenes.

    ``worst_gain_db`` is the smallest difference to the input over the scenes, and ``worst_scene`` its name.
    ``psnr_interval_db`` is the 95 % bootstrap interval of the mean, over what the card's ``drawn`` says (over
    frames where it says nothing); cards from before it have none.
    """

    method: str
    radius_px: float
    electrons_per_px: float
    psnr_db: float
    ssim: float
    worst_gain_db: float
    worst_scene: str
    scenes: int
    blur: str = ""
    psnr_interval_db: Sequence[float] = ()
    ssim_interval: Sequence[float] = ()

    @property
    def blur_name(self) -> str:
        return self.blur or f"disc R {self.radius_px:g}"


def rows_of(results: Results, network_name: str) -> list[Row]:
    """Input, oracles and the network under each blur and dose that was measured."""
    grid = (*conditions.IN_FOCUS, *conditions.HEADLINE, *conditions.FURTHER)
    measured = sorted(
        (c for c in grid if results.has(c.name)),
        key=lambda c: (c.electrons_per_px, conditions.KINDS.index(c.blur.kind), c.blur.strength_px),
    )
    return [
        _row(results, condition, method, network_name)
        for condition in measured
        for method in (INPUT, *ORACLES, NETWORK)
        if results.has(condition.name, method)
    ]


def as_markdown(rows: Iterable[Row]) -> str:
    """One line a condition, one column a method: mean PSNR in dB / SSIM, and the network's worst gain."""
    rows = list(rows)
    methods = list(dict.fromkeys(row.method for row in rows))
    head = ["blur, electrons per px", *methods, f"worst gain of {methods[-1]}"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for condition in dict.fromkeys((row.blur_name, row.electrons_per_px) for row in rows):
        here = {row.method: row for row in rows if (row.blur_name, row.electrons_per_px) == condition}
        cells = [f"{here[m].psnr_db:.2f} / {here[m].ssim:.3f}" for m in methods]
        worst = f"{here[methods[-1]].worst_gain_db:+.2f} dB"
        lines.append(f"| {condition[0]}, {condition[1]:g} | " + " | ".join([*cells, worst]) + " |")
    return "\n".join(lines) + "\n"


def as_facts(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def _row(results: Results, condition: Defocus, method: str, network_name: str) -> Row:
    psnr = results.interval(results.values(condition.name, method))
    similarity = results.interval(results.values(condition.name, method, "ssim"))
    worst_scene, worst_gain = results.worst(condition.name, method)
    return Row(
        network_name if method == NETWORK else method,
        condition.blur.strength_px,
        condition.electrons_per_px,
        round(psnr.mean, 3),
        round(similarity.mean, 4),
        round(worst_gain, 3),
        worst_scene,
        len(results.frames),
        condition.blur.name,
        psnr.rounded(3),
        similarity.rounded(4),
    )
