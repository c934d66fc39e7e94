"""Frames to be tortured with: small, each with bytes of its own, sharp or with a half out of focus."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tifffile

from semdaemon.simulate import half_blurred, scene

SIDE_PX = 256
_SCENES = 4


@dataclass(frozen=True)
class Written:
    """A file that the harness wrote, and what must become of it.

    Attributes
    ----------
    kind
        ``sharp``, ``blurred``, or the name of a poison.
    expected
        Final states that are right for it.
    """

    path: Path
    sha256: str
    kind: str
    expected: tuple[str, ...] = ("published",)

    @property
    def good(self) -> bool:
        return self.kind in ("sharp", "blurred")


class FrameMaker:
    """Makes frames; the same seed makes the same frames."""

    def __init__(self, seed: int, side_px: int = SIDE_PX) -> None:
        rng = np.random.default_rng(seed)
        self._number = 0
        self._pictures: dict[str, list[np.ndarray[Any, Any]]] = {"sharp": [], "blurred": []}
        for number in range(_SCENES):
            base = scene("particles", (side_px, side_px), number, 10e-9)
            for kind, radius_px in (("sharp", 0.0), ("blurred", 5.0)):
                self._pictures[kind].append(half_blurred(base, radius_px, 400.0, rng, 8)[0])

    def make(self, kind: str, rng: Random) -> bytes:
        """A whole TIFF; no two are the same."""
        self._number += 1
        picture = rng.choice(self._pictures[kind])
        rows, columns = picture.shape
        # Halves change places as a whole: a tile that is half in focus counts as sharp.
        shift = (rng.randrange(rows), rng.choice((0, columns // 2)))
        shifted = np.roll(picture, shift, (0, 1))
        file = io.BytesIO()
        tifffile.imwrite(
            file, shifted, metadata=None, photometric="minisblack", rowsperstrip=64,
            description=f"frame {self._number:09}",
        )  # fmt: skip
        return file.getvalue()


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
