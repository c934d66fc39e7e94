"""The plane of focus in a picture: where it cuts the frame, and which way the sample falls away from it."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from semdaemon.focus.lettering import INK, PAPER
from semdaemon.focus.map import FocusMap

_DASH_PX = 14
_POINT = tuple[float, float]


def line_of_focus(picture: Image.Image, focus: FocusMap, scale: float) -> None:
    """Draw a dashed line where a tilted frame is sharp, or an arrow to where it is, into the picture."""
    plane = focus.survey.plane
    if plane is None or not plane.tilted or plane.curved:
        return
    area = focus.area
    middle = np.array([area.left + area.right, area.top + area.bottom]) * scale / 2
    angle = math.radians(plane.direction_deg)
    along, across = (
        np.array([math.cos(angle), math.sin(angle)]),
        np.array([-math.sin(angle), math.cos(angle)]),
    )
    nearest = middle - along * plane.centre_px / plane.tilt_px * 1000 * scale
    low = np.array([area.left, area.top]) * scale
    high = np.array([area.right, area.bottom]) * scale
    cut = _clipped(nearest, across, low, high)
    draw = ImageDraw.Draw(picture)
    if cut is not None:
        _dashed(draw, nearest + across * cut[0], nearest + across * cut[1])
    else:
        _arrow(draw, middle, -along * min(area.height, area.width) * scale / 4)


def _clipped(
    point: np.ndarray, direction: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[float, float] | None:
    """Parameters between which a line lies in a box, or None."""
    begin, end = -math.inf, math.inf
    for axis in (0, 1):
        if abs(direction[axis]) < 1e-9:
            if not low[axis] <= point[axis] <= high[axis]:
                return None
            continue
        ends = sorted((edge[axis] - point[axis]) / direction[axis] for edge in (low, high))
        begin, end = max(begin, ends[0]), min(end, ends[1])
    return (float(begin), float(end)) if end - begin > 2 * _DASH_PX else None


def _dashed(draw: ImageDraw.ImageDraw, start: np.ndarray, stop: np.ndarray) -> None:
    length = float(np.hypot(*(stop - start)))
    step = (stop - start) / length
    for at in np.arange(0, length, 2 * _DASH_PX):
        piece = _flat(start + step * at), _flat(start + step * min(at + _DASH_PX, length))
        draw.line(piece, fill=PAPER, width=5)
        draw.line(piece, fill=INK, width=2)


def _arrow(draw: ImageDraw.ImageDraw, tail: np.ndarray, way: np.ndarray) -> None:
    """From ``tail`` by ``way``: towards where the frame would be in focus."""
    head, unit = tail + way, way / np.hypot(*way)
    wing = np.array([-unit[1], unit[0]])
    for width, colour in ((7, PAPER), (3, INK)):
        draw.line((_flat(tail), _flat(head)), fill=colour, width=width)
        for side in (1, -1):
            draw.line((_flat(head), _flat(head - 18 * unit + side * 10 * wing)), fill=colour, width=width)


def _flat(point: np.ndarray) -> _POINT:
    return float(point[0]), float(point[1])
