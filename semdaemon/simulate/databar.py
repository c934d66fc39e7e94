"""The data bar below the picture, as vendors burn it into the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw

from semdaemon.focus.lettering import Colour, font, write
from semdaemon.simulate.acquisition import Acquisition, Vendor, metres, scale_bar

_BLACK, _WHITE = 0, 255


def bar_height_px(width: int) -> int:
    """Height of the data bar of a picture this wide: 59 px at 1024, as on a Quanta."""
    return max(28, round(width * 59 / 1024))


def with_data_bar(pixels: npt.NDArray[Any], vendor: Vendor, acquisition: Acquisition) -> npt.NDArray[Any]:
    """Picture with its bar below: (h + ``acquisition.bar_px``, w), same dtype."""
    if acquisition.bar_px == 0:
        return pixels
    bar = draw_bar(vendor, acquisition)
    if pixels.dtype == np.uint16:
        bar = np.asarray(bar, np.uint16) * np.uint16(257)
    return np.concatenate([pixels, bar])


def draw_bar(vendor: Vendor, a: Acquisition) -> npt.NDArray[Any]:
    """(``bar_px``, width) uint8; Zeiss writes black on white, the others white on black."""
    paper, ink = (_WHITE, _BLACK) if vendor == "zeiss" else (_BLACK, _WHITE)
    bar = PillowImage.new("RGB", (a.picture_shape[1], a.bar_px), (paper,) * 3)
    draw = ImageDraw.Draw(bar)
    draw.rectangle((0, 0, bar.width - 1, bar.height - 1), outline=(ink,) * 3)
    _scale(draw, a, (ink,) * 3)
    _facts(draw, vendor, a, (ink,) * 3)
    return np.asarray(bar.convert("L"))


def _facts(draw: ImageDraw.ImageDraw, vendor: Vendor, a: Acquisition, ink: Colour) -> None:
    """Two lines a column: what it is, and its value."""
    facts = (
        ("HV", f"{a.high_voltage_v / 1e3:.2f} kV"),
        ("mag", f"{a.magnification:,.0f} x"),
        ("WD", f"{a.working_distance_mm} mm"),
        ("HFW", metres(a.field_width_m, 3)),
        ("det", a.detector),
        (vendor.upper() if vendor != "none" else "SEM", "simulated"),
    )
    letters = font(max(9, round(a.bar_px * 0.36)))
    column = a.picture_shape[1] * 0.72 / len(facts)
    for number, (title, value) in enumerate(facts):
        middle = (number + 0.5) * column
        write(draw, (middle, a.bar_px * 0.27), title, letters, fill=ink, anchor="mm")
        write(draw, (middle, a.bar_px * 0.72), value, letters, fill=ink, anchor="mm")
        draw.line(((number + 1) * column, 0, (number + 1) * column, a.bar_px), fill=ink)


def _scale(draw: ImageDraw.ImageDraw, a: Acquisition, ink: Colour) -> None:
    bar_m, bar_px = scale_bar(a)
    left = round(a.picture_shape[1] * 0.86 - bar_px / 2)
    y = round(a.bar_px * 0.72)
    draw.line((left, y, left + bar_px - 1, y), fill=ink, width=2)
    for x in (left, left + bar_px - 1):
        draw.line((x, y - 6, x, y + 6), fill=ink, width=2)
    letters = font(max(9, round(a.bar_px * 0.36)))
    write(draw, (left + bar_px / 2, a.bar_px * 0.3), metres(bar_m, 3), letters, fill=ink, anchor="mm")
