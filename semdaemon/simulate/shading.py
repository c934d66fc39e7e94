"""From heights to grey: why secondary electrons make edges bright and holes dark.

A secondary electron escapes only from the first few nanometres.
So a tilted facet yields more (the beam runs longer under its surface, yield ``1/cos(tilt)``), an edge more
still (escape on both sides), a hole less (the walls catch them), and the side that faces the detector is
brighter than the other.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from semdaemon.simulate.textures import Image, soften


def secondary_electrons(
    height_px: Image,
    material: Image | float = 0.35,
    *,
    tilt_gain: float = 0.35,
    detector_gain: float = 0.12,
    detector_rad: float = math.radians(-60),
    edge_gain: float = 0.25,
    edge_px: float = 3.0,
    shadow_gain: float = 0.5,
    shadow_px: float = 16.0,
) -> Image:
    """Grey image of a surface, not yet scaled to [0, 1].

    Parameters
    ----------
    height_px
        (h, w) float32, surface height in pixels, larger towards the detector.
    material
        Yield of the flat surface, one number or (h, w).
    tilt_gain
        Weight of ``1/cos(tilt) - 1``, which saturates for steep walls.
    detector_gain, detector_rad
        How much brighter the side facing the detector is, and where the detector stands.
    edge_gain, edge_px
        Extra yield where the surface stands out of its surroundings of this size.
    shadow_gain, shadow_px
        Loss where it lies below its surroundings of this size.

    Returns
    -------
    (h, w) float32, >= 0.
    """
    down, right = slopes(height_px)
    secant = np.sqrt(1 + down**2 + right**2)
    towards = (right * math.cos(detector_rad) + down * math.sin(detector_rad)) / secant
    edge = np.tanh((height_px - soften(height_px, edge_px)) / edge_px)
    hidden = np.clip(soften(height_px, shadow_px) - height_px, 0, None) / shadow_px
    grey = material + tilt_gain * (1 - 1 / secant) * 1.6 - detector_gain * towards + edge_gain * edge
    return np.asarray(np.clip(grey, 0, None) * np.exp(-shadow_gain * hidden), np.float32)


def slopes(height_px: Image) -> tuple[Image, Image]:
    """Slope along rows and columns by central differences, float32."""
    down, right = np.empty_like(height_px), np.empty_like(height_px)
    down[1:-1] = (height_px[2:] - height_px[:-2]) / 2
    right[:, 1:-1] = (height_px[:, 2:] - height_px[:, :-2]) / 2
    down[0], down[-1] = height_px[1] - height_px[0], height_px[-1] - height_px[-2]
    right[:, 0] = height_px[:, 1] - height_px[:, 0]
    right[:, -1] = height_px[:, -1] - height_px[:, -2]
    return down, right


def to_unit(grey: npt.NDArray[np.floating], *, low: float = 0.04, high: float = 0.93) -> Image:
    """Contrast and brightness as an operator sets them: a few pixels in a thousand at the ends."""
    sample = grey.ravel()[::5]
    dark, bright = np.percentile(sample, (0.3, 99.7))
    unit = low + (grey - dark) * ((high - low) / max(float(bright - dark), 1e-6))
    return np.asarray(np.clip(unit, 0, 1), np.float32)
