"""Two weights' answers to one frame, to be looked at: original, A, B, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from semdaemon.focus.lettering import INK, PAPER, font, text_size
from semdaemon.focus.picture import badge, preview
from semdaemon.frame import Area, FloatImage, Frame, Pixels, intensity_range
from semdaemon.training.evaluation.agreement import Side, difference_over_noise

_CELL_PX = 460
_GAP_PX = 8
_LIMITS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Differences, in units of the noise, that may have the full colour; the legend says which has."""

# Okabe and Ito's blue and vermillion: told apart with any colour vision.
_LOWER, _ZERO, _HIGHER = (0, 114, 178), (245, 245, 245), (213, 94, 0)
_BOX = (240, 228, 66)


@dataclass(frozen=True)
class Named:
    """One side's answer with the words that must stand on it."""

    name: str
    sha256: str
    side: Side


def draw(frame: Frame, a: Named, b: Named, place: Area | None) -> Image.Image:
    """Two rows of four: the whole image area, and below it the place of largest disagreement, enlarged.

    Parameters
    ----------
    place
        From `semdaemon.training.evaluation.agreement.Agreement`; the centre where None.
    """
    shown = place or _centre(frame.image_area)
    levels = intensity_range(frame.image)
    apart = difference_over_noise(frame, a.side, b.side)
    labels = ["original", _label(a), _label(b), f"{b.name} - {a.name}"]
    limit = _limit(apart)
    rows = []
    for area in (frame.image_area, shown):
        greys = [_grey(pixels, area, levels) for pixels in (frame.pixels, a.side.pixels, b.side.pixels)]
        cells = [*greys, _coloured(_cut(apart, area, frame.image_area), limit)]
        rows.append([_fitted(cell, enlarge=area is shown) for cell in cells])
    for cell in rows[0]:
        _outline(cell, shown, frame.image_area)
    words = [labels, [f"{label}, enlarged" for label in labels]]
    labelled = [list(map(badge, row, said)) for row, said in zip(rows, words, strict=True)]
    return _with_legend(_grid(labelled), limit, a, b)


def _label(answer: Named) -> str:
    """A picture is called a network's output where a network changed it, and nowhere else."""
    return f"{answer.name} · {'network output' if answer.side.mask.any() else 'unchanged'}"


def _limit(apart: FloatImage) -> float:
    """The smallest of `_LIMITS` that all but a few pixels stay within."""
    most = float(np.percentile(np.abs(apart[apart != 0]), 99)) if apart.any() else 0.0
    return next((limit for limit in _LIMITS if limit >= most), _LIMITS[-1])


def _grey(pixels: Pixels, area: Area, levels: tuple[float, float]) -> Image.Image:
    part = pixels[area.slices]
    return Image.fromarray(preview(part, Area.whole(part.shape), _CELL_PX, levels=levels)).convert("RGB")


def _cut(apart: FloatImage, area: Area, whole: Area) -> FloatImage:
    rows = slice(area.top - whole.top, area.bottom - whole.top)
    return apart[rows, area.left - whole.left : area.right - whole.left]


def _coloured(apart: FloatImage, limit: float) -> Image.Image:
    """Blue where B is darker, vermillion where it is brighter, full colour from the limit on."""
    strength = np.clip(np.abs(apart) / limit, 0, 1)[..., None]
    end = np.where((apart > 0)[..., None], np.array(_HIGHER), np.array(_LOWER))
    mixed: npt.NDArray[np.float64] = np.array(_ZERO) + strength * (end - np.array(_ZERO))
    picture = Image.fromarray(np.asarray(np.rint(mixed), np.uint8))
    scale = min(1.0, _CELL_PX / max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BOX)


def _fitted(cell: Image.Image, *, enlarge: bool) -> Image.Image:
    """The cell with its longer side at `_CELL_PX`; whole pixels stay visible where it is enlarged."""
    scale = _CELL_PX / max(cell.size)
    if scale <= 1 and not enlarge:
        return cell
    how = Image.Resampling.NEAREST if enlarge else Image.Resampling.BICUBIC
    return cell.resize((round(cell.width * scale), round(cell.height * scale)), how)


def _outline(cell: Image.Image, shown: Area, whole: Area) -> None:
    scale = cell.width / whole.width
    corners = (
        shown.left - whole.left,
        shown.top - whole.top,
        shown.right - whole.left,
        shown.bottom - whole.top,
    )
    left, top, right, bottom = (round(corner * scale) for corner in corners)
    pen = ImageDraw.Draw(cell)
    pen.rectangle((left - 1, top - 1, right, bottom), outline=PAPER, width=4)
    pen.rectangle((left, top, right - 1, bottom - 1), outline=_BOX, width=2)


def _grid(rows: list[list[Image.Image]]) -> Image.Image:
    width = 4 * _CELL_PX + 3 * _GAP_PX
    height = sum(row[0].height for row in rows) + _GAP_PX
    whole = Image.new("RGB", (width, height), PAPER)
    top = 0
    for row in rows:
        for number, cell in enumerate(row):
            whole.paste(cell, (number * (_CELL_PX + _GAP_PX) + (_CELL_PX - cell.width) // 2, top))
        top += row[0].height + _GAP_PX
    return whole


def _with_legend(picture: Image.Image, limit: float, a: Named, b: Named) -> Image.Image:
    letters = font(17)
    strip = Image.new("RGB", (picture.width, 84), PAPER)
    pen = ImageDraw.Draw(strip)
    _, height = text_size(pen, "Ag", letters)
    texts = [f"{side.name}: {_did(side.side)}; sha256 {side.sha256[:16]}" for side in (a, b)]
    for line, text in enumerate(texts):
        pen.text((height, 22 + 32 * line), text, font=letters, fill=INK, anchor="lm")
    right = picture.width - height
    ramp = _coloured(np.linspace(-limit, limit, 260, dtype=np.float32)[None].repeat(height + 4, 0), limit)
    left = right - ramp.width
    strip.paste(ramp, (left, 22 - ramp.height // 2))
    pen.text((left - 10, 22), f"{b.name} - {a.name}", font=letters, fill=INK, anchor="rm")
    for share, text, anchor in ((0, f"-{limit:g}", "lm"), (0.5, "0", "mm"), (1, f"+{limit:g}", "rm")):
        pen.text((left + share * ramp.width, 54), text, font=letters, fill=INK, anchor=anchor)
    pen.text((left - 10, 54), "in units of the frame's noise", font=letters, fill=INK, anchor="rm")
    whole = Image.new("RGB", (picture.width, picture.height + strip.height), PAPER)
    whole.paste(picture, (0, 0))
    whole.paste(strip, (0, picture.height))
    return whole


def _did(side: Side) -> str:
    if not side.regions:
        return "nothing to refocus"
    return f"{side.accepted} of {side.regions} regions refocused, {side.changed:.0%} of the picture changed"


def _centre(area: Area) -> Area:
    height, width = (min(192, side) for side in area.shape)
    top, left = area.top + (area.height - height) // 2, area.left + (area.width - width) // 2
    return Area(top, left, top + height, left + width)
