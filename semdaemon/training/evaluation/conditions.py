"""What a frame is put through before it is refocused: a blur and a dose."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from semdaemon.training import degrade
from semdaemon.training.evaluation.case import Degraded, Image
from semdaemon.training.evaluation.scenes import Scene, central

Kind = Literal["disc", "gaussian", "astigmatic", "tilted"]
KINDS: tuple[Kind, ...] = ("disc", "gaussian", "astigmatic", "tilted")

_TOLD_LEVELS = 4
_TRUE_LEVELS = 9
_TILT_DIRECTION_RAD = math.radians(30)


class Condition(Protocol):
    """One way of degrading a frame; frozen, so that it can be handed to another process."""

    @property
    def name(self) -> str:
        """What it is called in tables; no two conditions share a name."""
        ...

    def degrade(self, scene: Scene, *, crop_px: int, seed: int) -> Degraded:
        """The central crop of a scene under this condition; the same seed gives the same crop."""
        ...


@dataclass(frozen=True)
class Blur:
    """A blur of one kind.

    Attributes
    ----------
    kind
        ``disc`` is defocus, ``astigmatic`` an elliptic disc, ``tilted`` a disc whose radius grows evenly over
        the crop from nothing to ``strength_px``.
    strength_px
        Radius of the disc (of equal area where elliptic, the largest where tilted); sigma of a ``gaussian``.
    ellipticity
        Long over short axis where ``astigmatic``.
    """

    kind: Kind
    strength_px: float
    ellipticity: float = 1.0
    angle_rad: float = math.radians(35)

    @property
    def name(self) -> str:
        if self.kind == "gaussian":
            return f"gaussian sigma {self.strength_px:g}"
        if self.kind == "astigmatic":
            return f"astigmatic R {self.strength_px:g} x {self.ellipticity:g}"
        return f"disc R {self.strength_px:g}" if self.kind == "disc" else f"tilted R 0-{self.strength_px:g}"

    def kernel(self) -> Image:
        """The probe; of half the strength where tilted."""
        if self.kind == "gaussian":
            return degrade.gaussian_kernel(self.strength_px)
        radius_px = self.strength_px / 2 if self.kind == "tilted" else self.strength_px
        return degrade.probe_kernel(radius_px, 0.0, self.ellipticity, self.angle_rad)


@dataclass(frozen=True)
class Defocus:
    """A blur and a dose: Poisson noise at ``electrons_per_px`` of white, 8 bits."""

    blur: Blur
    electrons_per_px: float

    @property
    def name(self) -> str:
        return f"{self.blur.name}, {self.electrons_per_px:g} e/px"

    def degrade(self, scene: Scene, *, crop_px: int, seed: int) -> Degraded:
        window = central(scene.sharp.shape, crop_px)
        sharp = scene.sharp[window]
        parts = self._parts(sharp.shape)
        if parts:
            blurred = _tilted(scene.sharp, window, _radii(sharp.shape, self.blur.strength_px))
        else:
            blurred = degrade.blur(scene.sharp, self.blur.kernel())[window]
        noisy = degrade.expose(blurred, self.electrons_per_px, generator_of(self.name, seed))
        return Degraded(degrade.quantise(noisy, 8), sharp, self.blur.kernel(), parts)

    def _parts(self, shape: tuple[int, ...]) -> tuple[tuple[Image, Image], ...]:
        """What an oracle is told of a tilted plane: a few probes, and each pixel's share of them."""
        if self.blur.kind != "tilted":
            return ()
        radii = np.linspace(0, self.blur.strength_px, _TOLD_LEVELS)
        shares = _shares(_radii(shape, self.blur.strength_px), radii)
        return tuple(
            (degrade.probe_kernel(float(radius)), share) for radius, share in zip(radii, shares, strict=True)
        )


def generator_of(name: str, seed: int) -> np.random.Generator:
    """Random numbers of one condition and seed; a condition's numbers do not depend on its neighbours."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _radii(shape: tuple[int, ...], most_px: float) -> Image:
    rows, columns = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    height = math.sin(_TILT_DIRECTION_RAD) * rows + math.cos(_TILT_DIRECTION_RAD) * columns
    return np.asarray(most_px * height / height.max(), np.float32)


def _tilted(whole: Image, window: tuple[slice, slice], radii: Image) -> Image:
    levels = np.linspace(0, float(radii.max()), _TRUE_LEVELS)
    blurred = np.zeros(radii.shape, np.float32)
    for radius, share in zip(levels, _shares(radii, levels), strict=True):
        blurred += share * degrade.blur(whole, degrade.probe_kernel(float(radius)))[window]
    return blurred


def _shares(radii: Image, levels: np.ndarray[tuple[int], np.dtype[np.floating]]) -> list[Image]:
    """Each pixel's share of each evenly spaced level: linear between its two neighbours."""
    position = radii / levels[-1] * (len(levels) - 1)
    return [np.asarray(np.clip(1 - np.abs(position - i), 0, 1), np.float32) for i in range(len(levels))]


def _grid(
    kind: Kind, strengths_px: tuple[float, ...], doses: tuple[float, ...], **more: float
) -> list[Defocus]:
    return [Defocus(Blur(kind, s, **more), dose) for s in strengths_px for dose in doses]


HEADLINE_DOSES = (10.0, 50.0, 400.0)
IN_FOCUS = tuple(_grid("disc", (0,), HEADLINE_DOSES))
HEADLINE = (
    *_grid("disc", (2, 4, 6), HEADLINE_DOSES),
    *_grid("astigmatic", (4,), HEADLINE_DOSES, ellipticity=1.5),
    *_grid("tilted", (6,), HEADLINE_DOSES),
)
FURTHER = (
    *_grid("disc", (0, 2, 4, 6), (3,)),
    *_grid("disc", (8,), (50, 400)),
    *_grid("gaussian", (1.5,), (50,)),
    *_grid("gaussian", (2.5,), (50, 400)),
    *_grid("astigmatic", (6,), (50,), ellipticity=1.3),
    *_grid("tilted", (8,), (50,)),
)
