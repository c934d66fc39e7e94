"""All detectors over one frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semdaemon.focus.artefacts.artefact import MESSAGES, Artefact, Fitness, Which
from semdaemon.focus.artefacts.extremes import extremes, ruled_by_streaks
from semdaemon.focus.artefacts.levels import FEW, TOO_FEW, grey_levels
from semdaemon.focus.artefacts.noise import Powers, interlaced, noise_shape, streaked
from semdaemon.focus.artefacts.periods import periods
from semdaemon.focus.artefacts.ranks import median_filtered
from semdaemon.frame import Pixels

_SMALLEST_PX = 32


def examine(image: Pixels, tiles: Sequence[Pixels], power: Powers) -> Fitness:
    """Look for everything that makes a verdict on focus unsafe.

    Parameters
    ----------
    image
        (h, w), any real dtype: the image area.
    tiles
        Its n tiles, all of one shape.
    power
        (n, BANDS) of the tiles in the bands of `semdaemon.focus.artefacts.noise.bands`.
    """
    levels = (image.min(), image.max())
    saturated, lettered = np.array([extremes(tile, levels) for tile in tiles], bool).T
    found: dict[str, Which] = {"saturated": saturated, "lettering": lettered}
    everywhere, nowhere = np.ones(len(tiles), bool), np.zeros(len(tiles), bool)
    count, step = grey_levels(image)
    few = count <= FEW
    codes = periods(image)
    if min(tiles[0].shape) >= _SMALLEST_PX:
        found["charging_streaks"] = streaked(power) & ~saturated
        if found["charging_streaks"].any():
            # What charges most is clipped, and its straight edges are no letters.
            clipped = [n for n in np.flatnonzero(lettered).tolist() if ruled_by_streaks(tiles[n], levels)]
            found["charging_streaks"][clipped], lettered[clipped] = True, False
        textured = ~saturated & (power[:, 0] > 0)
        codes = codes or noise_shape(power[textured], None if few else step)
        codes = codes or ["noise_filtered"] * (not few and median_filtered(image))
        codes = codes or ["interlaced"] * interlaced(power[textured])
    if few:
        found["few_grey_levels"] = everywhere if count < TOO_FEW else nowhere
    found |= dict.fromkeys(codes, everywhere)
    if "lines_repeated" in codes or "interlaced" in codes or "jpeg_blocks" in codes:
        found.pop("charging_streaks", None)  # steps between lines, but not from charging
    named = [code for code in MESSAGES if code in found and (found[code].any() or found[code] is nowhere)]
    unfit = np.logical_or.reduce(list(found.values()))
    return Fitness(unfit, tuple(Artefact(code, int(found[code].sum())) for code in named))
