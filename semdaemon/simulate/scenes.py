"""Scenes: what lies under the beam, before any optics. Procedural by kind and seed, or real frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from semdaemon.errors import SemdaemonError
from semdaemon.simulate.fibres import fibres
from semdaemon.simulate.martensite import martensite
from semdaemon.simulate.particles import particles
from semdaemon.simulate.pores import pores
from semdaemon.simulate.textures import Image, Shape

_MAKERS: dict[str, Callable[[Shape, np.random.Generator, float], Image]] = {
    "martensite": martensite,
    "particles": particles,
    "pores": pores,
    "fibres": fibres,
}

KINDS: tuple[str, ...] = tuple(_MAKERS)
"""Kinds of procedural scenes."""

REFERENCE_PIXEL_SIZE_M = 20e-9
"""Pixel size at which structures have the sizes their modules name; a smaller pixel enlarges them."""

_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg"})


def scene(
    kind: str, shape: Shape = (768, 1024), seed: int = 0, pixel_size_m: float = REFERENCE_PIXEL_SIZE_M
) -> Image:
    """A procedural scene, sharp and free of noise.

    Parameters
    ----------
    kind
        One of `KINDS`.
    shape
        (height, width) in pixels, each >= 32.
    seed
        The same seed gives the same scene.
    pixel_size_m
        Metres; structures scale with it, within a factor of 4 about the reference.

    Returns
    -------
    (height, width) float32 in [0, 1].

    Raises
    ------
    SemdaemonError
        ``unknown_scene`` for another kind.
    """
    if kind not in _MAKERS:
        raise SemdaemonError(
            "unknown_scene", f"no scene of kind {kind!r}", remedy=f"One of: {', '.join(KINDS)}."
        )
    zoom = float(np.clip(REFERENCE_PIXEL_SIZE_M / pixel_size_m, 0.25, 4.0))
    return _MAKERS[kind](shape, np.random.default_rng([seed, KINDS.index(kind)]), zoom)


def scene_set(n: int, shape: Shape = (768, 1024), seed: int = 0) -> list[Image]:
    """``n`` scenes of all kinds in turn, (height, width) float32 in [0, 1]; the same for the same seed."""
    return [scene(KINDS[i % len(KINDS)], shape, seed=seed * 10_007 + i) for i in range(n)]


class RealScenes(Sequence[Image]):
    """Frames in a folder, used in place of procedural scenes; read when asked for.

    Each item is (h, w) float32 in [0, 1], full range of the file's own integer type.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
        if not self.paths:
            raise SemdaemonError(
                "no_scenes",
                f"no picture in {folder}",
                remedy="Give a folder with PNG, TIFF, BMP or JPEG files.",
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image:  # type: ignore[override]
        return _read_grey(self.paths[index])


def real_scenes(folder: Path) -> RealScenes:
    """The frames in ``folder`` as scenes, in the order of their names.

    Raises
    ------
    SemdaemonError
        ``no_scenes`` where there is no picture, ``unreadable_scene`` (on access) for a broken one.
    """
    if not folder.is_dir():
        raise SemdaemonError("no_scenes", f"{folder} is not a folder", remedy="Give a folder with pictures.")
    return RealScenes(folder)


def _read_grey(path: Path) -> Image:
    try:
        with PillowImage.open(path) as picture:
            pixels = np.asarray(picture if picture.mode.startswith(("I", "F")) else picture.convert("L"))
    except OSError as error:
        raise SemdaemonError(
            "unreadable_scene", f"{path} cannot be read as a picture: {error}", remedy="Remove or replace it."
        ) from error
    top = 255 if pixels.dtype == np.uint8 else max(float(pixels.max()), 1e-6)
    return np.asarray(np.clip(pixels.astype(np.float32) / top, 0, 1), np.float32)
