"""What a model package shows and is tested with: a simulated scene, out of focus, and refocused."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tifffile
import torch
from PIL import Image as PillowImage

from semdaemon.focus.picture import encode, side_by_side
from semdaemon.frame import intensity_range, to_unit
from semdaemon.simulate.scenes import scene
from semdaemon.training import degrade
from semdaemon.training.bioimage.portable import Portable

Image = npt.NDArray[np.float32]

RADIUS_PX, ELECTRONS_PER_PX = 4.0, 200.0
_COVER_PX = 320


@dataclass(frozen=True)
class Example:
    """One picture before and after.

    Attributes
    ----------
    seen
        (h, w) float32, grey levels 0 to 255.
    refocused
        (h, w) float32, in units of the intensity range of ``seen`` (0.1 % to 99.9 %).
    """

    seen: Image
    refocused: Image


def example(network: Portable, side_px: int) -> Example:
    """A simulated scene with a disc of 4 px at 200 electrons per pixel, and what the network makes of it."""
    sharp = 0.15 + 0.7 * scene("particles", (side_px, side_px), seed=5)
    blurred = degrade.blur(np.asarray(sharp, np.float32), degrade.probe_kernel(RADIUS_PX))
    exposed = degrade.expose(blurred, ELECTRONS_PER_PX, np.random.default_rng(0))
    seen = np.asarray(np.rint(255 * degrade.quantise(exposed, 8)), np.float32)
    unit = to_unit(seen, intensity_range(seen))
    with torch.inference_mode():
        refocused = network(torch.from_numpy(unit)[None, None])[0, 0].numpy()
    return Example(seen, refocused)


def as_tensor(image: Image) -> bytes:
    """(h, w) as the .npy of a (1, 1, h, w) tensor: batch, channel, y, x."""
    buffer = io.BytesIO()
    np.save(buffer, image[None, None])
    return buffer.getvalue()


def as_png(image: Image) -> bytes:
    """Grey levels 0 to 255 as 8-bit PNG."""
    return encode(np.asarray(np.clip(np.rint(image), 0, 255), np.uint8), "png")


def as_tiff(image: Image, description: str) -> bytes:
    """Float TIFF that says in its description what it is."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, description=description, metadata=None, software=False)
    return buffer.getvalue()


def cover(shown: Example) -> bytes:
    """Before and after side by side, each labelled; twice as wide as high."""
    low, high = intensity_range(shown.seen)
    part = (slice(0, _COVER_PX), slice(0, _COVER_PX))
    greys = [
        np.asarray(np.clip(np.rint(255 * unit[part]), 0, 255), np.uint8)
        for unit in (to_unit(shown.seen, (low, high)), shown.refocused)
    ]
    both = side_by_side(*greys, label="network output · simulated scene")
    return encode(both.resize((2 * _COVER_PX, _COVER_PX), PillowImage.Resampling.LANCZOS), "png")
