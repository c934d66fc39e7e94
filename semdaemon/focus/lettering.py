"""Letters on pictures: Pillow's own face, which needs no font on the machine and has no µ."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]

INK: Colour = (240, 240, 236)
PAPER: Colour = (22, 24, 28)

_MICRO = "µ"


@lru_cache(maxsize=32)
def font(size_px: int) -> Font:
    return ImageFont.load_default(size_px)


def text_size(draw: ImageDraw.ImageDraw, text: str, letters: Font) -> tuple[int, int]:
    """Width and height in pixels; the height is that of a capital with descender, whatever the text."""
    left, _, right, _ = draw.textbbox((0, 0), text.replace(_MICRO, "u"), font=letters)
    _, top, _, bottom = draw.textbbox((0, 0), "Ag", font=letters)
    return round(right - left), round(bottom - top)


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    letters: Font,
    *,
    fill: Colour,
    anchor: str = "la",
    rim: Colour | None = None,
) -> None:
    """Text as `ImageDraw.text` writes it, with or without a rim; a µ is a u with a tail."""
    plain, width = text.replace(_MICRO, "u"), 0 if rim is None else 2
    tails = [
        _tail(draw, at, plain, place, letters, anchor) for place, sign in enumerate(text) if sign == _MICRO
    ]
    if rim is not None:
        for left, top, right, bottom in tails:
            draw.rectangle((left - width, top, right + width, bottom + width), fill=rim)
    draw.text(at, plain, font=letters, fill=fill, anchor=anchor, stroke_width=width, stroke_fill=rim)
    for tail in tails:
        draw.rectangle(tail, fill=fill)


def outlined(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, letters: Font) -> None:
    """Light letters with a dark rim, centred: legible on any grey."""
    write(draw, at, text, letters, fill=INK, anchor="mm", rim=PAPER)


def _tail(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, place: int, letters: Font, anchor: str
) -> tuple[int, int, int, int]:
    """What makes the u at ``place`` a µ: its left stem goes on below the line."""
    share = {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]]
    start = at[0] - share * draw.textlength(text, font=letters) + draw.textlength(text[:place], font=letters)
    left, top, right, bottom = draw.textbbox((start, at[1]), "u", font=letters, anchor="l" + anchor[1])
    stem = max(1, round((right - left) / 6))
    return round(left), round(bottom - stem - 1), round(left) + stem - 1, round(bottom + 0.4 * (bottom - top))
