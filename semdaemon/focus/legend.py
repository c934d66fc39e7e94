"""The strip below a focus map: verdicts, the scale of blur, and what the frame as a whole shows."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from PIL import Image, ImageDraw

from semdaemon.focus.lettering import INK, PAPER, Colour, Font, font, text_size, write
from semdaemon.focus.map import BLURRED, VERDICTS, FocusMap
from semdaemon.focus.marks import COLOURS, HIGH_SIGMA_PX, LOW_SIGMA_PX, blurred_fill, mark
from semdaemon.focus.scalebar import length_text
from semdaemon.focus.sentences import Sentence, sentences

_WARNING: Colour = (240, 190, 70)
_ASIDE: Colour = (165, 168, 172)
_SCALE_HEIGHTS = 8
"""Length of the scale of blur, in heights of a letter."""

_WORDS = {code: word.replace("_", " ") for code, word in enumerate(VERDICTS)}


@dataclass(frozen=True)
class _Entry:
    code: int
    text: str


def with_legend(
    picture: Image.Image,
    focus: FocusMap,
    pixel_size_m: float | None,
    aperture_rad: float | None = None,
    drawn: str = "",
) -> Image.Image:
    """The picture with the strip below it, as wide as the blur scale needs.

    ``drawn`` says in words what line or arrow stands in the picture.
    """
    letters = font(max(11, min(18, picture.width // 55)))
    measure = ImageDraw.Draw(picture)
    _, height = text_size(measure, "Ag", letters)
    blur = _blur_text(focus, pixel_size_m)
    width = max(picture.width, _SCALE_HEIGHTS * height + 2 * height + text_size(measure, blur, letters)[0])
    counts = focus.counts()
    entries = [_Entry(code, f"{_WORDS[code]} {counts[word]}") for code, word in enumerate(VERDICTS)]
    lines = _lines(entries, measure, letters, width, height)
    found = sentences(focus.survey, aperture_rad) + ([Sentence(drawn, False)] if drawn else [])
    said = _wrapped(found, measure, letters, width - 2 * height)
    line_px, pad = round(height * 2.1), height // 2
    rows = len(lines) + 1 + len(said)
    strip = Image.new("RGB", (width, line_px * rows + 2 * pad), PAPER)
    draw = ImageDraw.Draw(strip, "RGBA")
    for number, line in enumerate(lines):
        _legend_line(draw, line, letters, pad + number * line_px, height)
    _sigma_line(draw, blur, letters, pad + len(lines) * line_px, height)
    for number, (text, warns) in enumerate(said, len(lines) + 1):
        middle = pad + number * line_px + round(1.5 * height) / 2
        draw.text((height, middle), text, font=letters, fill=_WARNING if warns else _ASIDE, anchor="lm")
    whole = Image.new("RGB", (width, picture.height + strip.height), PAPER)
    whole.paste(picture, (0, 0))
    whole.paste(strip, (0, picture.height))
    return whole


def _wrapped(
    said: list[Sentence], draw: ImageDraw.ImageDraw, letters: Font, width_px: int
) -> list[tuple[str, bool]]:
    """What the frame as a whole shows, in lines that fit, and whether each asks for attention."""
    found = []
    for sentence in said:
        letter_px = max(1.0, text_size(draw, sentence.text, letters)[0] / len(sentence.text))
        for line in textwrap.wrap(sentence.text, max(12, int(0.95 * width_px / letter_px))):
            found.append((line, sentence.warns))
    return found


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
        mark(draw, box, entry.code, 4.0)
        draw.rectangle((left, top, left + 2 * side - 1, top + side - 1), outline=(*COLOURS[entry.code], 255))
        middle = top + side / 2
        draw.text((left + 2 * side + height // 2, middle), entry.text, font=letters, fill=INK, anchor="lm")
        left += 2 * side + height + text_size(draw, entry.text, letters)[0] + height


def _blur_text(focus: FocusMap, pixel_size_m: float | None) -> str:
    """What the scale of blur spans, and the median over the decided tiles."""
    text = f"blur {LOW_SIGMA_PX:g} to {HIGH_SIGMA_PX:g} px"
    median = focus.median_sigma_px()
    if median is not None:
        text += f"    median {median:.2f} px"
        text += f" = {length_text(median * pixel_size_m)}" if pixel_size_m else ""
    return text


def _sigma_line(draw: ImageDraw.ImageDraw, text: str, letters: Font, top: int, height: int) -> None:
    """The scale of blur, and its text."""
    left, side, width = height, round(1.5 * height), _SCALE_HEIGHTS * height
    draw.rectangle((left, top, left + width, top + side - 1), fill=(92, 92, 92))
    for x in range(width):
        sigma_px = LOW_SIGMA_PX * (HIGH_SIGMA_PX / LOW_SIGMA_PX) ** (x / width)
        colour = (*COLOURS[BLURRED], blurred_fill(sigma_px))
        draw.line((left + x, top, left + x, top + side - 1), fill=colour)
    write(draw, (left + width + height // 2, top + side / 2), text, letters, fill=INK, anchor="lm")
