"""What to train, on what, for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semdaemon.errors import SemdaemonError, SettingsError
from semdaemon.refocus import networks
from semdaemon.training.recipe import PUBLISHED, RECIPES, Recipe, margin_px

DEFAULT_MINUTES = 60.0

NETWORKS = {"light": networks.LIGHT, "mrn": networks.MRN_OURS, "srn": networks.MRN_OURS}
"""Architectures by name; with the published recipe `networks.PUBLISHED` takes the place of the large ones."""


@dataclass(frozen=True)
class Plan:
    """One training.

    With ``iterations`` the schedule counts iterations and a run is reproducible from its seed;
    with ``minutes`` the schedule follows the clock, so that it ends on time on a busy machine.

    Attributes
    ----------
    data
        Folder of sharp frames; None for simulated scenes.
    start_from
        Weights file with its card, checkpoint, or folder with one: fine-tuning.
    first_batch
        Number of the first batch. The frames set aside hang on the seed, so a training that goes on from
        weights keeps it, and sees other crops only where its batches are counted on from theirs.
    workers
        Processes that make the pairs; 0 makes them between the steps, None chooses by device.
    stop_after_minutes
        Save and stop after so long, unfinished: for machines that are lent in slices.
    patience
        Stop when so many validations in a row were no better than the best; None never does.
        Given, the best averaged weights are kept rather than the last.
    """

    data: Path | None
    out: Path
    spec: networks.NetworkSpec
    recipe: Recipe
    single_scale: bool = False
    minutes: float | None = None
    iterations: int | None = None
    seed: int = 0
    start_from: Path | None = None
    first_batch: int = 0
    device: str = "auto"
    threads: int | None = None
    validation_fraction: float = 0.15
    workers: int | None = None
    stop_after_minutes: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        """Raises ``crop_not_divisible``, a `SettingsError`, where the network cannot halve its crops."""
        multiple = self.spec.unshuffle if self.single_scale else self.spec.multiple
        crop_px = self.recipe.crop_px
        if crop_px % multiple:
            raise SettingsError(
                "crop_not_divisible",
                f"Crops of {crop_px} px do not divide into this network's scales: it needs multiples of "
                f"{multiple} px.",
                remedy=f"Give --crop {math.ceil(crop_px / multiple) * multiple}.",
            )

    @property
    def needed_px(self) -> int:
        """Side of the smallest frame that can be learned from: the crop and what blurs into it."""
        return self.recipe.crop_px + 2 * margin_px(self.recipe)

    @property
    def planned_s(self) -> float:
        """Planned length by the clock, in seconds; infinite where iterations are counted."""
        return math.inf if self.iterations else 60 * (self.minutes or DEFAULT_MINUTES)

    def fraction_done(self, iteration: int, elapsed_s: float) -> float:
        """From 0 to 1 (a little more where the last step took long)."""
        return iteration / self.iterations if self.iterations else elapsed_s / self.planned_s


def spec_of(network: str, recipe: Recipe) -> networks.NetworkSpec:
    """The architecture of a name: as published with the published recipe, else residual and joint."""
    return networks.PUBLISHED if recipe.name == PUBLISHED.name and network != "light" else NETWORKS[network]


def network_of(spec: Mapping[str, Any]) -> str:
    """The name of an architecture; ``light`` for any other member of the family."""
    known = {**NETWORKS, "mrn (published)": networks.PUBLISHED}
    return next((name.split()[0] for name, s in known.items() if s.as_dict() == dict(spec)), "light")


def recipe_of(network: str, name: str) -> Recipe:
    """A recipe by name; the large networks have their own crops and rate under the name ``ours``."""
    return RECIPES["mrn"] if name == "ours" and network != "light" else RECIPES[name]


def adapted(
    recipe: Recipe,
    batch_size: int | None,
    learning_rate: float | None,
    radius_px: float | None,
    crop_px: int | None = None,
) -> Recipe:
    """A recipe with another batch, rate or crop, or one known radius (the non-blind setting)."""
    if batch_size:
        recipe = replace(recipe, batch=batch_size)
    if learning_rate:
        recipe = replace(recipe, learning_rate=learning_rate)
    if crop_px:
        recipe = replace(recipe, crop_px=crop_px)
    if radius_px is not None:
        recipe = replace(recipe, radius_px=(radius_px, radius_px), sharp_share=0.0, varying_share=0.0)
    return recipe


def check_same(header: Mapping[str, Any], plan: Plan, frames: Mapping[str, Any], path: Path) -> list[str]:
    """Whether a checkpoint is one of this plan; gives what differs and may.

    Parameters
    ----------
    header
        Of the checkpoint.
    frames
        ``train`` and ``validation``: a hash of each frame by its name, as they are now.

    Raises
    ------
    SemdaemonError
        ``another_network``, ``another_recipe``, ``another_seed`` or ``another_split``.
    """
    if header["spec"] != plan.spec.as_dict() or header.get("single_scale", False) != plan.single_scale:
        raise _another("network", path, f"a training of another network ({header['spec']})")
    now = plan.recipe.as_dict()
    changed = [
        f"{key} was {_plain(was)}, is {_plain(now[key])}"
        for key, was in header["recipe"].items()
        if key in now and _plain(was) != _plain(now[key])
    ]
    if changed:
        raise _another("recipe", path, f"a training by another recipe ({'; '.join(changed)})")
    if header["seed"] != plan.seed:
        raise _another("seed", path, f"a training with seed {header['seed']}, not {plan.seed}")
    if header.get("first_batch", 0) != plan.first_batch:
        raise _another(
            "seed", path, f"a training from batch {header.get('first_batch', 0)} on, not {plan.first_batch}"
        )
    return [*_changed_frames(header.get("frames", {}), frames, path), *_changed_length(header, plan)]


def _changed_frames(
    before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]], path: Path
) -> list[str]:
    if not before:  # written before frames were recorded
        return []
    crossed = sorted(
        set(before["train"]) & set(now["validation"]) | set(before["validation"]) & set(now["train"])
    )
    if crossed:
        raise _another(
            "split",
            path,
            "a training on other frames; these would cross between training and validation: "
            + ", ".join(crossed[:8]),
        )
    old, new = ({**part["train"], **part["validation"]} for part in (before, now))
    kinds = {
        "new": sorted(set(new) - set(old)),
        "gone": sorted(set(old) - set(new)),
        "changed": sorted(name for name in set(old) & set(new) if old[name] != new[name]),
    }
    said = "; ".join(f"{kind}: {', '.join(names[:8])}" for kind, names in kinds.items() if names)
    return [f"The frames are not those that this training began with ({said})."] if said else []


def _changed_length(header: Mapping[str, Any], plan: Plan) -> list[str]:
    before = header.get("length")
    if not before or before == length_of(plan):
        return []
    return [
        f"Planned for {before} before, now for {length_of(plan)}: the learning rate follows the new plan."
    ]


def length_of(plan: Plan) -> str:
    """The planned length in words."""
    return f"{plan.iterations} iterations" if plan.iterations else f"{plan.planned_s / 60:g} minutes"


def _another(what: str, path: Path, held: str) -> SemdaemonError:
    return SemdaemonError(
        f"another_{what}",
        f"{path} holds {held}.",
        remedy="Give the same options as before, or another --out; with --from its weights start a new one.",
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
