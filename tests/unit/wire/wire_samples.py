"""Headers and arrays as the daemon would publish them."""

from __future__ import annotations

from typing import Any

import numpy as np

FRAME: dict[str, Any] = {
    "id": "00112233445566ff",
    "source": "folder",
    "uri": "file:///data/run%201/lath_0001.tif",
    "acquired_at": "2026-03-01T18:00:00+00:00",
    "shape": [256, 384],
    "type": "uint16",
    "pixel_size_m": [5e-09, 5e-09],
    "image_area": [0, 0, 240, 384],
    "page": 0,
}
SCORE: dict[str, Any] = {"frame": FRAME, "tile_px": 128, "area": [0, 0, 240, 384], "scorer": "sigma 1"}


def score_arrays() -> list[tuple[str, np.ndarray]]:
    """The focus map of two rows and three columns; one tile is undecided."""
    sigma = np.array([[0.5, 3.25, 18], [np.nan, 1.5, 2]], dtype=np.float32)
    score = np.array([[0.99, 0.02, 0], [np.nan, 0.5, 0.25]], dtype=np.float32)
    verdict = np.array([[0, 1, 2], [3, 1, 1]], dtype=np.uint8)
    return [("sigma_px", sigma), ("score", score), ("verdict", verdict)]


def fault(number: int = 0) -> dict[str, Any]:
    """Header of a small message that can be told from others."""
    return {"code": "truncated", "message": f"frame {number} ends early", "number": number}
