"""Lengths: in words, and as a bar in a picture."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from semdaemon.focus.lettering import INK, PAPER, Font, font, outlined, text_size

Box = tuple[float, float, float, float]


def scale_bar(picture: Image.Image, pixel_size_m: float, *, bottom_px: int | None = None) -> None:
    """Draw a bar of a round length, about a fifth of the width, into the lower left corner.

    ``pixel_size_m`` is that of the picture, not of the frame; ``bottom_px`` the last row it may use.
    """
    draw = ImageDraw.Draw(picture)
    text, letters, bar, middle = _layout(draw, picture, pixel_size_m, bottom_px)
    left, top, right, bottom = bar
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=PAPER)
    draw.rectangle(bar, fill=INK)
    outlined(draw, middle, text, letters)


def scale_bar_box(picture: Image.Image, pixel_size_m: float, *, bottom_px: int | None = None) -> Box:
    """(left, top, right, bottom) of what `scale_bar` would draw, its letters included."""
    draw = ImageDraw.Draw(picture)
    text, letters, (left, _, right, bottom), (x, y) = _layout(draw, picture, pixel_size_m, bottom_px)
    wide, height = text_size(draw, text, letters)
    return min(left, x - wide / 2), y - height / 2 - 2, max(right, x + wide / 2), bottom


def _layout(
    draw: ImageDraw.ImageDraw, picture: Image.Image, pixel_size_m: float, bottom_px: int | None
) -> tuple[str, Font, Box, tuple[float, float]]:
    """The length in words, its letters, the bar, and the middle of the words."""
    length_m = _round_length(picture.width * pixel_size_m / 5)
    letters = font(max(11, min(20, picture.width // 50)))
    pad = max(8, picture.width // 80)
    base = (picture.height if bottom_px is None else min(bottom_px, picture.height)) - pad
    bar = (pad, base - 6, pad + round(length_m / pixel_size_m), base)
    text = length_text(length_m)
    wide, height = text_size(draw, text, letters)
    # Over the middle of the bar, but inside the picture where that is small.
    return text, letters, bar, (max((bar[0] + bar[2]) / 2, wide / 2 + 3), base - 15 - height / 2)


def length_text(metres: float) -> str:
    """A length as people say it: ``250 nm``, ``5 µm``, ``1.2 mm``."""
    for factor, unit in ((1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm")):
        if metres >= factor:
            return f"{metres / factor:.3g} {unit}"
    return f"{metres / 1e-12:.3g} pm"


def _round_length(metres: float) -> float:
    power = 10.0 ** math.floor(math.log10(metres))
    return max(step * power for step in (1, 2, 5) if step * power <= metres * 1.0000001)
