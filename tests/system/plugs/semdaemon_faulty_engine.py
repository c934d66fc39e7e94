"""An engine that fails on purpose: a fake for tests, which runs the real network unless a frame's height asks
for a fault. Found by its entry point, as an engine of another distribution would be."""

from __future__ import annotations

import os
from typing import Any

from semdaemon.refocus.engine import TorchEngine

DIES, RAISES, SMALLER_TILES, NO_MEMORY = 264, 280, 312, 328


class FaultyEngine(TorchEngine):
    def refocus(self, unit: Any, wanted: Any = None) -> Any:
        height, width = unit.shape
        if width == 256:
            self._misbehave(height)
        return super().refocus(unit, wanted)

    def _misbehave(self, height: int) -> None:
        if height == DIES:
            os._exit(9)
        if height == RAISES:
            raise ValueError("the faulty engine dislikes this frame")
        if height == NO_MEMORY:
            raise MemoryError("the faulty engine has no memory for this frame at all")
        if height == SMALLER_TILES and self.tile_px > 128:
            raise MemoryError(f"the faulty engine has no memory for tiles of {self.tile_px} px")
