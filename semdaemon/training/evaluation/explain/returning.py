"""Which spatial frequencies come back after a disc of defocus, and which are invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from semdaemon.training.evaluation.explain.network import Restores, degraded
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.evaluation.spectra import Curve, Spectra, Triple, measure

Image = npt.NDArray[np.float32]

RADII_PX = (2.0, 4.0, 6.0)
DOSES = (50.0, 400.0)
CROP_PX = 320
BORDER_PX = 16
"""Cut off before spectra are taken: there the network sees beyond the picture."""

FOLLOWS = 0.5
"""Coherence with the truth above which a frequency is called restored, as a map against its model is."""


@dataclass(frozen=True)
class AtZero:
    """The band that holds the first zero of the disc's transfer function.

    Attributes
    ----------
    cycles_per_px
        Where the zero is.
    power
        Power of the result there over that of the truth.
    coherence, coherence_seen
        Of result and input with the truth.
    invented
        Power that does not follow the truth over that of the truth.
    """

    cycles_per_px: float
    power: float
    coherence: float
    coherence_seen: float
    invented: float


@dataclass(frozen=True)
class Return:
    """One blur at one dose.

    Attributes
    ----------
    spectra
        Input, result and truth per band.
    coherence_interval
        95 % bootstrap interval of the result's coherence, lower and upper, over specimens.
    zeros_cycles_per_px
        Where the disc's transfer function vanishes, up to Nyquist.
    follows_up_to, follows_up_to_seen
        Cycles per pixel up to which result and input cohere with the truth by `FOLLOWS` or more.
    at_zero
        None where the first zero lies beyond Nyquist.
    """

    radius_px: float
    electrons_per_px: float
    spectra: Spectra
    coherence_interval: tuple[Curve, Curve]
    zeros_cycles_per_px: tuple[float, ...]
    follows_up_to: float
    follows_up_to_seen: float
    at_zero: AtZero | None


def disc_zeros(radius_px: float) -> tuple[float, ...]:
    """Zeros of a disc's transfer function ``2 J1(x) / x``, ``x = 2 pi R k``, up to Nyquist, cycles per pixel.

    The first lies at 0.6098 / R, the next at 1.117 / R and 1.619 / R.
    """
    found = special.jn_zeros(1, 32) / (2 * np.pi * radius_px)
    return tuple(float(k) for k in found if k < 0.5)


def returning(
    network: Restores, scenes: Sequence[Scene], radius_px: float, dose: float, *, seed: int = 0
) -> Return:
    """Measure one condition over the scenes."""
    triples = []
    for number, scene in enumerate(scenes):
        case = degraded(scene, radius_px, dose, network.spec, crop_px=CROP_PX, seed=seed + number)
        triples.append(inner(case.seen, network.restore(case.seen), case.sharp))
    measured = measure(triples)
    spectra, zeros = measured.pooled(), disc_zeros(radius_px)
    groups = [scene.specimen for scene in scenes]
    return Return(
        radius_px,
        dose,
        spectra,
        measured.interval(lambda drawn: drawn.restored.coherence, groups=groups, seed=seed),
        zeros,
        follows_up_to(spectra.cycles_per_px, spectra.restored.coherence),
        follows_up_to(spectra.cycles_per_px, spectra.seen.coherence),
        _at_zero(spectra, zeros[0]) if zeros else None,
    )


def inner(seen: Image, restored: Image, sharp: Image) -> Triple:
    """A triple without its border."""
    cut = slice(BORDER_PX, -BORDER_PX)
    return Triple(seen[cut, cut], restored[cut, cut], sharp[cut, cut])


def follows_up_to(cycles_per_px: Curve, coherence: Curve, least: float = FOLLOWS) -> float:
    """Frequency at which a coherence first falls below ``least``, between bands; 0.5 where it never does."""
    below = np.flatnonzero(coherence < least)
    if not below.size:
        return 0.5
    n = int(below[0])
    if n == 0:
        return 0.0
    share = (coherence[n - 1] - least) / (coherence[n - 1] - coherence[n])
    return float(cycles_per_px[n - 1] + share * (cycles_per_px[n] - cycles_per_px[n - 1]))


def _at_zero(spectra: Spectra, zero: float) -> AtZero:
    n = int(np.argmin(np.abs(spectra.cycles_per_px - zero)))
    return AtZero(
        zero,
        float(spectra.restored.power[n] / spectra.truth_power[n]),
        float(spectra.restored.coherence[n]),
        float(spectra.seen.coherence[n]),
        float(spectra.invented_share[n]),
    )
