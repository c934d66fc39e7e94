"""An evaluation as markdown: how it was measured, the verdicts, and the tables behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from semdaemon.training.evaluation import classical, conditions
from semdaemon.training.evaluation.conditions import Defocus
from semdaemon.training.evaluation.halves import HALVES
from semdaemon.training.evaluation.headline import headlines
from semdaemon.training.evaluation.headline_table import shown, verdict_table
from semdaemon.training.evaluation.measuring import BAND_EDGES, INPUT, NETWORK
from semdaemon.training.evaluation.results import Results, What
from semdaemon.training.evaluation.unseen import PAIRS


def report(results: Results, facts: Mapping[str, Any], network: str, pictures: str = "") -> str:
    """Everything that was measured on one set of frames.

    Parameters
    ----------
    facts
        Conditions of the whole evaluation; ``weights`` is the name under which the network is shown.
    network
        The card's word for the architecture.
    pictures
        Markdown of the figures, which stand behind the verdicts.
    """
    parts = [
        _how(results, facts),
        "### What was asked, and what was found",
        verdict_table(headlines(results, network)),
        pictures,
        _quality(results, facts, "psnr_db", "PSNR", "dB", ".2f"),
        _quality(results, facts, "ssim", "SSIM", "SSIM", ".3f"),
        _known_and_estimated(results, facts),
        _in_focus(results),
        _bands(results),
        _unseen(results),
        _halves(results),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


_HOW = """\
- The centre of each frame is blurred (the frame reaches beyond the crop, so its edge is honest), counted
  with Poisson noise at so many electrons per pixel of white, and rounded to 8 bits.
- *Oracle* methods are told the probe, and their parameter is the best for each frame by its truth.
  Where the probe varies over the crop they are told how.
- *Blind* methods know the frame alone: the blur is semdaemon's own estimate, taken for a disc, and the
  parameter follows the discrepancy principle: the first result that explains the frame down to its noise.
- The network is blind as well, and no mask protects anything.
- In brackets: 95 % bootstrap interval over {over} (2000 resamples, percentiles).
  {drawn}
"""


def _how(results: Results, facts: Mapping[str, Any]) -> str:
    told = ", ".join(f"{key} {value}" for key, value in facts.items())
    drawn = results.drawn
    how = _HOW.format(over=drawn.over, drawn="\n  ".join(drawn.sentences()))
    return f"Measured: {told}.\n\n{how}"


def _grid(results: Results) -> list[Defocus]:
    measured = (*conditions.IN_FOCUS, *conditions.HEADLINE, *conditions.FURTHER)
    return sorted(
        (c for c in measured if results.has(c.name)),
        key=lambda c: (conditions.KINDS.index(c.blur.kind), c.blur.strength_px, c.electrons_per_px),
    )


def _quality(results: Results, facts: Mapping[str, Any], what: What, title: str, unit: str, form: str) -> str:
    grid = _grid(results)
    if not grid:
        return ""
    oracles = [m for m in classical.METHODS if all(results.has(c.name, m) for c in grid)]
    head = ["blur, dose", INPUT, *oracles, str(facts["weights"]), "less the best oracle"]
    rows = []
    for condition in grid:
        name = condition.name
        margin = results.interval(results.margin(name, what))
        own = results.interval(results.values(name, NETWORK, what))
        cells = [f"{results.values(name, m, what).mean():{form}}" for m in (INPUT, *oracles)]
        cells.append(f"**{own.mean:{form}}** [{own.low:{form}}, {own.high:{form}}]")
        rows.append([name, *cells, shown(margin, unit)])
    where = f", {unit}" if unit != title else ""
    return f"### {title}\n\nMean over frames{where}; oracles know what no instrument knows.\n\n" + _table(
        head, rows
    )


def _known_and_estimated(results: Results, facts: Mapping[str, Any]) -> str:
    named = ("Wiener", "Richardson-Lucy", "total variation", "unsharp mask")
    grid = [c for c in _grid(results) if results.has(c.name, f"blind {named[0]}")]
    if not grid:
        return ""
    head = ["blur, dose", *named, str(facts["weights"]), "less the best blind method"]
    rows = []
    for condition in grid:
        name = condition.name
        means = {m: results.values(name, f"blind {m}").mean() for m in named}
        best = max(means, key=lambda m: float(means[m]))
        own = results.values(name, NETWORK)
        margin = results.interval(own - results.values(name, f"blind {best}"))
        cells = [f"{results.values(name, f'oracle {m}').mean():.2f} / {means[m]:.2f}" for m in named]
        rows.append([name, *cells, f"**{own.mean():.2f}**", shown(margin, "dB")])
    return (
        "### What the oracles' knowledge is worth\n\nPSNR in dB, oracle / blind: "
        "told probe and truth, against what instrument software could do.\n\n" + _table(head, rows)
    )


def _in_focus(results: Results) -> str:
    rows = []
    for condition in conditions.IN_FOCUS + conditions.FURTHER:
        name = condition.name
        if condition.blur.strength_px or not results.has(name):
            continue
        gain = results.gain(name)
        worst, least = results.worst(name)
        denoiser = results.interval(results.values(name, NETWORK) - results.values(name, "oracle denoiser"))
        similar = results.interval(
            results.values(name, NETWORK, "ssim") - results.values(name, "oracle denoiser", "ssim")
        )
        rows.append(
            [
                f"{condition.electrons_per_px:g}",
                shown(results.interval(gain), "dB"),
                f"{least:+.2f} dB ({worst})",
                f"{np.count_nonzero(gain < 0)} of {len(gain)}",
                shown(denoiser, "dB"),
                shown(similar, "SSIM"),
            ]
        )
    if not rows:
        return ""
    head = [
        "e/px",
        "gain over the input",
        "worst frame",
        "worse than their input",
        "less the oracle denoiser",
        "the same, SSIM",
    ]
    return "### Harm to frames that are in focus\n\n" + _table(
        head, sorted(rows, key=lambda row: float(row[0]))
    )


def _bands(results: Results) -> str:
    grid = _grid(results)
    if not grid:
        return ""
    head = ["blur, dose", *(f"{a:g} to {b:g}" for a, b in pairwise(BAND_EDGES))]
    rows = [
        [c.name, *(shown(results.interval(column), "dB") for column in results.band_gain_db(c.name).T)]
        for c in grid
        if c.electrons_per_px in conditions.HEADLINE_DOSES
    ]
    return (
        "### Gain by spatial frequency\n\nPower of the input's error over that of the network's, "
        "by cycles per pixel: where it is negative the network added error.\n\n" + _table(head, rows)
    )


_PAIRED = """\
The same frame twice, with the same truth.
Once by training's own kind of degradation: an even disc and Poisson noise.
Once by a generator written apart: a wave-optical probe (defocus, spherical aberration,
astigmatism, energy spread, source size), secondary-electron counts of a compound law with drawn pulse
heights, 1/f amplifier noise along the scan, a detector's time constant, lines that start early or late,
drawn gain and offset, 8 to 16 bits.
Both probes halve the contrast at the same spatial frequency, and both noises have the same variance.
*Loss in PSNR* is the plain difference of the network's PSNR.
*Loss of margin* is the difference of the network's margin over the best classical method,
which is told the probe each time: what makes a frame harder for everybody does not count.
"""


def _unseen(results: Results) -> str:
    rows = []
    for own, unseen in PAIRS:
        if not (results.has(own.name) and results.has(unseen.name)):
            continue
        pair = [results.values(c.name, NETWORK) for c in (own, unseen)]
        before = [results.values(c.name, INPUT).mean() for c in (own, unseen)]
        margins = [results.margin(c.name) for c in (own, unseen)]
        rows.append(
            [
                f"R {own.radius_px:g}, {own.electrons_per_px:g} e/px",
                f"{before[0]:.2f} / {before[1]:.2f}",
                f"{pair[0].mean():.2f} / {pair[1].mean():.2f}",
                shown(results.interval(pair[0] - pair[1]), "dB"),
                f"{margins[0].mean():+.2f} / {margins[1].mean():+.2f}",
                shown(results.interval(margins[0] - margins[1]), "dB"),
            ]
        )
    if not rows:
        return ""
    head = [
        "blur, dose",
        "input, own / unseen",
        "network, own / unseen",
        "loss in PSNR",
        "margin, own / unseen",
        "loss of margin",
    ]
    return f"### A generator that training never used\n\n{_PAIRED}\n" + _table(head, rows)


def _halves(results: Results) -> str:
    rows = []
    for condition in HALVES:
        name = condition.name
        if not results.has(name):
            continue
        noise, error = (results.values(name, m, "in_focus_rms") for m in (INPUT, NETWORK))
        ratio = error / np.maximum(noise, 1e-6)
        rows.append(
            [
                f"{condition.electrons_per_px:g}",
                f"{noise.mean():.4f}",
                f"{error.mean():.4f}",
                shown(results.interval(ratio), ""),
                f"{ratio.max():.2f}",
                f"{np.count_nonzero(ratio > 1)} of {len(ratio)}",
                shown(results.interval(results.gain(name)), "dB"),
            ]
        )
    if not rows:
        return ""
    head = [
        "e/px",
        "noise in the sharp half",
        "error of the network there",
        "ratio",
        "worst ratio",
        "frames above the noise",
        "gain of the whole frame",
    ]
    return (
        "### Half sharp, half blurred\n\nLeft half in focus, right half disc R 4, given to the network whole "
        "and without a mask; root mean square against the truth, range 1.\n\n" + _table(head, rows)
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
