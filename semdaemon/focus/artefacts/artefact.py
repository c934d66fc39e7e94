"""What an artefact is, and the words for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Which = npt.NDArray[np.bool_]

MESSAGES = {
    "lettering": "letters, a scale bar or a data bar are burnt into the picture",
    "saturated": "pixels stand at the lowest or highest grey level",
    "charging_streaks": "streaks along the fast-scan axis, as charging leaves them",
    "jpeg_blocks": "the frame went through a JPEG file: its 8-pixel blocks show",
    "resampled": "the frame was enlarged by interpolation",
    "noise_filtered": "the noise was smoothed after the frame was taken",
    "lines_repeated": "lines are repeated or averaged in groups",
    "lines_averaged": "neighbouring lines were averaged",
    "interlaced": "odd and even lines are from different moments",
    "few_grey_levels": "few grey levels are used",
    "no_noise": "no noise above the rounding of grey levels: a rendered, averaged or denoised picture",
}
"""Reason codes, stable, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """Something in a frame that misleads a judgement of its focus.

    Attributes
    ----------
    code
        A key of `MESSAGES`.
    tiles
        How many tiles are undecided because of it; 0 where it is told and does no harm.
    """

    code: str
    tiles: int

    @property
    def message(self) -> str:
        """What it is, and what follows from it."""
        what = MESSAGES[self.code]
        return f"{what}; {self.tiles} tile{'s' * (self.tiles > 1)} undecided" if self.tiles else what

    def as_json(self) -> dict[str, object]:
        return {"code": self.code, "message": self.message, "tiles": self.tiles}


@dataclass(frozen=True, slots=True)
class Fitness:
    """Which of n tiles can be judged, and what was found.

    Attributes
    ----------
    unfit
        (n,) bool: tiles whose blur would be misjudged.
    artefacts
        What was found, each code once.
    """

    unfit: Which
    artefacts: tuple[Artefact, ...]
