"""Focus over a frame, and what the probe and the dose make of a scene.

The disc of confusion follows from heights: ``R = |dz| * aperture angle / pixel size``, in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.simulate.textures import Image, Shape, grid
from semdaemon.training import degrade

_RADIUS_STEP_PX = 0.75
"""`degrade.blur_varying` mixes neighbouring radii; this far apart the mix is as good as the disc between."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The beam.

    Attributes
    ----------
    aperture_rad
        Half the opening angle of the beam at the sample.
    sigma0_px
        Deviation of the in-focus probe (a Gaussian), pixels.
    ellipticity, astigmatism_rad
        Long over short axis of the disc when out of focus (1 is round), and where the long axis points.
    """

    aperture_rad: float = 5e-3
    sigma0_px: float = 0.6
    ellipticity: float = 1.0
    astigmatism_rad: float = 0.0


@dataclass(frozen=True, slots=True)
class Defocus:
    """Distance from the sample's surface to the plane of focus: a level, a rise, a step.

    All lengths in metres. ``direction_rad`` is the lateral direction of rise and step, from the fast axis
    towards increasing rows; positions along it are shares of the frame, 0 at its beginning and 1 at its end.

    Attributes
    ----------
    level_m
        Everywhere.
    rise_m, rise_from
        Height gained evenly from ``rise_from`` to the end of the frame (a tilted or bent sample).
    step_m
        Added from ``step_at`` on (a stepped sample).
    """

    level_m: float = 0.0
    rise_m: float = 0.0
    rise_from: float = 0.0
    step_m: float = 0.0
    step_at: float = 2.0
    direction_rad: float = 0.0

    def heights_m(self, shape: Shape) -> npt.NDArray[np.float32]:
        """(h, w) float32: signed distance to the plane of focus."""
        along = _along(shape, self.direction_rad)
        risen = np.clip((along - self.rise_from) / (1 - self.rise_from), 0, None) * self.rise_m
        stepped = np.where(along >= self.step_at, self.step_m, 0.0)
        return np.asarray(self.level_m + risen + stepped, np.float32)

    def radius_map_px(self, shape: Shape, pixel_size_m: float, aperture_rad: float) -> Image:
        """(h, w) float32: radius of the disc of confusion, pixels."""
        heights = np.abs(self.heights_m(shape))
        return np.asarray(heights * np.float32(aperture_rad / pixel_size_m), np.float32)


def _along(shape: Shape, direction_rad: float) -> Image:
    """Position along a direction as a share of the frame, 0 to 1."""
    y, x = grid(shape)
    position = x * math.cos(direction_rad) + y * math.sin(direction_rad)
    low, high = float(position.min()), float(position.max())
    return np.asarray((position - low) / max(high - low, 1.0), np.float32)


def through_probe(scene: Image, radius_map_px: Image, probe: Probe) -> Image:
    """What the probe resolves: (h, w) float32 in [0, 1], still without noise."""
    low, high = float(radius_map_px.min()), float(radius_map_px.max())
    stepped = np.unique(radius_map_px[::16, ::16]).size <= 2
    levels = 2 if stepped else max(2, math.ceil((high - low) / _RADIUS_STEP_PX) + 1)
    return degrade.blur_varying(
        scene,
        radius_map_px,
        sigma0_px=probe.sigma0_px,
        ellipticity=probe.ellipticity,
        angle_rad=probe.astigmatism_rad,
        levels=levels,
    )


def detect(
    image: Image,
    electrons_per_px: float,
    rng: np.random.Generator,
    *,
    bits: int = 8,
    correlation: float = 0.0,
) -> npt.NDArray[Any]:
    """Poisson noise, then the file's own integers.

    Parameters
    ----------
    image
        (h, w) float32 in [0, 1].
    electrons_per_px
        Electrons at a pixel of value 1, > 0.
    bits
        8 (uint8) or 16 (uint16).
    correlation
        Of the noise between neighbours along the fast axis, 0 <= c < 1.
    """
    noisy = degrade.expose(image, electrons_per_px, rng, fast_axis_correlation=correlation)
    return to_integers(noisy, bits)


def to_integers(image: Image, bits: int) -> npt.NDArray[Any]:
    """[0, 1] to the full range of uint8 or uint16."""
    kind = {8: np.uint8, 16: np.uint16}[bits]
    return np.asarray(np.rint(degrade.quantise(image, bits) * np.float32(2**bits - 1)), kind)


def half_blurred(
    image: Image, radius_px: float, electrons_per_px: float, rng: np.random.Generator, bits: int = 8
) -> tuple[npt.NDArray[Any], Image, npt.NDArray[np.bool_]]:
    """A test frame: the left half as it is, the right half out of focus, then the dose over everything.

    Parameters
    ----------
    image
        (h, w) float32 in [0, 1], sharp.
    radius_px
        Disc radius of the right half, pixels.

    Returns
    -------
    pixels, truth, blurred
        uint8 or uint16 frame; the sharp image (float32); True in the blurred half.
    """
    truth = np.asarray(image, np.float32)
    blurred = np.zeros(truth.shape, np.bool_)
    blurred[:, truth.shape[1] // 2 :] = True
    soft = degrade.blur(truth, degrade.probe_kernel(radius_px))
    mixed = np.where(blurred, soft, truth).astype(np.float32)
    return detect(mixed, electrons_per_px, rng, bits=bits), truth, blurred
