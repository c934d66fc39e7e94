"""The focus map drawn over its frame.

Colours are Okabe and Ito's, which people with colour vision deficiencies tell apart; each verdict also
has its own mark, so that colour is never the only cue: sharp nothing, blurred one hatch and its blur in
pixels, beyond repair a cross hatch, undecided dots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from semdaemon.focus.lettering import INK, PAPER, Colour, Font, font, outlined, text_size
from semdaemon.focus.map import BEYOND_REPAIR, BLURRED, SHARP, UNDECIDED, VERDICTS, FocusMap

Grey = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]

COLOURS: dict[int, Colour] = {
    SHARP: (0, 158, 115),
    BLURRED: (230, 159, 0),
    BEYOND_REPAIR: (204, 121, 167),
    UNDECIDED: (150, 150, 150),
}
_WORDS = {code: word.replace("_", " ") for code, word in enumerate(VERDICTS)}
_FILL = {SHARP: 26, BLURRED: 60, BEYOND_REPAIR: 90, UNDECIDED: 40}
_DIMMED = 0.45
_HATCH_PX = 12
_LOW_SIGMA_PX, _HIGH_SIGMA_PX = 1.0, 10.0


def overlay(
    grey: Grey,
    focus: FocusMap,
    scale: float,
    *,
    legend: bool = True,
    pixel_size_m: float | None = None,
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
        Add a strip below with verdicts and blur scale; without it the result has the preview's size.
    pixel_size_m
        Of the frame: adds a scale bar, and nanometres to the legend.
    """
    dimmed = np.asarray(grey * np.float32(_DIMMED), np.uint8)
    rows, cols = _box_slices(_box(focus.area.as_list(), scale))
    dimmed[rows, cols] = grey[rows, cols]
    picture = Image.fromarray(dimmed).convert("RGB")
    marks = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(marks)
    for code, sigma_px, box in _cells(focus, scale):
        _mark(draw, box, code, sigma_px)
    _borders(draw, focus, scale)
    picture.paste(marks, (0, 0), marks)
    letters = font(round(min(17, max(9, focus.tile_px * scale / 4.5))))
    if focus.tile_px * scale >= 30:
        _numbers(ImageDraw.Draw(picture), focus, scale, letters)
    if pixel_size_m:
        scale_bar(picture, pixel_size_m / scale, bottom_px=_box(focus.area.as_list(), scale)[3])
    return _with_legend(picture, focus, pixel_size_m) if legend else picture


def scale_bar(picture: Image.Image, pixel_size_m: float, *, bottom_px: int | None = None) -> None:
    """Draw a bar of a round length, about a fifth of the width, into the lower left corner.

    ``pixel_size_m`` is that of the picture, not of the frame; ``bottom_px`` the last row it may use.
    """
    length_m = _round_length(picture.width * pixel_size_m / 5)
    width = round(length_m / pixel_size_m)
    draw = ImageDraw.Draw(picture)
    letters = font(max(11, min(20, picture.width // 50)))
    pad = max(8, picture.width // 80)
    base = (picture.height if bottom_px is None else min(bottom_px, picture.height)) - pad
    draw.rectangle((pad - 1, base - 7, pad + width + 1, base + 1), fill=PAPER)
    draw.rectangle((pad, base - 6, pad + width, base), fill=INK)
    _, height = text_size(draw, "Ag", letters)
    outlined(draw, (pad + width / 2, base - 12 - height / 2), length_text(length_m), letters)


def length_text(metres: float) -> str:
    """A length as people say it: ``250 nm``, ``5 um``, ``1.2 mm``."""
    for factor, unit in ((1e-3, "mm"), (1e-6, "um"), (1e-9, "nm")):
        if metres >= factor:
            return f"{metres / factor:.3g} {unit}"
    return f"{metres / 1e-12:.3g} pm"


def _round_length(metres: float) -> float:
    power = 10.0 ** math.floor(math.log10(metres))
    return max(step * power for step in (1, 2, 5) if step * power <= metres * 1.0000001)


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


def _mark(draw: ImageDraw.ImageDraw, box: Box, code: int, sigma_px: float) -> None:
    left, top, right, bottom = box
    colour = COLOURS[code]
    fill = _blurred_fill(sigma_px) if code == BLURRED else _FILL[code]
    draw.rectangle((left, top, right - 1, bottom - 1), fill=(*colour, fill))
    if code in (BLURRED, BEYOND_REPAIR):
        _hatch(draw, box, (*colour, 215), falling=code == BEYOND_REPAIR)
    if code == UNDECIDED:
        _dots(draw, box)


def _blurred_fill(sigma_px: float) -> int:
    """More colour for more blur."""
    share = math.log(max(sigma_px, _LOW_SIGMA_PX) / _LOW_SIGMA_PX) / math.log(_HIGH_SIGMA_PX / _LOW_SIGMA_PX)
    return round(25 + 110 * min(1.0, share))


def _hatch(
    draw: ImageDraw.ImageDraw, box: Box, colour: tuple[int, int, int, int], *, falling: bool = False
) -> None:
    """Lines rising to the right, on one lattice for the whole picture so that neighbours join."""
    left, top, right, bottom = box
    for total in range((left + top) // _HATCH_PX, (right + bottom) // _HATCH_PX + 1):
        constant = total * _HATCH_PX  # x + y
        start, end = max(left, constant - bottom + 1), min(right - 1, constant - top)
        if start <= end:
            draw.line((start, constant - start, end, constant - end), fill=colour)
    if falling:
        for total in range((left - bottom) // _HATCH_PX, (right - top) // _HATCH_PX + 1):
            constant = total * _HATCH_PX  # x - y
            start, end = max(left, constant + top), min(right - 1, constant + bottom - 1)
            if start <= end:
                draw.line((start, start - constant, end, end - constant), fill=colour)


def _dots(draw: ImageDraw.ImageDraw, box: Box) -> None:
    """Light dots with a dark rim, which show on any grey."""
    left, top, right, bottom = box
    step = 2 * _HATCH_PX
    for y in range(top + _HATCH_PX // 2, bottom - 3, step):
        for x in range(left + _HATCH_PX // 2, right - 3, step):
            draw.rectangle((x - 1, y - 1, x + 2, y + 2), fill=(*PAPER, 140))
            draw.rectangle((x, y, x + 1, y + 1), fill=(*INK, 230))


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


def _numbers(draw: ImageDraw.ImageDraw, focus: FocusMap, scale: float, letters: Font) -> None:
    for code, sigma_px, (left, top, right, bottom) in _cells(focus, scale):
        if code == BLURRED:
            outlined(draw, ((left + right) / 2, (top + bottom) / 2), f"{sigma_px:.1f}", letters)


@dataclass(frozen=True)
class _Entry:
    code: int
    text: str


def _with_legend(picture: Image.Image, focus: FocusMap, pixel_size_m: float | None) -> Image.Image:
    letters = font(max(11, min(18, picture.width // 55)))
    measure = ImageDraw.Draw(picture)
    _, height = text_size(measure, "Ag", letters)
    counts = focus.counts()
    entries = [_Entry(code, f"{_WORDS[code]} {counts[word]}") for code, word in enumerate(VERDICTS)]
    lines = _lines(entries, measure, letters, picture.width, height)
    line_px, pad = round(height * 2.1), height // 2
    strip = Image.new("RGB", (picture.width, line_px * (len(lines) + 1) + 2 * pad), PAPER)
    draw = ImageDraw.Draw(strip, "RGBA")
    for number, line in enumerate(lines):
        _legend_line(draw, line, letters, pad + number * line_px, height)
    _sigma_line(draw, focus, pixel_size_m, letters, pad + len(lines) * line_px, height)
    whole = Image.new("RGB", (picture.width, picture.height + strip.height), PAPER)
    whole.paste(picture, (0, 0))
    whole.paste(strip, (0, picture.height))
    return whole


def _lines(
    entries: list[_Entry], draw: ImageDraw.ImageDraw, letters: Font, width: int, height: int
) -> list[list[_Entry]]:
    """Entries broken into lines that fit the picture's width."""
    lines: list[list[_Entry]] = [[]]
    used = 0
    for entry in entries:
        needed = text_size(draw, entry.text, letters)[0] + 5 * height
        if lines[-1] and used + needed > width:
            lines.append([])
            used = 0
        lines[-1].append(entry)
        used += needed
    return lines


def _legend_line(
    draw: ImageDraw.ImageDraw, entries: list[_Entry], letters: Font, top: int, height: int
) -> None:
    left, side = height, round(1.5 * height)
    for entry in entries:
        box = (left, top, left + 2 * side, top + side)
        draw.rectangle((left, top, left + 2 * side - 1, top + side - 1), fill=(92, 92, 92))
        _mark(draw, box, entry.code, 4.0)
        draw.rectangle((left, top, left + 2 * side - 1, top + side - 1), outline=(*COLOURS[entry.code], 255))
        middle = top + side / 2
        draw.text((left + 2 * side + height // 2, middle), entry.text, font=letters, fill=INK, anchor="lm")
        left += 2 * side + height + text_size(draw, entry.text, letters)[0] + height


def _sigma_line(
    draw: ImageDraw.ImageDraw,
    focus: FocusMap,
    pixel_size_m: float | None,
    letters: Font,
    top: int,
    height: int,
) -> None:
    """The scale of blur, and its median over the decided tiles."""
    left, side, width = height, round(1.5 * height), 8 * height
    draw.rectangle((left, top, left + width, top + side - 1), fill=(92, 92, 92))
    for x in range(width):
        sigma_px = _LOW_SIGMA_PX * (_HIGH_SIGMA_PX / _LOW_SIGMA_PX) ** (x / width)
        colour = (*COLOURS[BLURRED], _blurred_fill(sigma_px))
        draw.line((left + x, top, left + x, top + side - 1), fill=colour)
    text = f"blur {_LOW_SIGMA_PX:g} to {_HIGH_SIGMA_PX:g} px"
    median = focus.median_sigma_px()
    if median is not None:
        text += f"    median {median:.2f} px"
        text += f" = {length_text(median * pixel_size_m)}" if pixel_size_m else ""
    draw.text((left + width + height // 2, top + side / 2), text, font=letters, fill=INK, anchor="lm")
