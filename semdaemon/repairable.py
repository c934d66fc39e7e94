"""Up to which blur a repair is worth trying: the setting ``auto`` resolved by the card of the weights."""

from __future__ import annotations

from semdaemon.errors import WeightsError
from semdaemon.refocus.weights import load_card, resolve
from semdaemon.settings import Settings


def with_repair_limit(settings: Settings) -> Settings:
    """The settings with ``focus.beyond_repair_sigma_px`` as a number where the weights' card tells it.

    It stays ``auto`` where the card does not (a lab's own weights, not measured) or cannot be read: scoring
    needs no weights, and who refocuses is told by the worker.
    """
    if settings.focus.beyond_repair_sigma_px != "auto":
        return settings
    named = settings.refocus.weights
    try:
        reach_px = (resolve(named) if named == "auto" else load_card(named)).repairs_up_to_px
    except WeightsError:
        return settings
    if reach_px <= settings.focus.sharp_sigma_px:
        return settings
    focus = settings.focus.model_copy(update={"beyond_repair_sigma_px": reach_px})
    return settings.model_copy(update={"focus": focus})
