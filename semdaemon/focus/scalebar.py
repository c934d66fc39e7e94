"""Lengths: in words, and as a bar in a picture."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from semdaemon.focus.lettering import INK, PAPER, font, outlined, text_size


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
    text = length_text(length_m)
    wide, height = text_size(draw, text, letters)
    # Over the middle of the bar, but inside the picture where that is small.
    outlined(draw, (max(pad + width / 2, wide / 2 + 3), base - 15 - height / 2), text, letters)


def length_text(metres: float) -> str:
    """A length as people say it: ``250 nm``, ``5 µm``, ``1.2 mm``."""
    for factor, unit in ((1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm")):
        if metres >= factor:
            return f"{metres / factor:.3g} {unit}"
    return f"{metres / 1e-12:.3g} pm"


def _round_length(metres: float) -> float:
    power = 10.0 ** math.floor(math.log10(metres))
    return max(step * power for step in (1, 2, 5) if step * power <= metres * 1.0000001)
