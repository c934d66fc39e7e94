"""Learning curves: did a training have enough of it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from semdaemon.extras import need
from semdaemon.training.experiments.catalogue import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = {
    "trained without noise, watched on noise-free frames": False,
    "trained with noise, watched at 50 and 400 e/px": True,
}
_MARKERS = "osD^vP*X"
_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#B8A400")
"""Okabe and Ito's, told apart with any colour vision; its yellow darkened to show on white."""


def check_available() -> None:
    """Say what is missing before hours of training rather than after them.

    Raises
    ------
    SemdaemonError
        ``extra_missing`` where matplotlib is not installed.
    """
    need("train", "matplotlib", why="The page has a plot, drawn by")


def learning_curves(results: dict[str, Any], path: Path) -> None:
    """Gain on frames set aside against samples seen, every experiment a line, as a PNG.

    Parameters
    ----------
    results
        As `semdaemon.training.experiments.running.run` gives them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    for axis, (title, noisy) in zip(axes, _PANELS.items(), strict=True):
        _panel(axis, title, [r for r in results["experiments"].values() if _noisy(r) is noisy])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _noisy(result: dict[str, Any]) -> bool:
    return result["experiment"]["recipe"]["electrons_per_px"] is not None


def _panel(axis: Axes, title: str, results: list[dict[str, Any]]) -> None:
    for number, result in enumerate(results):
        samples = [point["samples"] / 1000 for point in result["curve"]]
        gains = [point["gain_db"] for point in result["curve"]]
        axis.plot(
            samples,
            gains,
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4.5,
            linewidth=1.4,
            label=label(result["experiment"]),
        )
    axis.axhline(0, color="0.4", linewidth=0.8)
    axis.set(title=title, xlabel="crops seen, thousands", ylabel="gain over the input, dB")
    axis.title.set_fontsize(10)
    axis.grid(color="0.9")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    if results:
        axis.legend(fontsize=8.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
