"""Which engine and which weights a worker runs: the plug point ``semdaemon.engines``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, cast

from semdaemon.errors import SettingsError
from semdaemon.refocus.engine import Engine, TorchEngine, choose_device
from semdaemon.refocus.weights import WeightsCard, resolve

ENGINE_GROUP = "semdaemon.engines"


def make_engine(refocus: dict[str, Any], worker: dict[str, Any]) -> tuple[Engine, WeightsCard]:
    """Engine and weights from the settings sections ``refocus`` and ``worker``.

    Raises
    ------
    SettingsError
        ``unknown_engine``.
    WeightsError, WorkerError
        What loading the weights and choosing the device may raise.
    """
    device = choose_device(worker["device"])
    card = resolve(refocus["weights"], device)
    name = refocus.get("engine", "torch")
    options = {"tile_px": worker["tile_px"], "threads": worker["threads"]}
    if name == "torch":
        return TorchEngine(card, device, **options), card
    found = {point.name: point for point in entry_points(group=ENGINE_GROUP)}
    if name not in found:
        raise SettingsError(
            "unknown_engine",
            f"refocus.engine is {name!r}; installed here: {', '.join(sorted({'torch', *found}))}.",
            remedy="Choose one of these, or install the distribution that provides it beside semdaemon.",
        )
    return cast(Engine, found[name].load()(card, device, **options)), card
