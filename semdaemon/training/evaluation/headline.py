"""The figures that weights are judged by, with what was asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from semdaemon.training.evaluation import conditions
from semdaemon.training.evaluation.halves import HALVES
from semdaemon.training.evaluation.measuring import INPUT, NETWORK
from semdaemon.training.evaluation.results import Results
from semdaemon.training.evaluation.unseen import PAIRS
from semdaemon.training.intervals import Interval, mean_interval

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
        Its mean over frames with the interval; a count has an interval of no width.
    wanted
        Bound that was asked for; ``at_least`` says from which side.
    unit
        ``dB``, ``SSIM``, ``frames`` for a count; empty for a ratio.
    """

    group: str
    name: str
    found: Interval
    wanted: float
    at_least: bool
    unit: str

    @property
    def met(self) -> bool:
        return self.found.mean >= self.wanted if self.at_least else self.found.mean <= self.wanted

    def as_facts(self) -> dict[str, Any]:
        """For the card and JSON."""
        digits = 3 if self.unit == "dB" else 4
        return {
            "group": self.group,
            "name": self.name,
            "mean": round(self.found.mean, digits),
            "interval": self.found.rounded(digits),
            "wanted": self.wanted,
            "at_least": self.at_least,
            "unit": self.unit,
            "met": self.met,
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
            mean_interval(results.margin(condition.name)),
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
            mean_interval(results.margin(condition.name, "ssim")),
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
            _count(IN_FOCUS, f"worse than their input, {dose}", results.gain(name) < 0),
            Headline(
                IN_FOCUS,
                f"over the oracle denoiser, {dose}",
                mean_interval(denoiser),
                -MOST_LOSS_DB,
                True,
                "dB",
            ),
            _count(
                IN_FOCUS, f"worse than their input by SSIM, {dose}", results.gain(name, NETWORK, "ssim") < 0
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
                Headline(UNSEEN, f"{how}, {place}", mean_interval(values), MOST_LOSS_DB, False, "dB")
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
        found.append(Headline(HALF, f"mean ratio, {dose}", mean_interval(ratio), 1.0, False, ""))
        found.append(_count(HALF, f"above the noise, {dose}", ratio > 1))
    return found


def _count(group: str, name: str, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Headline:
    number = float(np.count_nonzero(which))
    return Headline(group, name, Interval(number, number, number), 0.0, False, "frames")
