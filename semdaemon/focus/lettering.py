"""Letters on pictures: Pillow's own face, which knows ASCII only and needs no font on the machine."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]

INK: Colour = (240, 240, 236)
PAPER: Colour = (22, 24, 28)


@lru_cache(maxsize=32)
def font(size_px: int) -> Font:
    return ImageFont.load_default(size_px)


def text_size(draw: ImageDraw.ImageDraw, text: str, letters: Font) -> tuple[int, int]:
    """Width and height in pixels; the height is that of a capital with descender, whatever the text."""
    left, _, right, _ = draw.textbbox((0, 0), text, font=letters)
    _, top, _, bottom = draw.textbbox((0, 0), "Ag", font=letters)
    return round(right - left), round(bottom - top)


def outlined(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, letters: Font) -> None:
    """Light letters with a dark rim, centred: legible on any grey."""
    draw.text(at, text, font=letters, fill=INK, anchor="mm", stroke_width=2, stroke_fill=PAPER)
