"""Frames that a count of the headline counts, by name, with what each lost and whether its truth is soft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.training.evaluation.measuring import NETWORK
from semdaemon.training.evaluation.results import Results, Values, What
from semdaemon.training.frames import SOFT_CUTOFF
from semdaemon.training.intake import SOFT_SIGMA_PX

RULE = (
    "In brackets stands what a frame gained by the figure that counts it; below 0 it lost.\n"
    "A *soft* frame is so at its own pixel scale: what it holds of finer detail is blurred away or covered "
    "by noise of its own, which then counts as truth; by the rule of training's intake (its signal ends "
    f"below {SOFT_CUTOFF:g} cycles per pixel by the index, or without one its blur is above "
    f"{SOFT_SIGMA_PX:g} px by the estimator).\n"
    "That is told, not forgiven: such frames count like all others."
)
"""How to read what `named` gives."""


@dataclass(frozen=True)
class Counted:
    """One frame of a count.

    Attributes
    ----------
    change_db
        Decibels that it gained over its input; of a half-sharp frame, the noise of the sharp half over the
        error there. Below 0 it lost.
    change_ssim
        SSIM that it gained, where SSIM is what was asked; else None.
    soft
        Soft at its own pixel scale, see `RULE`. None where nobody can tell.
    """

    frame: str
    change_db: float
    change_ssim: float | None
    soft: bool | None

    def __str__(self) -> str:
        ssim = "" if self.change_ssim is None else f"{self.change_ssim:+.4f} SSIM, "
        kind = {True: ", soft", False: "", None: ", not known whether soft"}[self.soft]
        return f"{self.frame} ({ssim}{self.change_db:+.2f} dB{kind})"

    def as_facts(self) -> dict[str, Any]:
        """For the card and JSON."""
        return asdict(self) | {"change_db": round(self.change_db, 3)}


def worse_than_input(results: Results, condition: str, what: What = "psnr_db") -> tuple[Counted, ...]:
    """Frames that came out worse than they went in, the worst first."""
    asked, change_db = results.gain(condition, NETWORK, what), results.gain(condition)
    return _counted(results, asked < 0, asked, change_db, None if what == "psnr_db" else asked)


def above_noise(results: Results, ratio: Values) -> tuple[Counted, ...]:
    """Half-sharp frames whose sharp half came out farther off than its noise, the worst first.

    Parameters
    ----------
    ratio
        (frames,) error over noise of the sharp half, by root mean squares.
    """
    change_db = -20 * np.log10(np.maximum(ratio, 1e-6))
    return _counted(results, ratio > 1, change_db, change_db, None)


def named(counts: Sequence[tuple[str, Sequence[Counted]]]) -> list[str]:
    """Markdown: which frames the figures of one table count; nothing where they count none.

    Parameters
    ----------
    counts
        Name of each figure, and its frames.
    """
    counts = [(name, frames) for name, frames in counts if frames]
    soft = {one.frame: one.soft for _, frames in counts for one in frames}
    if not soft:
        return []
    many = f"{len(soft)} different frames" if len(soft) > 1 else "1 frame"
    of_each = [(name, _soft_of([one.soft for one in frames]), frames) for name, frames in counts]
    return [
        f"Counted there: {many}, {_soft_of(list(soft.values()))}.",
        "",
        *(f"- {name} ({share}): {', '.join(map(str, frames))}." for name, share, frames in of_each),
        "",
    ]


def _counted(
    results: Results,
    which: npt.NDArray[np.bool_],
    badness: Values,
    change_db: Values,
    change_ssim: Values | None,
) -> tuple[Counted, ...]:
    order = [int(i) for i in np.argsort(badness, kind="stable") if which[i]]
    found = []
    for i in order:
        name = results.frames[i]
        scene = results.scenes.get(name)
        ssim = None if change_ssim is None else round(float(change_ssim[i]), 4)
        found.append(Counted(name, float(change_db[i]), ssim, scene.soft if scene else None))
    return tuple(found)


def _soft_of(soft: Sequence[bool | None]) -> str:
    unknown = sum(one is None for one in soft)
    more = f", {unknown} not known" if unknown else ""
    return f"{sum(one is True for one in soft)} of {len(soft)} soft{more}"
