"""All answers about one set of weights, in one object, and as plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation.explain import field as views
from semdaemon.training.evaluation.explain import noise as noises
from semdaemon.training.evaluation.explain import responses, returning, scales
from semdaemon.training.evaluation.explain.network import Network
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.evaluation.spectra import WINDOW_PX
from semdaemon.training.intervals import drawn

FEW = 8
"""Scenes for what costs more a scene and varies less: ablation, receptive field."""

MOST = 32
_LEAST_PX = WINDOW_PX + 2 * returning.BORDER_PX

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Explanation:
    """What a network does to pictures.

    Attributes
    ----------
    weights, sha256
        Which network.
    conditions
        What it was measured on: number of scenes, where from, crop, seed.
    example, shares, ablations
        What each scale contributes.
    returns
        Which frequencies come back, by blur and dose.
    noise, flat
        Response to noise alone and to nothing.
    edge, line
        Response to a step and to a line.
    fields
        How far it looks, by blur.
    """

    weights: str
    sha256: str
    conditions: dict[str, Any]
    example: scales.Example
    shares: scales.Shares
    ablations: tuple[scales.Ablation, ...]
    returns: tuple[returning.Return, ...]
    noise: tuple[noises.NoiseResponse, ...]
    flat: tuple[noises.FlatResponse, ...]
    edge: responses.EdgeResponse
    line: responses.LineResponse
    fields: tuple[views.Field, ...]


def explain(
    card: WeightsCard,
    scenes: Sequence[Scene],
    shown: Scene,
    *,
    of: str,
    seed: int = 0,
    device: str = "cpu",
    tell: Tell = lambda _: None,
) -> Explanation:
    """Ask a network everything.

    Parameters
    ----------
    scenes
        Sharp frames to measure on; those smaller than 160 px are left out, of more than 32 a draw is taken.
    shown
        The scene whose pictures are shown.
    of
        What the scenes are, for the record.

    Raises
    ------
    SemdaemonError
        ``scenes_too_small`` where no scene is large enough.
    """
    used = _chosen(scenes, seed)
    over = drawn(len(used), [scene.specimen for scene in used])
    few, network = used[:FEW], Network(card, device)
    tell("scales")
    example, shares = scales.example(network, shown, seed=seed), scales.shares(network, used, seed=seed)
    ablations = scales.ablations(network, few, seed=seed)
    returns = []
    for radius_px in returning.RADII_PX:
        for dose in returning.DOSES:
            tell(f"frequencies, disc of {radius_px:g} px, {dose:g} electrons per px")
            returns.append(returning.returning(network, used, radius_px, dose, seed=seed))
    tell("noise, flat fields, edge and line, receptive field")
    return Explanation(
        card.name,
        card.sha256,
        {
            "scenes": len(used),
            "drawn": str(over),
            "over": over.over,
            "of": of,
            "crop_px": returning.CROP_PX,
            "window_px": WINDOW_PX,
            "seed": seed,
        },
        example,
        shares,
        ablations,
        tuple(returns),
        tuple(noises.noise_response(network, sd, seed=seed) for sd in noises.NOISE_SD),
        tuple(noises.flat_response(network, level) for level in noises.FLAT_LEVELS),
        responses.edge_response(network, seed=seed),
        responses.line_response(network, seed=seed),
        tuple(views.field(network, few, radius_px, seed=seed) for radius_px in views.RADII_PX),
    )


def _chosen(scenes: Sequence[Scene], seed: int) -> list[Scene]:
    large = [scene for scene in scenes if min(scene.sharp.shape) >= _LEAST_PX]
    if not large:
        raise SemdaemonError(
            "scenes_too_small",
            f"None of {len(scenes)} frames has sides of {_LEAST_PX} px or more.",
            remedy="Spectra need room: give larger sharp frames.",
        )
    order = np.random.default_rng(seed).permutation(len(large))[:MOST]
    return [large[n] for n in order]


def plain(value: Any) -> Any:
    """Dataclasses as mappings, curves as lists of five digits, what is not finite as None; no pictures."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: getattr(value, f.name) for f in fields(value)}
        kept = {key: plain(item) for key, item in named.items() if not _is_picture(item)}
        return {key: item for key, item in kept.items() if item != {}}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if np.isfinite(value) else None
    return value


def _is_picture(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 1
