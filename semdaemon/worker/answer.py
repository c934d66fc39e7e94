"""What comes back from the worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from semdaemon.frame import Mask, Pixels


@dataclass(frozen=True)
class WorkerAnswer:
    """A frame that came back from the worker.

    Attributes
    ----------
    pixels, mask
        (height, width), the frame's dtype and bool; the caller owns them.
    regions
        One report a region (see `semdaemon.refocus.discriminative.RegionReport`).
    levels
        Grey levels at 0 and 1 of the network's input.
    weights
        ``name``, ``sha256``, ``sigma_max_px``.
    seconds
        Time in the worker.
    rung
        Where memory ran out: what was stepped down to (see `semdaemon.worker.ladder.Rung`).
    """

    pixels: Pixels
    mask: Mask
    regions: list[dict[str, Any]]
    levels: tuple[float, float]
    weights: dict[str, Any]
    device: str
    seconds: float
    rung: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stepped_down(self) -> bool:
        """True where it did not go as set, for want of memory."""
        return bool(self.rung) and self.rung["name"] != "as_set"
