"""A picture refocused window by window: what a frame costs in the engine no longer grows with the frame."""

from __future__ import annotations

import numpy as np

from semdaemon.frame import FloatImage, Mask
from semdaemon.refocus.discriminative import Refocuses

WINDOW_PX = 512


class Windowed:
    """An engine that hands another one windows with a margin around, and puts their middles together.

    Parameters
    ----------
    margin_px
        How far the network looks, all scales together, as a multiple of ``multiple``: then a window equals
        the same pixels of the whole picture.
    multiple
        Windows begin on this grid, which the network's scales share.
    """

    def __init__(
        self, engine: Refocuses, *, margin_px: int, multiple: int, window_px: int = WINDOW_PX
    ) -> None:
        self._engine = engine
        self._margin_px = -(-margin_px // multiple) * multiple
        self._window_px = max(multiple, window_px // multiple * multiple)

    def refocus(self, unit: FloatImage, wanted: Mask | None = None) -> FloatImage:
        """As `semdaemon.refocus.engine.Engine.refocus`."""
        asked = np.ones(unit.shape, bool) if wanted is None else wanted
        result = np.zeros_like(unit)
        for top in range(0, unit.shape[0], self._window_px):
            for left in range(0, unit.shape[1], self._window_px):
                self._window(unit, asked, result, top, left)
        return result

    def _window(self, unit: FloatImage, asked: Mask, result: FloatImage, top: int, left: int) -> None:
        rows, columns = slice(top, top + self._window_px), slice(left, left + self._window_px)
        if not asked[rows, columns].any():
            return
        y0, x0 = max(0, top - self._margin_px), max(0, left - self._margin_px)
        y1, x1 = rows.stop + self._margin_px, columns.stop + self._margin_px
        wanted = np.zeros_like(asked[y0:y1, x0:x1])
        inner = (slice(top - y0, rows.stop - y0), slice(left - x0, columns.stop - x0))
        wanted[inner] = asked[rows, columns]
        result[rows, columns] = self._engine.refocus(unit[y0:y1, x0:x1], wanted)[inner]
