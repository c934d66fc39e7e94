"""What is trained: the three settings as published, and a ladder from the published recipe to ours.

Each rung of the ladder changes one thing more than the last; crops, batch, learning rate, number of
iterations, seed and frames stay the same throughout, so that a difference is the step's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from semdaemon.refocus import networks
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.training.plan import adapted
from semdaemon.training.recipe import OURS, PUBLISHED, Recipe

LEVELS_PX = (2.0, 4.0, 6.0)
"""Disc radii of the *non-blind* networks, and of every blurred condition."""


@dataclass(frozen=True)
class Scale:
    """How large the networks and their crops are, and for how long each is trained.

    ``points`` is how often each training is measured on the way.
    """

    name: str
    spec: NetworkSpec
    crop_px: int
    batch: int
    learning_rate: float
    iterations: int
    points: int


PUBLISHED_SCALE = Scale("published", networks.PUBLISHED, 256, 5, 5e-5, 50_000, 25)
"""As published; for a GPU."""

REHEARSAL = Scale(
    "rehearsal", NetworkSpec(filters=16, blocks=4, kernel=5, unshuffle=2), 64, 5, 1e-3, 3_000, 10
)
"""The same structure, small enough for all experiments to take an hour of one processor core."""

SCALES = {scale.name: scale for scale in (PUBLISHED_SCALE, REHEARSAL)}


@dataclass(frozen=True)
class Experiment:
    """One training: what it is called, and all that it is made of.

    Attributes
    ----------
    name, title
        Name of its folder; what a reader sees.
    single_scale
        An SRN rather than an MRN.
    seed_step
        Added to the seed of the whole: only a repetition has one.
    """

    name: str
    title: str
    spec: NetworkSpec
    recipe: Recipe
    iterations: int
    points: int
    single_scale: bool = False
    seed_step: int = 0

    @property
    def noisy(self) -> bool:
        """Whether it is trained on noise, and so on frames of a real microscope's kind."""
        return self.recipe.electrons_per_px is not None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """What one rung of the ladder changes in the network's spec and in the recipe."""

    name: str
    title: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


def _as_ours(*names: str) -> dict[str, Any]:
    return {name: getattr(OURS, name) for name in names}


STEPS = (
    Step("residual", "residual output, start near identity", spec={"residual": True}),
    Step("joint", "gradients through the scales", spec={"detach": False}),
    Step(
        "optics",
        "real probes, gain, gamma, flips",
        recipe={
            **_as_ours("radius_px", "sigma0_px", "elliptic_share", "gaussian_share", "contrast_share"),
            "plain_crops": False,
        },
    ),
    Step(
        "noise",
        "dose and detector noise",
        recipe=_as_ours(
            "electrons_per_px", "dose_skew", "noiseless_share", "correlated_share", "amplifier_share"
        ),
    ),
    Step("cutblur", "two-way CutBlur, sharp crops", recipe=_as_ours("cutblur_share", "sharp_share")),
    Step("maps", "smooth blur maps", recipe=_as_ours("varying_share")),
    Step("log-loss", "logarithmic loss", recipe=_as_ours("loss")),
    Step("frequency", "loss in the frequency domain", recipe=_as_ours("frequency_weight")),
    Step("ema", "averaged weights", recipe=_as_ours("ema")),
    Step(
        "schedule",
        "warm-up, cosine, clipped gradients",
        recipe=_as_ours("schedule", "warm_up_iterations", "final_learning_rate", "clip_norm"),
    ),
)

BLIND, DISCRIMINATIVE, REPEATED = "blind", "discriminative", "repeated"


def settings(scale: Scale) -> tuple[Experiment, ...]:
    """The paper's three: an SRN for each known level, an MRN for all, and the MRN with CutBlur."""
    blind, recipe = _blind(scale), _published(scale)
    known = tuple(
        replace(
            blind,
            name=non_blind(radius_px),
            title=f"non-blind, R = {radius_px:g}",
            recipe=adapted(blind.recipe, None, None, radius_px),
            single_scale=True,
        )
        for radius_px in LEVELS_PX
    )
    return (*known, blind, replace(blind, name=DISCRIMINATIVE, title="discriminative", recipe=recipe))


def ladder(scale: Scale) -> tuple[Experiment, ...]:
    """From the published recipe, blind, to ours; the first is the *blind* setting itself."""
    rungs = [_blind(scale)]
    for step in STEPS:
        below = rungs[-1]
        spec, recipe = replace(below.spec, **step.spec), replace(below.recipe, **step.recipe)
        rungs.append(replace(below, name=step.name, title=step.title, spec=spec, recipe=recipe))
    return tuple(rungs)


def everything(scale: Scale) -> tuple[Experiment, ...]:
    """All experiments in the order they are run: settings, ladder, and its last rung from another seed."""
    rungs = ladder(scale)
    again = replace(rungs[-1], name=REPEATED, title="the last row from another seed", seed_step=1)
    return (*settings(scale), *rungs[1:], again)


def label(experiment: Mapping[str, Any]) -> str:
    """How an experiment (as a dict) is called in tables and plots; steps of the ladder begin with a plus."""
    plus = "+ " if experiment["name"] in {step.name for step in STEPS} else ""
    return f"{plus}{experiment['title']}"


def non_blind(radius_px: float) -> str:
    """Name of the experiment whose network knows one level."""
    return f"non-blind-{radius_px:g}"


def _published(scale: Scale) -> Recipe:
    return replace(
        PUBLISHED,
        crop_px=scale.crop_px,
        batch=scale.batch,
        learning_rate=scale.learning_rate,
        final_learning_rate=scale.learning_rate / 10,
    )


def _blind(scale: Scale) -> Experiment:
    recipe = replace(_published(scale), cutblur_share=0.0, published_cutblur=False)
    return Experiment(BLIND, "blind", scale.spec, recipe, scale.iterations, scale.points)
