"""Pictures of an evaluation: quality by blur and by dose, and strips to look at.

Colours are those of Okabe and Ito (2008), told apart by every kind of colour vision; line styles differ too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from semdaemon.extras import need
from semdaemon.training.evaluation import conditions
from semdaemon.training.evaluation.case import Image, Method
from semdaemon.training.evaluation.conditions import Blur, Defocus
from semdaemon.training.evaluation.measuring import INPUT, NETWORK
from semdaemon.training.evaluation.results import Results
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.quality import psnr_db

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: dict[str, tuple[str, str, str]] = {
    NETWORK: ("#D55E00", "-", "o"),
    "oracle total variation": ("#0072B2", "--", "s"),
    "oracle Wiener": ("#009E73", "-.", "^"),
    "oracle Richardson-Lucy": ("#CC79A7", ":", "D"),
    "oracle denoiser": ("#E69F00", "--", "v"),
    "blind Wiener": ("#56B4E9", "-.", "x"),
    INPUT: ("#555555", ":", "."),
}
_STRIP = (INPUT, "oracle Wiener", "oracle total variation", NETWORK)
_ZOOM_PX = 96
_RESOLUTION = 110
_STRIP_RESOLUTION = 90
_PALETTE = 96


def curves_by_blur(results: Results, name: str) -> Figure:
    """PSNR by disc radius, one panel a dose, with 95 % bands."""
    doses = conditions.HEADLINE_DOSES
    figure = _figure(10.5, 4.2)
    panels = figure.subplots(1, len(doses))
    for axes, dose in zip(panels, doses, strict=True):
        discs = [c for c in _discs(results) if c.electrons_per_px == dose]
        _curves(axes, results, [c.blur.strength_px for c in discs], discs)
        axes.set(title=f"{dose:g} electrons per pixel", xlabel="disc radius R, pixels")
    return _finished(figure, panels, name)


def curves_by_dose(results: Results, name: str) -> Figure:
    """PSNR by dose, one panel a disc radius, with 95 % bands."""
    radii = (0.0, 2.0, 4.0, 6.0)
    figure = _figure(12.5, 4.2)
    panels = figure.subplots(1, len(radii))
    for axes, radius in zip(panels, radii, strict=True):
        discs = [c for c in _discs(results) if c.blur.strength_px == radius]
        _curves(axes, results, [c.electrons_per_px for c in discs], discs)
        axes.set_xscale("log")
        axes.set(title="in focus" if radius == 0 else f"disc R = {radius:g} px", xlabel="electrons per pixel")
    return _finished(figure, panels, name)


def strip(scene: Scene, methods: Mapping[str, Method], name: str, *, crop_px: int, seed: int) -> Figure:
    """Sharp, blurred and what each method makes of it, whole and enlarged, at two doses."""
    doses = (50.0, 400.0)
    figure = _figure(13.0, 5.4 * len(doses), gap=0.01)
    panels = figure.subplots(2 * len(doses), len(_STRIP) + 1, squeeze=False)
    for row, dose in enumerate(doses):
        case = Defocus(Blur("disc", 4), dose).degrade(scene, crop_px=crop_px, seed=seed)
        pictures: list[tuple[str, Image]] = [("sharp", case.sharp)]
        for method in _STRIP:
            result = np.clip(methods[method](case), 0, 1)
            shown_as = {INPUT: f"blurred, R 4, {dose:g} e/px", NETWORK: f"{name} (blind)"}.get(method, method)
            pictures.append((f"{shown_as}\n{psnr_db(result, case.sharp):.2f} dB", result))
        zoom = _busiest(case.sharp)
        low, high = np.quantile(case.sharp, (0.002, 0.998))
        for column, (title, picture) in enumerate(pictures):
            whole, part = panels[2 * row][column], panels[2 * row + 1][column]
            _show(whole, picture, low, high)
            _show(part, picture[zoom], low, high)
            whole.set_title(title, fontsize=10)
            _frame_zoom(whole, zoom)
    return figure


def save(figure: Figure, path: Path) -> None:
    """As PNG; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_RESOLUTION)


def save_strip(figure: Figure, path: Path) -> None:
    """As PNG of greys and few colours by a palette: a third of the size."""
    from PIL import Image as PillowImage

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_STRIP_RESOLUTION)
    with PillowImage.open(path) as picture:
        picture.convert("RGB").quantize(_PALETTE, dither=PillowImage.Dither.NONE).save(path, optimize=True)


def require() -> None:
    """Make sure that figures can be drawn, before anything is measured for them.

    Raises
    ------
    SemdaemonError
        ``extra_missing`` without matplotlib.
    """
    need("train", "matplotlib", why="Figures are drawn by")


def _figure(width_in: float, height_in: float, *, gap: float = 0.02) -> Figure:
    from matplotlib.figure import Figure as Drawn
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=gap, hspace=gap)
    return Drawn(figsize=(width_in, height_in), layout=layout)


def _discs(results: Results) -> list[Defocus]:
    grid = (*conditions.IN_FOCUS, *conditions.HEADLINE, *conditions.FURTHER)
    discs = [c for c in grid if c.blur.kind == "disc" and results.has(c.name)]
    return sorted(discs, key=lambda c: (c.blur.strength_px, c.electrons_per_px))


def _curves(axes: Axes, results: Results, places: Sequence[float], discs: Sequence[Defocus]) -> None:
    for method, (colour, line, marker) in _STYLES.items():
        there = [(x, c) for x, c in zip(places, discs, strict=True) if results.has(c.name, method)]
        if not there:
            continue
        found = [results.interval(results.values(c.name, method)) for _, c in there]
        x = [place for place, _ in there]
        width = 2.2 if method == NETWORK else 1.4
        axes.plot(
            x, [f.mean for f in found], color=colour, ls=line, marker=marker, ms=5, lw=width, label=method
        )
        if method in (NETWORK, "oracle total variation"):
            axes.fill_between(
                x, [f.low for f in found], [f.high for f in found], color=colour, alpha=0.13, lw=0
            )
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _finished(figure: Figure, panels: npt.NDArray[Any], name: str) -> Figure:
    panels[0].set_ylabel("PSNR, dB (mean over frames)")
    handles, labels = panels[0].get_legend_handles_labels()
    labels = [f"{name} (blind)" if label == NETWORK else label for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _busiest(sharp: Image) -> tuple[slice, slice]:
    """The square with the most detail: there methods differ."""
    side = min(_ZOOM_PX, *sharp.shape)
    best, most = (slice(0, side), slice(0, side)), -1.0
    for top in range(0, sharp.shape[0] - side + 1, side // 2):
        for left in range(0, sharp.shape[1] - side + 1, side // 2):
            place = slice(top, top + side), slice(left, left + side)
            detail = float(
                np.abs(np.diff(sharp[place], axis=0)).mean() + np.abs(np.diff(sharp[place])).mean()
            )
            if detail > most:
                best, most = place, detail
    return best


def _show(axes: Axes, picture: Image, low: float, high: float) -> None:
    axes.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axes.set_axis_off()


def _frame_zoom(axes: Axes, zoom: tuple[slice, slice]) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = zoom
    corner, size = (columns.start, rows.start), (columns.stop - columns.start, rows.stop - rows.start)
    axes.add_patch(Rectangle(corner, *size, fill=False, ec="#D55E00", lw=1.3))
