"""The plane of focus in a picture: where it cuts the frame, which way the sample falls away, its steps."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from semdaemon.focus.lettering import INK, PAPER
from semdaemon.focus.map import FocusMap

_DASH_PX = 14
_POINT = tuple[float, float]


def line_of_focus(picture: Image.Image, focus: FocusMap, scale: float) -> str:
    """Draw a dashed line where a tilted frame is sharp, or an arrow to where it is, into the picture.

    A step in height is a dashed line too, with a short arrow across it to the more blurred side.
    Returned is what was drawn in words, for the legend; empty where nothing was.
    """
    plane = focus.survey.plane
    if plane is None:
        return ""
    area = focus.area
    middle = np.array([area.left + area.right, area.top + area.bottom]) * scale / 2
    draw = ImageDraw.Draw(picture)
    if plane.step is not None:
        along = _unit(plane.step.direction_deg)
        ends = _across(focus, scale, middle + along * plane.step.offset_px * scale, along)
        if ends is not None:
            _dashed(draw, *ends)
            _arrow(draw, (ends[0] + ends[1]) / 2, along * 36)
            return "dashed line: the step; its arrow points to the more blurred side"
    elif plane.tilted and not plane.curved:
        along = _unit(plane.direction_deg)
        nearest = middle - along * plane.centre_px / plane.tilt_px * 1000 * scale
        ends = _across(focus, scale, nearest, along)
        if ends is not None:
            _dashed(draw, *ends)
            return "dashed line: here the frame is in focus"
        _arrow(draw, middle, -along * min(area.height, area.width) * scale / 4)
        return "arrow: the way to focus, which lies outside the frame"
    return ""


def _unit(direction_deg: float) -> np.ndarray:
    angle = math.radians(direction_deg)
    return np.array([math.cos(angle), math.sin(angle)])


def _across(
    focus: FocusMap, scale: float, point: np.ndarray, along: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Ends of the line through a point, at right angles to a direction, within the image area."""
    area, across = focus.area, np.array([-along[1], along[0]])
    low, high = (np.array(edge) * scale for edge in ((area.left, area.top), (area.right, area.bottom)))
    cut = _clipped(point, across, low, high)
    return None if cut is None else (point + across * cut[0], point + across * cut[1])


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
    """From ``tail`` by ``way``."""
    head, unit = tail + way, way / np.hypot(*way)
    wing = np.array([-unit[1], unit[0]])
    for width, colour in ((7, PAPER), (3, INK)):
        draw.line((_flat(tail), _flat(head)), fill=colour, width=width)
        for side in (1, -1):
            draw.line((_flat(head), _flat(head - 18 * unit + side * 10 * wing)), fill=colour, width=width)


def _flat(point: np.ndarray) -> _POINT:
    return float(point[0]), float(point[1])
