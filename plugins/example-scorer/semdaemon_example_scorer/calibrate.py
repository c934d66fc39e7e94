"""Fit the line on one's own sharp frames: ``python -m semdaemon_example_scorer.calibrate FOLDER``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from semdaemon.training.degrade import blur, equivalent_sigma_px, expose, probe_kernel
from semdaemon.training.frames import random_square
from semdaemon.training.reading import load_corpus
from semdaemon_example_scorer import VARIABLE, Line, raw_blur_px

IN_FOCUS_PX = 0.6
RADII_PX = (0.0, 2.0, 3.0, 5.0, 8.0, 13.0)
DOSES = (20.0, 200.0)
TILE_PX = 128


def fit_line(folder: Path, *, tiles: int = 40, seed: int = 0) -> Line:
    """Blur and expose random tiles of the frames by known amounts, and fit the line to them."""
    rng = np.random.default_rng(seed)
    frames = load_corpus(folder, validation_fraction=0).train
    raw, true = [], []
    for _ in range(tiles):
        scene = random_square(frames[rng.integers(len(frames))].pixels, rng, 2 * TILE_PX)
        for radius_px in RADII_PX:
            blurred = random_square(blur(scene, probe_kernel(radius_px)), rng, TILE_PX)
            raw.append(raw_blur_px(expose(blurred, float(rng.choice(DOSES)), rng)))
            true.append(equivalent_sigma_px(radius_px, IN_FOCUS_PX))
    known = np.isfinite(raw)
    x, y = np.log(np.array(raw)[known]), np.log(np.array(true)[known])
    slope, intercept = np.polyfit(x, y, 1)
    return Line(float(intercept), float(slope), float(np.std(y - intercept - slope * x)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="frames of one kind of sample, in focus")
    line = fit_line(parser.parse_args().folder)
    sys.stdout.write(f"{VARIABLE}={line.intercept:.3f},{line.slope:.3f},{line.sd:.3f}\n")


if __name__ == "__main__":
    main()
