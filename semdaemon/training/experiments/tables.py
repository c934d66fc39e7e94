"""Tables of the experiments in markdown."""

from __future__ import annotations

from typing import Any

import numpy as np

from semdaemon.training.experiments.catalogue import (
    BLIND,
    DISCRIMINATIVE,
    LEVELS_PX,
    REPEATED,
    STEPS,
    label,
    non_blind,
)
from semdaemon.training.experiments.conditions import DOSES, HALF_BLURRED_PX, dose_name
from semdaemon.training.experiments.figures import Figures
from semdaemon.training.intervals import Groups, Interval, drawn, mean_interval

CLEAN, *NOISY = (dose_name(dose) for dose in DOSES)
ALL_DOSES = (CLEAN, *NOISY)
_SETTINGS = (*(non_blind(radius_px) for radius_px in LEVELS_PX), BLIND, DISCRIMINATIVE)
_RUNGS = (BLIND, *(step.name for step in STEPS))
_BLURS = " / ".join(f"{radius_px:g}" for radius_px in LEVELS_PX)


def of_settings(results: dict[str, Any]) -> str:
    """The paper's three questions, noise-free as it asks them, and what noise makes of the answers."""
    done = _done(results, _SETTINGS)
    if not done:
        return ""
    before = Figures(results["input"], results["input"])
    rows = [["input", *_by_radius(before), *("-" for _ in NOISY)]]
    for name, figures in done.items():
        gains = [_gains(figures, dose) for dose in NOISY]
        rows.append([_title(results, name), *_by_radius(figures), *gains])
    head = ["", *(f"R = {radius_px:g}" for radius_px in LEVELS_PX)]
    head += [f"gain at {dose}, R = {_BLURS}" for dose in NOISY]
    return f"""\
PSNR in dB / SSIM on noise-free frames, as in the paper.
The last columns are the gain in dB of the same networks on frames of a finite dose.
None of them has seen noise: where one gains there, it smooths.
A non-blind network answers its question in its own column; the others show what a wrong level costs.

{_table(head, rows)}"""


def of_ladder(results: dict[str, Any]) -> str:
    """What each step gives over the one before, with intervals over specimens."""
    done = _done(results, _RUNGS)
    if not done:
        return ""
    rows, below = [], None
    for name, figures in done.items():
        cells = [_title(results, name, ladder=True)]
        for dose in ALL_DOSES:
            change = "-" if below is None else _change(figures, below, dose, _groups(results))
            cells += [f"{_mean_gain(figures, dose):+.2f}", change]
        cells.append(" / ".join(f"{figures.mean_ssim(dose):.3f}" for dose in ALL_DOSES))
        rows.append(cells)
        below = figures
    head = ["each row changes one thing more"]
    for dose in ALL_DOSES:
        head += [f"{dose}: gain", "change"]
    head.append("SSIM, " + " / ".join(ALL_DOSES))
    of = drawn(len(results["reported_on"]), _groups(results))
    return f"""\
{_summary(results, done)}\
Gain over the input in dB, mean over R = {_BLURS} px; the change against the row above with its 95 % interval
(bootstrap over {of.over}, the two networks paired; bold where it excludes zero).
{" ".join(of.sentences())}

{_table(head, rows)}
{_repetition(results)}"""


def of_harm(results: dict[str, Any]) -> str:
    """What becomes of sharp frames, and of the sharp half of frames whose other half is blurred."""
    names = tuple(dict.fromkeys((non_blind(HALF_BLURRED_PX), *_SETTINGS[-2:], *_RUNGS[1:])))
    done = _done(results, names)
    if not done:
        return ""
    before = Figures(results["input"], results["input"])
    rows = [["input", "-", *("-" for _ in NOISY), *_halves(before)]]
    for name, figures in done.items():
        sharp = [_sharp_change(figures, dose) for dose in NOISY]
        error = f"{figures.error(0, CLEAN).mean():.2f}"
        rows.append([_title(results, name), error, *sharp, *_halves(figures)])
    head = ["", f"sharp frames, {CLEAN}: error", *(f"at {dose}: dB (worst)" for dose in NOISY)]
    head += [f"sharp half, {CLEAN}: error", *(f"at {dose}: error / noise" for dose in NOISY)]
    head += ["blurred half: error, " + " / ".join(ALL_DOSES)]
    return f"""\
Sharp frames: the error in noise-free ones, in grey levels of 255, and the change in dB of noisy ones
(that of the worst frame in brackets).
Frames half blurred (the right half, R = {HALF_BLURRED_PX:g} px): the error in the sharp half, in grey levels
or as a share of the noise that was there (above 1 the network did harm), and that in the blurred half.

{_table(head, rows)}"""


def of_training(results: dict[str, Any]) -> str:
    """Size, length and what the last part of each training still gave."""
    rows = []
    for result in results["experiments"].values():
        curve = result["curve"]
        last, earlier = curve[-1], curve[max(0, len(curve) * 3 // 4 - 1)]
        rows.append(
            [
                label(result["experiment"]),
                f"{result['parameters']:,}",
                f"{last['samples']:,}",
                f"{result['best_iteration']:,} of {last['iteration']:,}",
                f"{last['gain_db']:+.2f}",
                f"{last['gain_db'] - earlier['gain_db']:+.2f}",
            ]
        )
    if not rows:
        return ""
    head = [
        "",
        "parameters",
        "crops seen",
        "iteration kept",
        "gain when watched last",
        "of it in the last quarter",
    ]
    return f"""\
Each training is watched on frames set aside, in its own world (noise-free, or 50 and 400 e/px together).
The weights of the lowest loss there are kept.
What the last quarter still gave, in dB, says how far from converged it ended.

{_table(head, rows)}"""


def _done(results: dict[str, Any], names: tuple[str, ...]) -> dict[str, Figures]:
    made = results["experiments"]
    return {name: Figures(made[name], results["input"]) for name in names if name in made}


def _title(results: dict[str, Any], name: str, *, ladder: bool = False) -> str:
    if name == BLIND and ladder:
        return "published recipe, blind"
    return label(results["experiments"][name]["experiment"])


def _by_radius(figures: Figures) -> list[str]:
    return [
        f"{figures.psnr_db(radius_px, CLEAN).mean():.2f} / {figures.ssim(radius_px, CLEAN).mean():.3f}"
        for radius_px in LEVELS_PX
    ]


def _gains(figures: Figures, dose: str) -> str:
    return " / ".join(f"{figures.gain_db(radius_px, dose).mean():+.2f}" for radius_px in LEVELS_PX)


def _groups(results: dict[str, Any]) -> Groups:
    """The specimen group of each frame; results of before they were kept have none."""
    return results.get("reported_groups")


def _change(figures: Figures, below: Figures, dose: str, groups: Groups) -> str:
    change = _difference(figures, below, dose, groups)
    seen = round(change.low, 2) > 0 or round(change.high, 2) < 0
    return f"**{change}**" if seen else str(change)


def _difference(figures: Figures, other: Figures, dose: str, groups: Groups) -> Interval:
    return mean_interval(figures.mean_gain_db(dose) - other.mean_gain_db(dose), groups)


def _summary(results: dict[str, Any], done: dict[str, Figures]) -> str:
    """From the first row to the last in one sentence a quantity; nothing before the ladder is complete."""
    if len(done) < len(_RUNGS):
        return ""
    first, last = done[_RUNGS[0]], done[_RUNGS[-1]]
    gains = ", ".join(f"{_from_to(_mean_gain(first, d), _mean_gain(last, d))} dB {_at(d)}" for d in ALL_DOSES)
    harm = ", ".join(
        f"{_from_to(_harm(first, d), _harm(last, d), '.2f')} times the noise {_at(d)}" for d in NOISY
    )
    most = ", ".join(f"*{_title(results, step)}* {_at(d)}" for d in ALL_DOSES for step in [_largest(done, d)])
    return f"""\
From the published recipe to ours the gain went {gains}.
The error left in the sharp half of half-blurred frames went {harm}.
The step that gave most: {most}.

"""


def _from_to(before: float, after: float, form: str = "+.2f") -> str:
    return f"from {before:{form}} to {after:{form}}"


def _mean_gain(figures: Figures, dose: str) -> float:
    return float(figures.mean_gain_db(dose).mean())


def _harm(figures: Figures, dose: str) -> float:
    return float(np.mean(figures.half_error("sharp", dose) / figures.noise(dose)))


def _largest(done: dict[str, Figures], dose: str) -> str:
    gains = [_mean_gain(figures, dose) for figures in done.values()]
    return list(done)[1 + int(np.argmax(np.diff(gains)))]


def _sharp_change(figures: Figures, dose: str) -> str:
    gains = figures.gain_db(0, dose)
    return f"{gains.mean():+.2f} ({gains.min():+.2f})"


def _halves(figures: Figures) -> list[str]:
    clean = f"{figures.half_error('sharp', CLEAN).mean():.2f}"
    shares = [f"{_harm(figures, dose):.2f}" for dose in NOISY]
    blurred = " / ".join(f"{figures.half_error('blurred', dose).mean():.2f}" for dose in ALL_DOSES)
    return [clean, *shares, blurred]


def _repetition(results: dict[str, Any]) -> str:
    both = _done(results, (_RUNGS[-1], REPEATED))
    caveat = "The intervals are of one training each: they do not hold what another seed would change.\n"
    if len(both) < 2:
        return caveat
    last, again = both.values()
    groups = _groups(results)
    changes = ", ".join(f"{_difference(again, last, dose, groups)} dB {_at(dose)}" for dose in ALL_DOSES)
    return caveat + f"The last row trained again from another seed differs by {changes}.\n"


def _at(dose: str) -> str:
    return dose if dose == CLEAN else f"at {dose}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
