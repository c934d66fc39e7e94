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
    field = fractal(shape, rng, slope=3.0, longest_px=55 * zoom, shortest_px=20 * zoom)
    steep = field - level_of(field, share)
    solid = smoothstep(steep, -0.03 / zoom, 0.03 / zoom)
    height = 16 * zoom * np.sqrt(np.clip(steep, 0, None))
    patchy = np.clip(0.8 + 0.4 * fractal(shape, rng, slope=2.0, longest_px=200), 0.4, 1.6)
    rough = 0.3 * patchy * fractal(shape, rng, slope=1.2, longest_px=24, shortest_px=2.4)
    grains = specks(shape, rng, shape[0] * shape[1] // 5000, radius_px=(0.8, 2.2))
    layer = secondary_electrons(
        np.asarray(height + rough + grains, np.float32), 0.3, tilt_gain=0.45, edge_gain=0.15, shadow_gain=0.3
    )
    return solid, layer
