"""The focus map drawn over its frame.

Colours are Okabe and Ito's, which people with colour vision deficiencies tell apart; each verdict also
has its own mark, so that colour is never the only cue: sharp nothing, blurred one hatch and its blur in
pixels, beyond repair a cross hatch, undecided dots.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from semdaemon.focus.legend import with_legend
from semdaemon.focus.lettering import INK, font, outlined, text_size
from semdaemon.focus.map import BLURRED, FocusMap
from semdaemon.focus.marks import COLOURS, Box, mark
from semdaemon.focus.planemark import line_of_focus
from semdaemon.focus.scalebar import length_text, scale_bar, scale_bar_box

__all__ = ["COLOURS", "length_text", "overlay", "scale_bar"]

Grey = npt.NDArray[np.uint8]

_DIMMED = 0.45


def overlay(
    grey: Grey,
    focus: FocusMap,
    scale: float,
    *,
    legend: bool = True,
    pixel_size_m: float | None = None,
    aperture_rad: float | None = None,
) -> Image.Image:
    """A preview with the focus map over it.

    Parameters
    ----------
    grey
        (h, w) uint8: the preview of the whole frame.
    focus
        The map; what lies outside its area (the data bar) is dimmed.
    scale
        Preview pixels per frame pixel.
    legend
        Add a strip below with verdicts and blur scale, which makes narrow pictures wider; without it the
        result has the preview's size.
    pixel_size_m
        Of the frame: adds a scale bar, and nanometres to the legend.
    aperture_rad
        Half angle of the beam, where known: adds degrees to a tilt.
    """
    dimmed = np.asarray(grey * np.float32(_DIMMED), np.uint8)
    rows, cols = _box_slices(_box(focus.area.as_list(), scale))
    dimmed[rows, cols] = grey[rows, cols]
    picture = Image.fromarray(dimmed).convert("RGB")
    marks = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(marks)
    for code, sigma_px, box in _cells(focus, scale):
        mark(draw, box, code, sigma_px)
    _borders(draw, focus, scale)
    picture.paste(marks, (0, 0), marks)
    drawn = line_of_focus(picture, focus, scale)
    bottom_px = _box(focus.area.as_list(), scale)[3]
    bar = scale_bar_box(picture, pixel_size_m / scale, bottom_px=bottom_px) if pixel_size_m else None
    if focus.tile_px * scale >= 30:
        _numbers(ImageDraw.Draw(picture), focus, scale, bar)
    if pixel_size_m:
        scale_bar(picture, pixel_size_m / scale, bottom_px=bottom_px)
    return with_legend(picture, focus, pixel_size_m, aperture_rad, drawn) if legend else picture


def _box(edges: list[int], scale: float) -> Box:
    top, left, bottom, right = (round(edge * scale) for edge in edges)
    return left, top, right, bottom


def _box_slices(box: Box) -> tuple[slice, slice]:
    return slice(box[1], box[3]), slice(box[0], box[2])


def _cells(focus: FocusMap, scale: float) -> Iterator[tuple[int, float, Box]]:
    for row in range(focus.rows):
        for col in range(focus.cols):
            box = _box(focus.cell(row, col).as_list(), scale)
            yield int(focus.verdict[row, col]), float(focus.sigma_px[row, col]), box


def _borders(draw: ImageDraw.ImageDraw, focus: FocusMap, scale: float) -> None:
    """Lines between tiles of different verdict only: regions stand out, the grid does not."""
    for row in range(focus.rows):
        for col in range(focus.cols):
            left, top, right, bottom = _box(focus.cell(row, col).as_list(), scale)
            here = focus.verdict[row, col]
            if col + 1 < focus.cols and focus.verdict[row, col + 1] != here:
                draw.line((right, top, right, bottom), fill=(*INK, 200), width=2)
            if row + 1 < focus.rows and focus.verdict[row + 1, col] != here:
                draw.line((left, bottom, right, bottom), fill=(*INK, 200), width=2)


def _numbers(
    draw: ImageDraw.ImageDraw, focus: FocusMap, scale: float, taken: tuple[float, float, float, float] | None
) -> None:
    """The blur of every blurred tile, but for those whose number would lie under what stands at ``taken``."""
    letters = font(round(min(17, max(9, focus.tile_px * scale / 4.5))))
    for code, sigma_px, (left, top, right, bottom) in _cells(focus, scale):
        if code != BLURRED:
            continue
        x, y, text = (left + right) / 2, (top + bottom) / 2, f"{sigma_px:.1f}"
        wide, height = text_size(draw, text, letters)
        under = taken is not None and (
            x - wide / 2 < taken[2] and x + wide / 2 > taken[0] and y + height / 2 > taken[1]
        )
        if not under:
            outlined(draw, (x, y), text, letters)
