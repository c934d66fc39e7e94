"""What a frame as a whole shows, beside its tiles one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.focus.artefacts import Artefact
from semdaemon.focus.noise import Noise, noise_json
from semdaemon.focus.plane import Plane, fit_plane
from semdaemon.focus.tiles import Grid

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
    """

    artefacts: tuple[Artefact, ...] = ()
    plane: Plane | None = None
    noise: Noise | None = None

    def as_json(self, aperture_rad: float | None = None) -> dict[str, object]:
        """Plain values, null where unknown; ``aperture_rad`` is the beam's half angle where it is known."""
        return {
            "artefacts": [artefact.as_json() for artefact in self.artefacts],
            **noise_json(self.noise),
            "plane": None if self.plane is None else self.plane.as_json(aperture_rad),
        }


NOTHING = Survey()


def survey(
    grid: Grid,
    artefacts: tuple[Artefact, ...],
    sigma_px: Array,
    relative_sd: Array,
    noise: Noise | None = None,
) -> Survey:
    """Facts from the tiles of a grid, row by row.

    Parameters
    ----------
    sigma_px, relative_sd
        (n,) blur of every tile, undecided ones among them, and the standard deviation of its logarithm; NaN
        where a tile cannot be judged.
    """
    windows = [grid.window(row, col) for row in range(grid.rows) for col in range(grid.cols)]
    area = grid.area
    x_px = np.array([(w.left + w.right - area.left - area.right) / 2 for w in windows])
    y_px = np.array([(w.top + w.bottom - area.top - area.bottom) / 2 for w in windows])
    return Survey(artefacts, fit_plane(x_px, y_px, sigma_px, relative_sd), noise)
