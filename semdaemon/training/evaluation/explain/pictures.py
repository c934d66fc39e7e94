"""Panels that are pictures: what each scale makes of a scene, and the network as one filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.training.evaluation.explain.field import Field
from semdaemon.training.evaluation.explain.scales import Example
from semdaemon.training.quality import psnr_db

Image = npt.NDArray[np.float32]

SHOWN_PX = 144
_FILTER_PX = 14
"""Half side of what is shown of a filter."""


def scales(axes: Any, example: Example) -> None:
    """Input = coarse answer + what the middle scale adds + what the fine scale adds, beside the truth."""
    answers, sharp = example.answers, example.sharp
    where = _liveliest(sharp)
    quality = [f"{psnr_db(p, sharp):.1f} dB" for p in (example.seen, answers.coarse, answers.fine)]
    condition = f"R {example.radius_px:g} px, {example.electrons_per_px:g} e/px"
    _picture(axes[0], example.seen[where], "Input", f"{condition}: {quality[0]}")
    _picture(axes[1], answers.coarse[where], "Coarse scale", quality[1])
    _difference(axes[2], (answers.middle - answers.coarse)[where], "+ middle adds")
    _difference(axes[3], (answers.fine - answers.middle)[where], "+ fine adds")
    _picture(axes[4], answers.fine[where], "= Result", quality[2])
    _picture(axes[5], sharp[where], "Truth", f"{SHOWN_PX} px shown")


def field(axes: Any, found: Field) -> None:
    """The average filter about one pixel, on a scale that shows its small values."""
    from matplotlib.colors import SymLogNorm

    middle = found.filter.shape[0] // 2
    near = slice(middle - _FILTER_PX, middle + _FILTER_PX + 1)
    values = found.filter[near, near]
    top = float(np.abs(values).max())
    norm = SymLogNorm(linthresh=top / 30, vmin=-top, vmax=top)
    reach = _FILTER_PX + 0.5
    image = axes.imshow(values, cmap="RdBu_r", norm=norm, extent=(-reach, reach, -reach, reach))
    blur = f"R {found.radius_px_of_blur:g} px" if found.radius_px_of_blur else "in focus"
    axes.set_title(f"Filter, {blur}")
    axes.set_xlabel("px")
    axes.set_xticks([-10, 0, 10])
    axes.set_yticks([-10, 0, 10])
    axes.spines[:].set_visible(True)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    bar.set_ticks([-top, -top / 10, 0, top / 10, top])
    bar.set_ticklabels([f"{v:.2g}" for v in (-top, -top / 10, 0.0, top / 10, top)])
    bar.ax.tick_params(labelsize=8)
    bar.ax.minorticks_off()


def _liveliest(sharp: Image) -> tuple[slice, slice]:
    """The square with most contrast."""
    side = min(SHOWN_PX, *sharp.shape)
    mean = ndimage.uniform_filter(sharp.astype(np.float64), side)
    spread = ndimage.uniform_filter(sharp.astype(np.float64) ** 2, side) - mean**2
    half = side // 2
    inner = spread[half : sharp.shape[0] - half + 1, half : sharp.shape[1] - half + 1]
    row, column = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return slice(int(row), int(row) + side), slice(int(column), int(column) + side)


def _picture(axes: Any, picture: Image, title: str, below: str) -> None:
    axes.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    _framed(axes, title, below)


def _difference(axes: Any, picture: Image, title: str) -> None:
    """Mid grey is nothing added."""
    limit = float(np.quantile(np.abs(picture), 0.995))
    axes.imshow(picture, cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
    _framed(axes, title, f"black −{limit:.2f}, white +{limit:.2f}")


def _framed(axes: Any, title: str, below: str) -> None:
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(below, fontsize=8)
    axes.spines[:].set_visible(True)
