"""How the blur estimator's examples are drawn."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """How examples are drawn; shares are probabilities, ranges are log-uniform unless said otherwise.

    Attributes
    ----------
    shrunk_share, shrinking
        Scenes shown at a smaller scale than their frame's, and by which factor.
    procedural_share, soft_share
        Scenes that the simulator drew, and of frames that are soft at pixel scale, shown as they are.
    mixed_share
        Sums of two scenes.
    rich_share
        Of two places the one with more contrast; else any, bare substrate too.
    slight_share, slight_radius_px
        Of the probes out of focus, those whose radius is drawn from where sharp and blurred meet.
    same_places_share
        A scene's states of focus are seen at the same places: content never tells them apart.
    """

    patch_px: int = 320
    patches: int = 8
    states_per_patch: int = 3
    tiles_per_state: int = 2
    tile_sides_px: tuple[int, ...] = (128, 64, 192)
    tile_side_shares: tuple[float, ...] = (0.9, 0.08, 0.02)
    shrunk_share: float = 0.5
    shrinking: Range = (1.0, 3.0)
    procedural_share: float = 0.12
    soft_share: float = 0.1
    mixed_share: float = 0.15
    rich_share: float = 0.5
    sharp_share: float = 0.3
    radius_px: Range = (0.8, 28.0)
    slight_share: float = 0.3
    slight_radius_px: Range = (1.0, 4.0)
    gaussian_share: float = 0.15
    astigmatic_share: float = 0.4
    ellipticity: Range = (1.0, 1.6)
    same_places_share: float = 0.5
    electrons_per_px: Range = (5.0, 1000.0)
    amplifier_share: float = 0.5
    amplifier: Range = (0.002, 0.03)
    correlated_share: float = 0.55
    fast_axis_correlation: Range = (0.1, 0.8)
    line_noise_share: float = 0.1
    line_noise: Range = (0.003, 0.03)
    dimmed_share: float = 0.55
    dimmed_gain: Range = (0.2, 1.0)
    gamma_share: float = 0.3
    gamma: Range = (0.6, 1.7)
    tone_share: float = 0.3
    inverted_share: float = 0.2
    flat_share: float = 0.03
    eight_bit_share: float = 0.7

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def log_uniform(rng: np.random.Generator, limits: Range, share: float | None = None) -> float:
    """A figure between the limits, uniform in its logarithm; at a given share of the way where wanted."""
    share = float(rng.random()) if share is None else share
    return float(limits[0] * (limits[1] / limits[0]) ** share)
