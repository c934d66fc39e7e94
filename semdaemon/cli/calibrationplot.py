"""The picture of ``semdaemon calibrate``: blur against distance, points and curve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from semdaemon.focus.calibration import Calibration
from semdaemon.focus.lettering import font, write
from semdaemon.focus.map import BLURRED, SHARP
from semdaemon.focus.marks import COLOURS

Place = Callable[[float, float], tuple[float, float]]

_SIZE = (960, 600)
_BOX = (80, 40, 930, 530)
_BLACK, _GREY, _WHITE = (30, 32, 36), (205, 207, 210), (255, 255, 255)


def draw(path: Path, found: Calibration, pixel_size_m: float) -> None:
    """Write the picture, as PNG or JPEG by its suffix."""
    picture = Image.new("RGB", _SIZE, _WHITE)
    pen = ImageDraw.Draw(picture)
    low, high = float(found.z_um.min()), float(found.z_um.max())
    margin = 0.04 * (high - low)
    z = np.linspace(low - margin, high + margin, 400)
    curve = found.model_px(z, pixel_size_m)
    top = 1.1 * float(max(curve.max(), found.sigma_px.max()))

    def at(z_um: float, sigma_px: float) -> tuple[float, float]:
        left, upper, right, lower = _BOX
        share = (z_um - z[0]) / (z[-1] - z[0])
        return left + share * (right - left), lower - sigma_px / top * (lower - upper)

    _axes(pen, (float(z[0]), float(z[-1])), top, at)
    pen.line([at(float(x), float(y)) for x, y in zip(z, curve, strict=True)], fill=COLOURS[SHARP], width=3)
    for x, y in zip(found.z_um, found.sigma_px, strict=True):
        px, py = at(float(x), float(y))
        pen.ellipse((px - 6, py - 6, px + 6, py + 6), fill=COLOURS[BLURRED], outline=_BLACK, width=2)
    half_angle = f"{found.aperture_rad * 1e3:.2f} ± {found.aperture_sd_rad * 1e3:.2f} mrad"
    said = f"{half_angle}, focus at {found.focus_um:.2f} µm"
    write(pen, (_BOX[0], 12), said, font(18), fill=_BLACK)
    picture.save(path)


def _axes(pen: ImageDraw.ImageDraw, reach: tuple[float, float], top: float, at: Place) -> None:
    letters = font(15)
    for tick in _ticks(0, top):
        (left, y), (right, _) = at(reach[0], tick), at(reach[1], tick)
        pen.line((left, y, right, y), fill=_GREY)
        pen.text((left - 10, y), f"{tick:g}", font=letters, fill=_BLACK, anchor="rm")
    for tick in _ticks(*reach):
        x, y = at(tick, 0)
        pen.line((x, y, x, y + 6), fill=_BLACK)
        pen.text((x, y + 20), f"{tick:g}", font=letters, fill=_BLACK, anchor="mm")
    write(pen, (_SIZE[0] / 2, _SIZE[1] - 22), "distance, µm", letters, fill=_BLACK, anchor="mm")
    pen.text((12, 14), "blur, px", font=letters, fill=_BLACK)


def _ticks(low: float, high: float) -> list[float]:
    """Four to ten round numbers."""
    raw = (high - low) / 6
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(min((s * power for s in (1, 2, 5, 10)), key=lambda s: abs(s - raw)))
    return [round(float(n * step), 9) for n in np.arange(np.ceil(low / step), np.floor(high / step) + 1)]
