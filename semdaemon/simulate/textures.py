"""Random fields from which scenes are made: fractal roughness, cells, specks and scratches.

Every function takes its own `numpy.random.Generator`, so that a scene follows from its seed alone.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Image = npt.NDArray[np.float32]
Shape = tuple[int, int]

_TABLE = 64
"""Side of the tables of random numbers that stand for an endless grid of cell centres."""


def fractal(
    shape: Shape,
    rng: np.random.Generator,
    *,
    slope: float = 1.5,
    longest_px: float = 1e6,
    shortest_px: float = 2.0,
) -> Image:
    """Rough field with amplitude spectrum ``k**-slope`` between two wavelengths; mean 0, deviation 1.

    Parameters
    ----------
    slope
        0 gives white noise, 1 a rough surface, 2 soft hills.
    longest_px, shortest_px
        Wavelengths outside of which there is nothing (the long end fades, the short end is a soft cut).

    Returns
    -------
    float32, ``shape``.
    """
    size = [fft.next_fast_len(n, real=True) for n in shape]
    spectrum = fft.rfft2(rng.standard_normal(size, dtype=np.float32))
    k = np.hypot(fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])[None, :]).astype(np.float32)
    gain = (k**2 + (1 / longest_px) ** 2 + 1e-9) ** np.float32(-slope / 2)
    gain *= np.exp(-((k * shortest_px / 2) ** 4).astype(np.float32))
    gain[0, 0] = 0
    field = fft.irfft2(spectrum * gain, size)[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def level_of(field: Image, share: float) -> float:
    """Threshold above which ``share`` of the field lies (from every seventh pixel, which is enough)."""
    return float(np.quantile(field.ravel()[::7], 1 - share))


def smoothstep(x: Image, low: float, high: float) -> Image:
    """0 below ``low``, 1 above ``high``, a soft ramp between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def cells(
    u: npt.NDArray[np.floating], v: npt.NDArray[np.floating], rng: np.random.Generator, *, jitter: float = 0.9
) -> tuple[Image, Image, npt.NDArray[np.int32]]:
    """Voronoi cells of a jittered unit grid (Worley 1996), evaluated at any coordinates.

    Parameters
    ----------
    u, v
        Coordinates in cells, same shape; stretched coordinates give long cells.

    Returns
    -------
    nearest, edge, index
        Distance to the nearest centre; how far the second one is behind it (0 on a border); the number
        of the cell, 0 to 4095, which repeats after 64 cells.
    """
    shift_u, shift_v = (
        rng.uniform(0.5 - jitter / 2, 0.5 + jitter / 2, (_TABLE, _TABLE)).astype(np.float32) for _ in "uv"
    )
    base_u, base_v = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    part_u, part_v = (u - base_u).astype(np.float32), (v - base_v).astype(np.float32)
    centres_u, centres_v = shift_u.ravel(), shift_v.ravel()
    first = np.full(u.shape, 9.0, np.float32)  # squared distances until the end
    second, index = first.copy(), np.zeros(u.shape, np.int32)
    for du in (-1, 0, 1):
        row = ((base_u + du) % _TABLE) * _TABLE
        for dv in (-1, 0, 1):
            here = row + (base_v + dv) % _TABLE
            far = (part_u - du - centres_u.take(here)) ** 2 + (part_v - dv - centres_v.take(here)) ** 2
            closer = far < first
            np.minimum(second, np.maximum(far, first), out=second)
            np.copyto(index, here, where=closer)
            np.minimum(first, far, out=first)
    first, second = np.sqrt(first), np.sqrt(second)
    return first, second - first, index


def grid(shape: Shape) -> tuple[Image, Image]:
    """Row and column of every pixel, float32."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    return rows.astype(np.float32), columns.astype(np.float32)


def stamp(
    canvas: Image, row: float, column: float, patch_of: int
) -> tuple[tuple[slice, slice], Image, Image] | None:
    """Window of ``canvas`` within ``patch_of`` pixels of a point, with coordinates from that point.

    Returns ``None`` where the window lies outside.
    """
    top, left = max(0, math.floor(row) - patch_of), max(0, math.floor(column) - patch_of)
    bottom = min(canvas.shape[0], math.floor(row) + patch_of + 2)
    right = min(canvas.shape[1], math.floor(column) + patch_of + 2)
    if bottom <= top or right <= left:
        return None
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    return (slice(top, bottom), slice(left, right)), y - np.float32(row), x - np.float32(column)


def specks(shape: Shape, rng: np.random.Generator, count: int, *, radius_px: tuple[float, float]) -> Image:
    """Height of small round grains lying about (dust, carbides); 0 elsewhere, about their radius on top."""
    height = np.zeros(shape, np.float32)
    radii = np.exp(rng.uniform(math.log(radius_px[0]), math.log(radius_px[1]), count))
    for radius in radii:
        stretch, turn = rng.uniform(1.0, 1.7), rng.uniform(0, math.pi)
        window = stamp(
            height, rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), math.ceil(radius * stretch) + 2
        )
        if window is None:
            continue
        where, y, x = window
        along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
        inside = 1 - np.hypot(along / stretch, across) / radius
        grain = radius * np.sqrt(np.clip(2 * inside, 0, 1))
        height[where] = np.maximum(height[where], grain)
    return height


def scratches(shape: Shape, rng: np.random.Generator, count: int, *, along_rad: float | None = None) -> Image:
    """Depth of polishing scratches, 0 to about 1; straight lines, mostly of one direction."""
    depth = np.zeros(shape, np.float32)
    y, x = grid(shape)
    main = rng.uniform(0, math.pi) if along_rad is None else along_rad
    for _ in range(count):
        turn = main + rng.normal(0, 0.12)
        offset = (y - rng.uniform(0, shape[0])) * math.cos(turn) - (x - rng.uniform(0, shape[1])) * math.sin(
            turn
        )
        profile = np.exp(-((offset / rng.uniform(0.6, 1.4)) ** 2))
        depth += profile * np.float32(rng.uniform(0.15, 1.0))
    return depth


def soften(image: Image, sigma_px: float) -> Image:
    """Gaussian smoothing; wide ones on a reduced grid, because nobody sees the difference."""
    if sigma_px < 6:
        return np.asarray(ndimage.gaussian_filter(image, sigma_px, mode="nearest", truncate=3), np.float32)
    step = 2 ** int(math.log2(sigma_px / 3))
    return _enlarge(
        ndimage.gaussian_filter(_reduce(image, step), sigma_px / step, mode="nearest"), step, image.shape
    )


def _reduce(image: Image, step: int) -> Image:
    down, right = -image.shape[0] % step, -image.shape[1] % step
    padded = np.pad(image, ((0, down), (0, right)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _enlarge(small: Image, step: int, shape: tuple[int, ...]) -> Image:
    rows = (np.arange(shape[0], dtype=np.float32) + 0.5) / step - 0.5
    columns = (np.arange(shape[1], dtype=np.float32) + 0.5) / step - 0.5
    return _between(_between(small, rows, 0), columns, 1)


def _between(image: Image, at: npt.NDArray[np.floating], axis: int) -> Image:
    at = np.clip(at, 0, image.shape[axis] - 1)
    low = np.minimum(at.astype(np.intp), max(0, image.shape[axis] - 2))
    share = (at - low).astype(np.float32)
    share = share[:, None] if axis == 0 else share[None, :]
    high = np.minimum(low + 1, image.shape[axis] - 1)
    return np.asarray(image.take(low, axis) * (1 - share) + image.take(high, axis) * share, np.float32)
