"""A long run whose sample drifts out of focus, kept in focus by what semdaemon advises.

Micro-Manager's demo camera shows beads that blur with the distance of its Z stage from 0; here the sample
drifts, and neither the stage nor its metadata know of it.

    semdaemon run -c closed_loop.toml
    python closed_loop.py FOLDER

The daemon publishes advice and moves nothing. What moves the focus is the hook below, within its limits.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys

import mm_test_adapters
import numpy as np
from pycromanager import Acquisition, Core, start_headless
from semdaemon_hook import Advice, Refocus

SERIES_UM = [-8.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0]
"""First a series through focus, from which the daemon learns how fast this sample blurs."""


def beads() -> Core:
    """The demo camera in the mode whose picture depends on the stage."""
    adapters = str(mm_test_adapters.device_adapter_path())
    start_headless(adapters, f"{adapters}/MMConfig_demo.cfg", python_backend=True, buffer_size_mb=64)
    core = Core()
    settings = {"Mode": "Fluorescent Beads", "PixelType": "16bit", "BeadDensity": 500, "BeadSize": 3,
                "BeadBrightness": 8, "BeadBlurRate": 1.0}  # fmt: skip
    for name, value in settings.items():
        core.set_property("Camera", name, value)
    return core


def detected(image, metadata):
    """The demo camera knows no noise; a detector does (counts and a background, Poisson's)."""
    return np.random.default_rng().poisson(0.25 * image + 20).astype(np.uint16), metadata


def main(options: argparse.Namespace) -> None:
    core, chance = beads(), random.Random(options.seed)
    refocus = Refocus(options.push)
    advice = Advice(refocus, options.advice, limit_um=6.0, total_um=100.0, explore=True)
    rate_um, drift_um = chance.choice((-1, 1)) * chance.uniform(0.15, 0.3), 0.0

    def correct(event):  # before the stage moves; the series is to be taken as it was planned
        if options.correct and "time" in event["axes"]:
            event["z"] = advice.correct(event["z"])
        return event

    def drift(event):  # after it moved: the sample is elsewhere, and the stage does not know
        nonlocal drift_um
        drift_um += rate_um + chance.gauss(0, 0.03) if "time" in event["axes"] else 0.0
        core.set_position(event["z"] + drift_um)
        return event

    series = [{"axes": {"z": i}, "z": z} for i, z in enumerate(SERIES_UM)]
    frames = [{"axes": {"time": i}, "z": 0.0} for i in range(options.frames)]
    for i, event in enumerate(series + frames):
        event["min_start_time"] = i * options.interval_s
    with Acquisition(
        options.folder,
        "run",
        pre_hardware_hook_fn=correct,
        post_hardware_hook_fn=drift,
        image_process_fn=detected,
        image_saved_fn=refocus.image_saved_fn,
    ) as acquisition:
        acquisition.acquire(series + frames)
    print(json.dumps({"defocus_um": core.get_position(), "drift_um": drift_um, "offset_um": advice.offset_um,
                      "advice": vars(advice.counts), "sent": refocus.counts.sent}))  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="where the images are saved")
    parser.add_argument("--push", default="tcp://127.0.0.1:5572", help="the daemon's pushed.endpoint")
    parser.add_argument("--advice", default="tcp://127.0.0.1:5570", help="the daemon's publish.endpoint")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--interval-s", type=float, default=0.25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-correction", dest="correct", action="store_false")
    main(parser.parse_args())
    sys.stdout.flush()
    os._exit(0)  # MMCore's threads may outlive the script
