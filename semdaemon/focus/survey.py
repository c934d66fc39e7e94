"""What a frame as a whole shows, beside its tiles one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.focus.artefacts import Artefact
from semdaemon.focus.astigmatism import Astigmatism
from semdaemon.focus.axes import Region, axes_of
from semdaemon.focus.noise import Noise, noise_json, noise_of
from semdaemon.focus.plane import Plane, fit_plane
from semdaemon.focus.tilepower import TilePower
from semdaemon.focus.tiles import Grid
from semdaemon.frame import Pixels

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Survey:
    """Facts about a frame.

    Attributes
    ----------
    artefacts
        What misleads a judgement of focus; the tiles concerned are undecided.
    plane
        The plane of focus, or None where too few tiles are known.
    noise
        Of the image area, or None where it cannot be told.
    astigmatism
        Of the whole frame.
    regions
        Its parts, where there is more than one.
    """

    artefacts: tuple[Artefact, ...] = ()
    plane: Plane | None = None
    noise: Noise | None = None
    astigmatism: Astigmatism | None = None
    regions: tuple[Region, ...] = ()

    def as_json(self, aperture_rad: float | None = None) -> dict[str, object]:
        """Plain values, null where unknown; ``aperture_rad`` is the beam's half angle where it is known."""
        return {
            "artefacts": [artefact.as_json() for artefact in self.artefacts],
            **noise_json(self.noise),
            "plane": None if self.plane is None else self.plane.as_json(aperture_rad),
            "astigmatism": None if self.astigmatism is None else self._axes(self.astigmatism),
        }

    def _axes(self, whole: Astigmatism) -> dict[str, object]:
        regions = [{"area": part.area.as_list(), **part.astigmatism.as_json()} for part in self.regions]
        return {**whole.as_json(), "regions": regions}


NOTHING = Survey()


def survey(
    image: Pixels,
    grid: Grid,
    artefacts: tuple[Artefact, ...],
    sigma_px: Array,
    relative_sd: Array,
    power: TilePower,
) -> Survey:
    """Facts from the tiles of a grid, row by row.

    Parameters
    ----------
    image
        (h, w): the image area.
    sigma_px, relative_sd
        (n,) blur of every tile, undecided ones among them, and the standard deviation of its logarithm; NaN
        where a tile cannot be judged.
    power
        Of every tile.
    """
    y_px, x_px = grid.centres()
    plane = fit_plane(x_px, y_px, sigma_px, relative_sd)
    known = np.where(np.isfinite(relative_sd), sigma_px, np.nan)
    return Survey(artefacts, plane, noise_of(image), *axes_of(image, grid, known, power))
