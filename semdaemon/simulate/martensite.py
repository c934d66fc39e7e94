"""Lath martensite, etched: prior austenite grains, packets, blocks, laths, carbides.

The hierarchy of Morito et al. (Acta Materialia 51, 1789, 2003), flattened: a grain falls into packets of one
habit plane, a packet into blocks of one orientation, a block into laths.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from semdaemon.simulate.shading import secondary_electrons, to_unit
from semdaemon.simulate.textures import (
    Image,
    Shape,
    cells,
    fractal,
    grid,
    scratches,
    smoothstep,
    soften,
    specks,
)


def martensite(shape: Shape, rng: np.random.Generator, zoom: float = 1.0) -> Image:
    """Etched lath martensite, (h, w) float32 in [0, 1]; ``zoom`` scales the laths (about 14 px wide at 1)."""
    y, x = (axis / np.float32(zoom) for axis in grid(shape))
    ragged_y, ragged_x = (
        16 * fractal(shape, rng, slope=2.3, longest_px=200 * zoom, shortest_px=8) for _ in "yx"
    )
    _, grain_edge, grain = cells((y + ragged_y) / 520, (x + ragged_x) / 520, rng)
    _, packet_edge, packet = cells((y + ragged_x) / 240, (x + ragged_y) / 240, rng)
    angle = _habit(grain, packet, rng)
    bend = 2.5 * fractal(shape, rng, slope=2.2, longest_px=200 * zoom)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle) + bend
    _, block_edge, block = cells(across / 60, along / 500, rng)
    width_px = _per_cell(block + packet * 13, rng) * 12 + 8
    _, lath_edge, lath = cells(across / width_px, along / 170, rng)
    borders = _borders(grain_edge * 520, packet_edge * 240)
    height = _relief(shape, rng, lath_edge * width_px, _per_cell(lath, rng), borders, block_edge * 60)
    grey = _orientation(block, lath, grain * 7 + packet, rng)
    return _develop(height, grey, shape, rng)


def _habit(grain: npt.NDArray[np.int32], packet: npt.NDArray[np.int32], rng: np.random.Generator) -> Image:
    """Direction of the laths: one of four habit traces of the grain, chosen by the packet."""
    traces = rng.uniform(0, math.pi, (4096, 4))
    chosen = rng.integers(0, 4, 4096)
    return np.asarray(traces[grain, chosen[(packet + grain * 31) % 4096]], np.float32)


def _per_cell(index: npt.NDArray[np.int32], rng: np.random.Generator) -> Image:
    return np.asarray(rng.random(4096, dtype=np.float32)[index % 4096], np.float32)


def _borders(grain_px: Image, packet_px: Image) -> Image:
    """1 on the etched prior-austenite borders, less on packet borders, 0 inside."""
    return np.asarray(
        np.maximum(1 - smoothstep(grain_px, 0.5, 5.0), 0.6 * (1 - smoothstep(packet_px, 0.3, 3.5))),
        np.float32,
    )


def _relief(
    shape: Shape,
    rng: np.random.Generator,
    lath_px: Image,
    lath_level: Image,
    borders: Image,
    block_px: Image,
) -> Image:
    """Height left by the etchant: rounded laths at different levels, thin films between them standing out."""
    rounded = smoothstep(lath_px, 0.0, 3.5)
    strength = np.clip(0.65 + 0.4 * fractal(shape, rng, slope=1.6, longest_px=120), 0.1, 1.5)
    film = np.exp(-((lath_px / 0.9) ** 2)) * (0.4 + lath_level)
    roughness = fractal(shape, rng, slope=0.9, longest_px=14, shortest_px=2.4)
    height = strength * (1.4 * film + 1.6 * lath_level - 0.5 * rounded) + 0.13 * roughness
    height -= 2.2 * borders + 0.5 * np.exp(-((block_px / 2.0) ** 2))
    return np.asarray(soften(height.astype(np.float32), 0.6), np.float32)


def _orientation(
    block: npt.NDArray[np.int32],
    lath: npt.NDArray[np.int32],
    packet: npt.NDArray[np.int32],
    rng: np.random.Generator,
) -> Image:
    """Channelling contrast: each block has its grey, laths differ a little from it."""
    return np.asarray(
        0.3
        + 0.22 * (_per_cell(block + packet * 13, rng) - 0.5)
        + 0.07 * (_per_cell(lath, rng) - 0.5)
        + 0.09 * (_per_cell(packet, rng) - 0.5),
        np.float32,
    )


def _develop(height: Image, grey: Image, shape: Shape, rng: np.random.Generator) -> Image:
    area = shape[0] * shape[1]
    carbides = specks(shape, rng, area // 900, radius_px=(0.8, 2.2))
    height = height + 0.8 * carbides - 0.8 * scratches(shape, rng, int(rng.integers(0, 4)))
    image = secondary_electrons(
        np.asarray(height, np.float32), grey, tilt_gain=0.3, detector_gain=0.13, edge_gain=0.3, edge_px=2.0
    )
    return to_unit(image + 0.05 * np.clip(carbides, 0, 1) + 0.012 * fractal(shape, rng, slope=2.0))
