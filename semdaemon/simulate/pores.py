"""A nanoporous metal: bright ligaments in front, dimmer ones deeper in the pores."""

from __future__ import annotations

import numpy as np

from semdaemon.simulate.shading import secondary_electrons, to_unit
from semdaemon.simulate.textures import Image, Shape, fractal, level_of, smoothstep, soften, specks


def pores(shape: Shape, rng: np.random.Generator, zoom: float = 1.0) -> Image:
    """Ligaments and pores, (h, w) float32 in [0, 1]; ``zoom`` scales the pores (about 30 px at 1)."""
    grey = np.full(shape, 0.02, np.float32)
    for depth, dim in ((2, 0.25), (1, 0.5), (0, 1.0)):
        solid, layer = _ligaments(shape, rng, zoom * (1 - 0.12 * depth), share=0.45 if depth else 0.58)
        catch = soften(solid, 5 * zoom)
        grey = grey * (1 - solid) * (1 - 0.75 * catch) + solid * layer * dim
    return to_unit(grey + 0.01 * fractal(shape, rng, slope=2.0))


def _ligaments(shape: Shape, rng: np.random.Generator, zoom: float, share: float) -> tuple[Image, Image]:
    """Where there is metal (0 to 1, antialiased) and its grey."""
    field = fractal(shape, rng, slope=3.2, longest_px=60 * zoom, shortest_px=7 * zoom)
    level = level_of(field, share)
    steep = field - level
    solid = smoothstep(steep, -0.045 / zoom, 0.045 / zoom)
    height = 9 * zoom * np.sqrt(np.clip(steep, 0, 1.2))
    rough = 0.28 * fractal(shape, rng, slope=0.9, longest_px=16, shortest_px=2.4)
    grains = specks(shape, rng, shape[0] * shape[1] // 4000, radius_px=(0.8, 2.0))
    layer = secondary_electrons(
        np.asarray(height + rough + grains, np.float32), 0.36, tilt_gain=0.32, edge_gain=0.2, shadow_gain=0.2
    )
    return solid, layer
