"""A user's acquisition script: real MMCore, DemoCamera, NDTiff on disk, with and without the hook.

Runs in a process of its own, for pycromanager's threads never end by themselves where something goes wrong.
Reads one JSON object a line from standard input, the arguments of `acquire`, and prints what happened
as one JSON object a line; ``{"saved": n}`` after each image.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from itertools import pairwise
from typing import Any

INTERVAL_S = 0.03


def say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def acquire(directory: str, name: str, endpoint: str | None, frames: int) -> dict[str, Any]:
    from pycromanager import Acquisition, multi_d_acquisition_events
    from semdaemon_hook import Advice, Refocus

    refocus = Refocus(endpoint) if endpoint else None
    # Nobody publishes there: a receiver that finds nothing, or the wrong thing, must not be felt either.
    advice = Advice(refocus, endpoint) if refocus is not None and endpoint else None
    hooks = {} if advice is None else {"pre_hardware_hook_fn": advice.pre_hardware_hook_fn}
    saved = 0

    def image_saved(axes: dict[str, Any], dataset: Any) -> None:
        nonlocal saved
        saved += 1
        if refocus is not None:
            refocus.image_saved_fn(axes, dataset)
        say(saved=saved)

    with Acquisition(directory=directory, name=name, image_saved_fn=image_saved, **hooks) as acquisition:
        acquisition.acquire(multi_d_acquisition_events(num_time_points=frames, time_interval_s=INTERVAL_S))
    dataset = acquisition.get_dataset()
    times = [float(dataset.read_metadata(time=number)["ElapsedTime-ms"]) for number in range(frames)]
    on_disk = sum(dataset.read_image(time=number).shape == (512, 512) for number in range(frames))
    if refocus is not None and advice is not None:
        advice.close()
        refocus.close(2.0)
    return {
        "ended": True,
        "on_disk": on_disk,
        "interval_ms": statistics.median(after - before for before, after in pairwise(times)),
        "advice_failed": None if advice is None else advice.counts.failed,
        "counts": None if refocus is None else {
            key: getattr(refocus.counts, key) for key in ("sent", "dropped", "refused", "failed")
        },
    }  # fmt: skip


def main() -> None:
    import mm_test_adapters
    from pycromanager import Core, start_headless

    adapters = mm_test_adapters.device_adapter_path()
    start_headless(adapters, f"{adapters}/MMConfig_demo.cfg", python_backend=True, buffer_size_mb=64)
    core = Core()
    core.set_property("Camera", "PixelType", "16bit")
    core.set_exposure(5)
    say(ready=True)
    for line in sys.stdin:
        say(**acquire(**json.loads(line)))


if __name__ == "__main__":
    try:
        main()
    finally:
        sys.stdout.flush()
        os._exit(0)
