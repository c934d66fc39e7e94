"""Electrospun fibres: cylinders lying over each other, bright along both edges."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from semdaemon.simulate.shading import secondary_electrons, to_unit
from semdaemon.simulate.textures import Image, Shape, fractal, smoothstep, specks


def fibres(shape: Shape, rng: np.random.Generator, zoom: float = 1.0) -> Image:
    """A mat of fibres, (h, w) float32 in [0, 1]; ``zoom`` scales their width (about 8 to 40 px at 1)."""
    canvas = _ground(shape, rng)
    count = max(6, int(0.045 * max(shape) / zoom))
    for number in range(count):
        dim = 0.3 + 0.7 * (number + 1) / count
        _lay(canvas, rng, dim, zoom)
    return to_unit(canvas + 0.01 * fractal(shape, rng, slope=0.8, longest_px=20))


def _ground(shape: Shape, rng: np.random.Generator) -> Image:
    """The holder under the mat: dark, stained, rough in places, with dust."""
    patchy = np.clip(0.5 + 0.5 * fractal(shape, rng, slope=2.0, longest_px=250), 0.1, 1.6)
    stains = 0.03 * smoothstep(fractal(shape, rng, slope=2.2, longest_px=200), 0.4, 0.6)
    height = patchy * fractal(shape, rng, slope=1.3, longest_px=40) + specks(
        shape, rng, 150, radius_px=(0.7, 2.4)
    )
    return secondary_electrons(
        np.asarray(height, np.float32), 0.09 - stains, tilt_gain=0.12, detector_gain=0.04, edge_gain=0.07
    )


def _lay(canvas: Image, rng: np.random.Generator, dim: float, zoom: float) -> None:
    """One fibre over everything that lies there already (works on ``canvas`` in place)."""
    view = canvas.T if rng.random() < 0.5 else canvas
    length = view.shape[1]
    radius = float(np.clip(rng.lognormal(math.log(7), 0.45), 3, 22)) * zoom
    path = _path(length, view.shape[0], rng)
    steep = np.sqrt(1 + np.gradient(path) ** 2)
    half = math.ceil(radius * float(steep.max()) * 1.9) + 2
    rows = np.floor(path).astype(np.intp)[None, :] + np.arange(-half, half + 1)[:, None]
    columns = np.broadcast_to(np.arange(length)[None, :], rows.shape)
    away = (rows - path[None, :]) / steep[None, :]
    inside = (rows >= 0) & (rows < view.shape[0])
    band = view[np.clip(rows, 0, view.shape[0] - 1), columns]
    view[rows[inside], columns[inside]] = _over(band, away, path, radius, dim, rng)[inside]


def _path(length: int, height: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Row of the fibre's axis in every column: a straight line with slow bends."""
    bend = ndimage.gaussian_filter1d(rng.standard_normal(length + 400), 90)[200:-200]
    line = np.linspace(rng.uniform(-0.3, 1.3), rng.uniform(-0.3, 1.3), length) * height
    return np.asarray(line + rng.uniform(60, 420) * bend)


def _over(
    band: Image,
    away: npt.NDArray[np.float64],
    path: npt.NDArray[np.float64],
    radius: float,
    dim: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.floating]:
    """The band of pixels along the fibre, shadowed beside it and covered by it."""
    rim = np.clip(np.abs(away) / radius, 0, 0.995)
    gap = np.clip(np.abs(away) / radius - 1, 0, None)
    shadow = 1 - 0.55 * np.exp(-((gap / 0.35) ** 2))
    cosine = np.sqrt(1 - rim**2)
    grain = _grooves(away.shape[0], away.shape[1], rng)
    limb = 0.22 * np.minimum(1 / cosine - 1, 2.5) + 0.22 * np.exp(-(((radius - np.abs(away)) / 1.6) ** 2))
    grey = dim * (0.36 + limb - 0.1 * away / radius + 0.045 * grain * cosine)
    cover = np.clip(radius - np.abs(away) + 0.5, 0, 1)
    return np.asarray(cover * grey + (1 - cover) * band * shadow, np.float32)


def _grooves(width: int, length: int, rng: np.random.Generator) -> Image:
    """Roughness drawn out along the fibre, as spinning leaves it, with fine grain on top."""
    coarse = fractal((width, length // 5 + 2), rng, slope=0.6, longest_px=14, shortest_px=2.2)
    drawn = np.repeat(coarse, 5, axis=1)[:, :length]
    fine = fractal((width, length), rng, slope=0.6, longest_px=10, shortest_px=2.2)
    return np.asarray(0.8 * ndimage.uniform_filter1d(drawn, 5, axis=1) + 0.7 * fine, np.float32)
