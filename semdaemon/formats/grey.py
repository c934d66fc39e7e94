"""What was stored becomes one grey image; true colour is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semdaemon.formats import faults
from semdaemon.frame import Pixels

_SERVED = frozenset(np.dtype(name) for name in ("u1", "u2", "u4", "i1", "i2", "i4", "f4"))
_JPEG_TOLERANCE = 3


def to_grey(
    path: Path, samples: Pixels, *, colour: bool, lossy: bool = False
) -> tuple[Pixels, tuple[str, ...]]:
    """One grey image from stored samples.

    Parameters
    ----------
    samples
        (rows, columns) or (rows, columns, channels).
    colour
        The first three channels are red, green, blue; a fourth is opacity and is ignored.
    lossy
        Channels may differ by rounding (JPEG).

    Returns
    -------
    pixels
        (rows, columns), one of the dtypes a frame may have.
    warnings
        What was changed on the way.
    """
    if samples.ndim == 3:
        samples = _one_channel(path, samples, colour=colour, lossy=lossy)
    return _served_dtype(path, samples)


def _one_channel(path: Path, samples: Pixels, *, colour: bool, lossy: bool) -> Pixels:
    channels = samples.shape[2]
    if channels == 1 or (channels == 2 and not colour):  # grey, perhaps with opacity
        return np.ascontiguousarray(samples[..., 0])
    red, green = samples[..., 0], samples[..., 1]
    tolerance = _JPEG_TOLERANCE if lossy else 0
    others = [samples[..., k] for k in range(1, min(channels, 3))]
    if not all(_alike(red, other, tolerance) for other in others):
        raise faults.true_colour(path, f"its {min(channels, 3)} channels differ")
    return np.ascontiguousarray(green)


def _alike(a: Pixels, b: Pixels, tolerance: int) -> bool:
    if not tolerance:
        return bool(np.array_equal(a, b))
    return int(np.abs(a.astype(np.int32) - b.astype(np.int32)).max()) <= tolerance


def _served_dtype(path: Path, pixels: Pixels) -> tuple[Pixels, tuple[str, ...]]:
    if pixels.dtype in _SERVED:
        return pixels, ()
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return pixels.astype(np.float32), (f"{pixels.dtype.name} pixels were converted to float32",)
    raise faults.unsupported_dtype(path, f"{pixels.dtype.name} pixels")


def from_palette(path: Path, indices: Pixels, colours: Pixels) -> Pixels:
    """Grey levels behind palette indices.

    An identity ramp keeps the indices themselves (the usual way in which Zeiss stores 8-bit grey).

    Parameters
    ----------
    indices
        (rows, columns), uint8 or uint16.
    colours
        (3, n) uint16, full scale 65535.
    """
    used = colours[:, : int(indices.max()) + 1]
    if used.shape[1] <= int(indices.max()):
        raise faults.broken_ifd(
            path, f"a colour map of {colours.shape[1]} colours, index {indices.max()} used"
        )
    # Unused entries may hold overlay colours; only what the pixels use counts.
    seen = np.flatnonzero(np.bincount(indices.ravel(), minlength=used.shape[1]))
    if (used[1:, seen] != used[:1, seen]).any():
        raise faults.true_colour(path, "its palette has colours")
    full = np.iinfo(indices.dtype).max
    levels = np.rint(used[0].astype(np.float64) * (full / 65535.0)).astype(indices.dtype)
    if (np.abs(levels[seen].astype(np.int64) - seen) <= 1).all():
        return indices
    return np.asarray(levels[indices])


def check_finite(path: Path, pixels: Pixels) -> None:
    """Raise ``nan_pixels`` where a float image has NaN or infinity."""
    if pixels.dtype.kind != "f":
        return
    bad = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
    if bad:
        raise faults.nan_pixels(path, bad)


def check_not_constant(path: Path, image: Pixels) -> None:
    """Raise ``constant`` where an image has one grey level only."""
    first = image.flat[0]
    if (image[:: max(1, image.shape[0] // 16)] != first).any() or (image != first).any():
        return
    raise faults.constant(path, first.item())


def tail_is_uniform(pixels: Pixels) -> bool:
    """Whether the last rows are one constant.

    Such a file may be preallocated and still being written: hold it and look again.
    It never condemns a frame; a dark corner or an empty band looks the same.
    """
    rows = max(1, min(16, pixels.shape[0] // 4))
    tail = pixels[-rows:]
    return bool((tail == tail.flat[0]).all())
