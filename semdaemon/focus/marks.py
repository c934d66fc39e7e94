"""How a verdict is marked: a colour, and a pattern for those to whom colours look alike."""

from __future__ import annotations

import math

from PIL import ImageDraw

from semdaemon.focus.lettering import INK, PAPER, Colour
from semdaemon.focus.map import BEYOND_REPAIR, BLURRED, SHARP, UNDECIDED

Box = tuple[int, int, int, int]

COLOURS: dict[int, Colour] = {
    SHARP: (0, 158, 115),
    BLURRED: (230, 159, 0),
    BEYOND_REPAIR: (204, 121, 167),
    UNDECIDED: (200, 200, 200),
}
_FILL = {SHARP: 26, BLURRED: 60, BEYOND_REPAIR: 90, UNDECIDED: 40}
_HATCH_PX = 12
LOW_SIGMA_PX, HIGH_SIGMA_PX = 1.0, 10.0


def mark(draw: ImageDraw.ImageDraw, box: Box, code: int, sigma_px: float) -> None:
    left, top, right, bottom = box
    colour = COLOURS[code]
    fill = blurred_fill(sigma_px) if code == BLURRED else _FILL[code]
    draw.rectangle((left, top, right - 1, bottom - 1), fill=(*colour, fill))
    if code in (BLURRED, BEYOND_REPAIR):
        _hatch(draw, box, (*colour, 215), falling=code == BEYOND_REPAIR)
    if code == UNDECIDED:
        _dots(draw, box)


def blurred_fill(sigma_px: float) -> int:
    """More colour for more blur."""
    share = math.log(max(sigma_px, LOW_SIGMA_PX) / LOW_SIGMA_PX) / math.log(HIGH_SIGMA_PX / LOW_SIGMA_PX)
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
