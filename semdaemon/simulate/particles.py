"""Gas-atomised powder on a carbon pad: spheres with a cell pattern, satellites, deep shadows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.simulate.shading import secondary_electrons, slopes, to_unit
from semdaemon.simulate.textures import Image, Shape, cells, fractal, grid, soften, specks, stamp

_LAYERS = 3


@dataclass(frozen=True, slots=True)
class _Sphere:
    row: float
    column: float
    radius_px: float
    level: float  # 0 far below, 1 on top
    skin: int
    tone: float = 1.0


def particles(shape: Shape, rng: np.random.Generator, zoom: float = 1.0) -> Image:
    """Powder, (h, w) float32 in [0, 1]; ``zoom`` scales the spheres."""
    canvas = _pad(shape, rng)
    side = 512 if min(shape) > 256 else 192
    skins = [_skin(rng, side, cell_px=rng.uniform(7, 12) * min(max(zoom, 0.5), 3.0)) for _ in range(3)]
    for sphere in _heap(shape, rng, zoom):
        _shadow(canvas, sphere)
        _place(canvas, sphere, skins[sphere.skin], rng)
    canvas += 0.012 * fractal(shape, rng, slope=0.8, longest_px=20)
    return to_unit(canvas)


def _pad(shape: Shape, rng: np.random.Generator) -> Image:
    """The carbon pad: dark, uneven, with dust."""
    height = 1.2 * fractal(shape, rng, slope=1.2, longest_px=60) + specks(
        shape, rng, 120, radius_px=(0.7, 2.0)
    )
    grey = secondary_electrons(
        np.asarray(height, np.float32), 0.07, tilt_gain=0.08, detector_gain=0.03, edge_gain=0.05
    )
    return np.asarray(grey, np.float32)


def _skin(rng: np.random.Generator, side: int, cell_px: float) -> tuple[Image, Image]:
    """Solidification cells on a particle's surface: slopes (rows, columns) of their relief."""
    y, x = grid((side, side))
    y = y + 3 * fractal(y.shape, rng, slope=2, longest_px=60)
    _, edge, index = cells(y / cell_px, x / cell_px, rng)
    level = rng.random(4096, dtype=np.float32)[index]
    groove = -1.9 * np.exp(-((edge / 0.2) ** 2))
    relief = groove + 0.5 * level + 0.35 * fractal(y.shape, rng, slope=0.9, longest_px=20, shortest_px=2.5)
    return slopes(soften(relief.astype(np.float32), 0.5))


def _heap(shape: Shape, rng: np.random.Generator, zoom: float) -> list[_Sphere]:
    """Spheres from the deepest to the topmost, in layers in which they touch but do not overlap."""
    tries = max(12, int(shape[0] * shape[1] / (2600 * zoom**2)))
    spheres: list[_Sphere] = []
    for number in range(_LAYERS):
        layer = _layer(shape, rng, zoom, tries if number < _LAYERS - 1 else tries // 3, number)
        spheres += layer
        spheres += [_satellite(host, rng) for host in layer if rng.random() < 0.3 and host.radius_px > 16]
    return spheres


def _layer(shape: Shape, rng: np.random.Generator, zoom: float, tries: int, number: int) -> list[_Sphere]:
    """Random sequential packing, big spheres first."""
    radii = np.sort(np.clip(rng.lognormal(math.log(20), 0.6, tries), 5, 85))[::-1] * zoom
    rows, columns = rng.uniform(-20, shape[0] + 20, tries), rng.uniform(-20, shape[1] + 20, tries)
    kept: list[int] = []
    for i in range(tries):
        gaps = np.hypot(rows[kept] - rows[i], columns[kept] - columns[i]) - radii[kept] - radii[i]
        if not kept or gaps.min() > -0.5:
            kept.append(i)
    level = number / (_LAYERS - 1)
    return [
        _Sphere(
            float(rows[i]),
            float(columns[i]),
            float(radii[i]),
            level,
            int(rng.integers(3)),
            rng.uniform(0.8, 1.15),
        )
        for i in kept
    ]


def _satellite(host: _Sphere, rng: np.random.Generator) -> _Sphere:
    turn, radius = rng.uniform(0, 2 * math.pi), host.radius_px * rng.uniform(0.15, 0.35)
    reach = host.radius_px * rng.uniform(0.75, 1.05)
    return _Sphere(
        host.row + reach * math.sin(turn),
        host.column + reach * math.cos(turn),
        radius,
        host.level + 1e-3,
        host.skin,
    )


def _shadow(canvas: Image, sphere: _Sphere) -> None:
    """Around a sphere the surroundings are darker: it catches what would have reached the detector."""
    window = stamp(canvas, sphere.row, sphere.column, math.ceil(sphere.radius_px * 1.6) + 3)
    if window is None:
        return
    where, y, x = window
    gap = np.clip(np.hypot(y, x) / sphere.radius_px - 1, 0, None)
    canvas[where] *= 1 - 0.6 * np.exp(-((gap / 0.22) ** 2))


def _place(canvas: Image, sphere: _Sphere, skin: tuple[Image, Image], rng: np.random.Generator) -> None:
    window = stamp(canvas, sphere.row, sphere.column, math.ceil(sphere.radius_px) + 2)
    if window is None:
        return
    where, y, x = window
    away = np.hypot(y, x)
    cover = np.clip(sphere.radius_px - away + 0.5, 0, 1)
    canvas[where] = cover * _lit(y, x, away, sphere, skin, rng) + (1 - cover) * canvas[where]


def _lit(
    y: Image, x: Image, away: Image, sphere: _Sphere, skin: tuple[Image, Image], rng: np.random.Generator
) -> npt.NDArray[np.floating]:
    """Grey of the sphere's cap: dark face, bright limb, brighter towards the detector."""
    rim = np.clip(away / sphere.radius_px, 0, 0.995)
    cosine = np.sqrt(1 - rim**2)
    unroll = np.arcsin(rim) / np.maximum(rim, 1e-3)
    origin = rng.uniform(0, skin[0].shape[0], 2)
    at = np.stack([y * unroll + origin[0], x * unroll + origin[1]])
    down, right = (ndimage.map_coordinates(part, at, order=1, mode="wrap") for part in skin)
    relief = (0.25 * np.abs(right) + 0.25 * np.abs(down) - 0.16 * right + 0.2 * down) * np.sqrt(cosine)
    limb = 0.3 * np.minimum(1 / cosine - 1, 2.2) + 0.25 * np.exp(-(((sphere.radius_px - away) / 1.8) ** 2))
    side = -0.16 * (y - 0.6 * x) / sphere.radius_px
    dim = (0.38, 0.68, 1.0)[min(int(sphere.level * 2 + 0.01), 2)] * sphere.tone
    return np.asarray(dim * (0.34 + limb + side + relief), np.float32)
