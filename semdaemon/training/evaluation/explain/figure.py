"""The figure of `semdaemon explain`.

Colours are those of Okabe and Ito, which people with any colour vision tell apart; no meaning hangs on colour
alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semdaemon.extras import need
from semdaemon.training.evaluation.explain import curves, pictures
from semdaemon.training.evaluation.explain.explanation import Explanation

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "legend.handlelength": 1.6,
    "legend.borderaxespad": 0.3,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "lines.linewidth": 1.6,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}
_WIDTH_IN, _HEIGHTS_IN = 10.5, (2.15, 7.2, 2.5, 2.5)
_DPI = 120


def draw(explanation: Explanation, *paths: Path) -> None:
    """Write the figure to each path, in the format that its suffix names.

    Raises
    ------
    SemdaemonError
        ``extra_missing`` without matplotlib.
    """
    with _style():
        figure = _figure(explanation)
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            # No dates: the same numbers give the same file.
            metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix.lower())
            figure.savefig(path, dpi=_DPI, metadata=metadata)


def _figure(told: Explanation) -> Any:
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(_WIDTH_IN, sum(_HEIGHTS_IN)), layout="constrained")
    figure.get_layout_engine().set(hspace=0.03, wspace=0.03)
    top, middle, below, last = figure.subfigures(4, 1, height_ratios=_HEIGHTS_IN)
    pictures.scales(top.subplots(1, 6), told.example)
    _frequencies(middle.subplots(3, 3), told)
    noise, flat, edge, line = below.subplots(1, 4)
    curves.noise(noise, told.noise)
    curves.flat(flat, told.flat)
    curves.edge(edge, told.edge)
    curves.line(line, told.line)
    sharp, blurred, share, without = last.subplots(1, 4)
    by_blur = {field.radius_px_of_blur: field for field in told.fields}
    pictures.field(sharp, by_blur[0.0])
    pictures.field(blurred, by_blur[4.0])
    curves.reach(share, told.fields)
    curves.without(without, told.ablations)
    everything = [*middle.axes, *below.axes, *last.axes]
    for letter, axes in zip("bcdefghijklmnopqr", everything, strict=False):
        _letter(axes, letter)
    _letter(top.axes[0], "a")
    return figure


def _frequencies(axes: Any, told: Explanation) -> None:
    radii = sorted({found.radius_px for found in told.returns})
    for column, radius_px in enumerate(radii):
        here = [found for found in told.returns if found.radius_px == radius_px]
        curves.coherence(axes[0, column], here, first=column == 0)
        curves.power(axes[1, column], here[-1], first=column == 0)
    shown = [found for found in told.returns if found.radius_px == told.shares.radius_px]
    curves.gain(axes[2, 0], shown[-1])
    curves.phase(axes[2, 1], shown[-1])
    curves.by_scale(axes[2, 2], told.shares)


def _letter(axes: Any, letter: str) -> None:
    axes.set_title(f"$\\bf{{{letter}}}$  {axes.get_title(loc='left')}", loc="left")


def need_matplotlib() -> None:
    """Find out before minutes are spent on measuring.

    Raises
    ------
    SemdaemonError
        ``extra_missing`` without matplotlib.
    """
    need("train", "matplotlib", why="The figure is drawn by")


@contextmanager
def _style() -> Iterator[None]:
    need_matplotlib()
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield
