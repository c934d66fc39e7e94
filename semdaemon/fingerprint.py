"""What a frame's result follows from, as twelve digits: settings, and the networks that they name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from semdaemon.errors import WeightsError
from semdaemon.focus.sigma import read_card
from semdaemon.refocus.weights import available, load_card
from semdaemon.settings import Settings


@dataclass(frozen=True)
class Networks:
    """The sha256 of what the settings name, by the cards: a file that differs from its card is refused.

    Attributes
    ----------
    weights
        Of the weights; ``auto`` stands for all that are shipped, for the device decides among them.
        Empty where there is no readable card: scoring needs none, and who refocuses is told by the worker.
    scorer
        Of the blur estimator; empty for a classical measure or a plugin.
    """

    weights: tuple[str, ...]
    scorer: str


def networks_of(settings: Settings) -> Networks:
    """As the cards on disk say now."""
    return Networks(_weights(settings.refocus.weights), _scorer(settings.focus.scorer))


def fingerprint_of(settings: Settings, networks: Networks | None = None) -> str:
    """12 hexadecimal digits over the settings that change a frame's result, and over the networks.

    Parameters
    ----------
    networks
        Those that are loaded; by default what is on disk now.
        Weights replaced under the same name or path are other weights.
    """
    found = networks or networks_of(settings)
    relevant = {
        "focus": settings.focus.model_dump(mode="json", exclude={"threads"}),
        "refocus": settings.refocus.model_dump(mode="json"),
        "networks": [*found.weights, found.scorer],
    }
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:12]


def _weights(named: str) -> tuple[str, ...]:
    try:
        return tuple(load_card(name).sha256 for name in (available() if named == "auto" else (named,)))
    except WeightsError:
        return ()


def _scorer(named: str) -> str:
    try:
        return str(read_card()["sha256"]) if named == "sigma" else ""
    except (WeightsError, KeyError):
        return ""  # told by who loads it
