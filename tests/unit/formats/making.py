"""Small files and frames for the tests of formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from semdaemon.frame import Area, Frame, frame_id
from semdaemon.settings import Limits

LIMITS = Limits()
WEIGHTS = {"name": "light", "sha256": "0123456789abcdef" * 4}


def picture(shape: tuple[int, int] = (96, 80), dtype: str = "uint16", seed: int = 7) -> npt.NDArray[Any]:
    """Noise over a ramp, in the upper half of the type's range."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.2, 0.6, shape[1])[None, :] + rng.uniform(0, 0.3, shape)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (ramp * 1000 - 300).astype(kind)
    limits = np.iinfo(kind)
    return (ramp * (float(limits.max) - limits.min) + limits.min).astype(kind)


def write_tiff(path: Path, pixels: npt.NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, pixels, **{"metadata": None, "photometric": "minisblack", **options})
    return path


def frame_of(pixels: npt.NDArray[Any], **known: Any) -> Frame:
    return Frame(
        **{
            "id": frame_id("0" * 64, "memory:a"),
            "source": "test",
            "uri": "memory:a",
            "pixels": pixels,
            "content_sha256": "0" * 64,
            "image_area": Area.whole(pixels.shape),
            **known,
        }
    )


@dataclass(frozen=True)
class Focus:
    sigma_px: npt.NDArray[np.float32]
    tile_px: int
    area: Area


def focus_for(frame: Frame, tile_px: int = 32) -> Focus:
    rows, columns = (-(-side // tile_px) for side in frame.image_area.shape)
    sigma = np.linspace(0.5, 4, rows * columns, dtype=np.float32).reshape(rows, columns)
    sigma[0, 0] = np.nan
    return Focus(sigma, tile_px, frame.image_area)


def refocused_of(frame: Frame) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """A changed copy and its mask: a block in the middle of the image area."""
    mask = np.zeros(frame.shape, bool)
    area = frame.image_area
    mask[area.height // 4 : area.height // 2, area.width // 4 : area.width // 2] = True
    changed = frame.pixels.copy()
    changed[mask] = np.roll(frame.pixels, 5, axis=1)[mask]
    return changed, mask
