"""The figures that weights are judged by, with what was asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from semdaemon.training.evaluation import conditions
from semdaemon.training.evaluation.counted import Counted, above_noise, worse_than_input
from semdaemon.training.evaluation.halves import HALVES
from semdaemon.training.evaluation.measuring import INPUT, NETWORK
from semdaemon.training.evaluation.results import Results
from semdaemon.training.evaluation.unseen import PAIRS
from semdaemon.training.intervals import Interval

_LEAST_MARGIN_DB = {"mrn": (1.3, 1.0)}
_LIGHT_MARGIN_DB = (0.8, 0.5)
_LOW_DOSE = 50.0
MOST_LOSS_DB = 0.3


@dataclass(frozen=True)
class Headline:
    """One figure.

    Attributes
    ----------
    group, name
        What it is about, and which one of them.
    found
        Its mean over frames with the interval over specimens; a count has an interval of no width.
    wanted
        Bound that was asked for; ``at_least`` says from which side.
    unit
        ``dB``, ``SSIM``, ``frames`` for a count; empty for a ratio.
    counted
        The frames that a count counts.
    """

    group: str
    name: str
    found: Interval
    wanted: float
    at_least: bool
    unit: str
    counted: tuple[Counted, ...] = ()

    @property
    def met(self) -> bool:
        return self.found.mean >= self.wanted if self.at_least else self.found.mean <= self.wanted

    def as_facts(self) -> dict[str, Any]:
        """For the card and JSON."""
        digits = 3 if self.unit == "dB" else 4
        frames = {"frames": [one.as_facts() for one in self.counted]} if self.unit == "frames" else {}
        return {
            "group": self.group,
            "name": self.name,
            "mean": round(self.found.mean, digits),
            "interval": self.found.rounded(digits),
            "wanted": self.wanted,
            "at_least": self.at_least,
            "unit": self.unit,
            "met": self.met,
            **frames,
        }


def headlines(results: Results, network: str) -> list[Headline]:
    """All figures that the results allow, in the order in which they are told.

    Parameters
    ----------
    network
        The card's word for its architecture: more is asked of ``mrn``.
    """
    return [
        *_margins(results, network),
        *_similarities(results),
        *_in_focus(results),
        *_losses(results),
        *_halves(results),
    ]


OVER_CLASSICAL = "gain over the best classical method (told probe and truth)"
SSIM_OVER_CLASSICAL = "SSIM over the best classical method"
IN_FOCUS = "frames in focus"
UNSEEN = "loss under a generator that training never used"
HALF = "half sharp, half blurred: error in the sharp half over the noise"


def _margins(results: Results, network: str) -> list[Headline]:
    low, high = _LEAST_MARGIN_DB.get(network, _LIGHT_MARGIN_DB)
    return [
        Headline(
            OVER_CLASSICAL,
            condition.name,
            results.interval(results.margin(condition.name)),
            low if condition.electrons_per_px <= _LOW_DOSE else high,
            True,
            "dB",
        )
        for condition in conditions.HEADLINE
        if results.has(condition.name)
    ]


def _similarities(results: Results) -> list[Headline]:
    return [
        Headline(
            SSIM_OVER_CLASSICAL,
            condition.name,
            results.interval(results.margin(condition.name, "ssim")),
            0.0,
            True,
            "SSIM",
        )
        for condition in conditions.HEADLINE
        if results.has(condition.name)
    ]


def _in_focus(results: Results) -> list[Headline]:
    found = []
    for condition in conditions.IN_FOCUS:
        name, dose = condition.name, f"{condition.electrons_per_px:g} e/px"
        if not results.has(name):
            continue
        denoiser = results.values(name, NETWORK) - results.values(name, "oracle denoiser")
        found += [
            _count(IN_FOCUS, f"worse than their input, {dose}", worse_than_input(results, name)),
            Headline(
                IN_FOCUS,
                f"over the oracle denoiser, {dose}",
                results.interval(denoiser),
                -MOST_LOSS_DB,
                True,
                "dB",
            ),
            _count(
                IN_FOCUS, f"worse than their input by SSIM, {dose}", worse_than_input(results, name, "ssim")
            ),
        ]
    return found


def _losses(results: Results) -> list[Headline]:
    found = []
    for own, unseen in PAIRS:
        if not (results.has(own.name) and results.has(unseen.name)):
            continue
        place = f"R {own.radius_px:g}, {own.electrons_per_px:g} e/px"
        plain = results.values(own.name, NETWORK) - results.values(unseen.name, NETWORK)
        margin = results.margin(own.name) - results.margin(unseen.name)
        for how, values in (("PSNR", plain), ("margin over the best classical method", margin)):
            found.append(
                Headline(UNSEEN, f"{how}, {place}", results.interval(values), MOST_LOSS_DB, False, "dB")
            )
    return found


def _halves(results: Results) -> list[Headline]:
    found = []
    for condition in HALVES:
        if not results.has(condition.name):
            continue
        ratio = results.values(condition.name, NETWORK, "in_focus_rms") / np.maximum(
            results.values(condition.name, INPUT, "in_focus_rms"), 1e-6
        )
        dose = f"{condition.electrons_per_px:g} e/px"
        found.append(Headline(HALF, f"mean ratio, {dose}", results.interval(ratio), 1.0, False, ""))
        found.append(_count(HALF, f"above the noise, {dose}", above_noise(results, ratio)))
    return found


def _count(group: str, name: str, counted: tuple[Counted, ...]) -> Headline:
    number = float(len(counted))
    return Headline(group, name, Interval(number, number, number), 0.0, False, "frames", counted)
