"""Which engine and which weights a worker runs: the plug point ``semdaemon.engines``."""

from __future__ import annotations

from typing import Any, cast

from semdaemon.plugs import load_plug
from semdaemon.refocus.engine import Engine, TorchEngine, choose_device
from semdaemon.refocus.weights import WeightsCard, resolve

ENGINE_GROUP = "semdaemon.engines"


def make_engine(refocus: dict[str, Any], worker: dict[str, Any]) -> tuple[Engine, WeightsCard]:
    """Engine and weights from the settings sections ``refocus`` and ``worker``.

    Raises
    ------
    SemdaemonError
        ``unknown_plug`` or ``plug_broken``.
    WeightsError, WorkerError
        What loading the weights and choosing the device may raise.
    """
    device = choose_device(worker["device"])
    card = resolve(refocus["weights"], device)
    name = refocus.get("engine", "torch")
    options = {"tile_px": worker["tile_px"], "threads": worker["threads"]}
    if name == "torch":
        return TorchEngine(card, device, **options), card
    plug = load_plug(ENGINE_GROUP, name, "refocus.engine", built_in=("torch",))
    return cast(Engine, plug(card, device, **options)), card
