"""Believed against true, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semdaemon.extras import need
from semdaemon.refocus.trust import COVERAGE, Trust
from semdaemon.training.trust.checking import Check

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#777777"
"""Of Okabe and Ito's palette, which colour-blind people can tell apart."""


def draw(check: Check, trust: Trust, target: Path) -> None:
    """Three panels as PNG: error by tenths, confidence by eighths, and risk by abstention.

    Raises
    ------
    SemdaemonError
        ``extra_missing`` without matplotlib.
    """
    need("train", "matplotlib", why="Plots are drawn by")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), dpi=110, layout="constrained")
    axes = figure.subplots(1, 3)
    _errors(axes[0], check, trust)
    _gains(axes[1], check)
    _risks(axes[2], check)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


def _errors(panel: Any, check: Check, trust: Trust) -> None:
    believed, true = [b.believed for b in check.errors], [b.true for b in check.errors]
    most = 1.08 * max(*believed, *true)
    panel.plot([0, most], [0, most], color=_GREY, linewidth=1, label="as expected")
    panel.plot(
        [0, most],
        [0, most * trust.bound_factor],
        color=_ORANGE,
        linestyle="--",
        label=f"bound ({COVERAGE:.0%})",
    )
    panel.plot(believed, true, "o-", color=_BLUE, label="a tenth of the tiles")
    panel.set(xlim=(0, most), ylim=(0, most * 1.15), title="Error")
    panel.set(xlabel="expected, share of the frame's range", ylabel="true, root mean square")
    panel.legend(frameon=False, loc="lower right")


def _gains(panel: Any, check: Check) -> None:
    believed, true = [b.believed for b in check.gains], [b.true for b in check.gains]
    least = max(0.0, min(*believed, *true) - 0.05)
    panel.plot([least, 1], [least, 1], color=_GREY, linewidth=1, label="as believed")
    panel.plot(believed, true, "o-", color=_BLUE, label="an eighth of the tiles")
    panel.set(xlim=(least, 1.005), ylim=(least, 1.01), title="Gain")
    panel.set(xlabel="confidence", ylabel="closer to the truth than the original")
    panel.legend(frameon=False, loc="lower right")


def _risks(panel: Any, check: Check) -> None:
    share = [100 * risk.abstained for risk in check.risks]
    panel.plot(share, [100 * r.loss for r in check.risks], "o-", color=_BLUE, label="no gain")
    panel.plot(share, [100 * r.harm for r in check.risks], "s--", color=_ORANGE, label="farther than before")
    panel.set(
        title="Abstention", xlabel="least confident tiles left as they are, %", ylabel="of the others, %"
    )
    panel.set_ylim(0, 140 * max(0.01, *(r.loss for r in check.risks)))
    panel.legend(frameon=False, loc="upper right")
