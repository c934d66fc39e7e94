"""Verdicts on real frames of specimens that nothing was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semdaemon.focus import BLURRED, SHARP, UNDECIDED, FocusMap, focus_map, load_scorer
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus
from semdaemon.training.degrade import blur, expose, probe_kernel, quantise
from semdaemon.training.frames import SOFT_CUTOFF
from semdaemon.training.reading import load_frames

RADIUS_PX = 5.0
ELECTRONS_PER_PX = 50.0


def half_blurred(path: Path, rng: np.random.Generator) -> Frame:
    """Left half as it is, right half blurred, exposed and rounded to 8 bits."""
    with Image.open(path) as picture:
        scene = np.asarray(picture.convert("L"), np.float32) / 255
    split = scene.shape[1] // 2
    scene[:, split:] = blur(scene, probe_kernel(RADIUS_PX))[:, split:]
    pixels = np.uint8(quantise(expose(scene, ELECTRONS_PER_PX, rng), 8) * 255)
    return Frame("0" * 16, "test", path.as_uri(), pixels, "0" * 64, Area.whole(pixels.shape))


def verdicts_inside(focus: FocusMap, split: int) -> tuple[list[int], list[int]]:
    """Verdicts of the tiles that lie wholly in the sharp and in the blurred half."""
    sharp, blurred = [], []
    for row in range(focus.rows):
        for col in range(focus.cols):
            cell = focus.cell(row, col)
            if cell.right <= split - RADIUS_PX:
                sharp.append(int(focus.verdict[row, col]))
            elif cell.left >= split + RADIUS_PX:
                blurred.append(int(focus.verdict[row, col]))
    return sharp, blurred


@pytest.mark.timeout(300)
def test_half_blurred_frames_get_the_right_verdict_in_each_half(sem_data: Path) -> None:
    settings, rng = Focus(), np.random.default_rng(0)
    scorer = load_scorer("sigma", settings)
    sharp: list[int] = []
    blurred: list[int] = []
    for path in sorted((sem_data / "heldout").glob("*.png")):
        frame = half_blurred(path, rng)
        left, right = verdicts_inside(focus_map(frame, settings, scorer), frame.shape[1] // 2)
        sharp += left
        blurred += right
    right_count = sharp.count(SHARP) + blurred.count(BLURRED)
    undecided = sharp.count(UNDECIDED) + blurred.count(UNDECIDED)
    tiles = len(sharp) + len(blurred)
    assert tiles > 400
    assert right_count / (tiles - undecided) >= 0.90
    assert undecided / tiles <= 0.35


@pytest.mark.timeout(300)
def test_neighbours_across_a_step_cause_hardly_any_wrong_verdict(sem_data: Path) -> None:
    rng, scorer = np.random.default_rng(1), load_scorer("sigma", Focus())
    wrong, undecided, tiles = {True: 0, False: 0}, {True: 0, False: 0}, 0
    sharp = [f.name for f in load_frames(sem_data / "heldout", bin_soft=False) if f.cutoff >= SOFT_CUTOFF]
    for name in sharp:
        frame = half_blurred(sem_data / "heldout" / name, rng)
        for context in wrong:
            focus = focus_map(frame, Focus(context=context), scorer)
            left, right = verdicts_inside(focus, frame.shape[1] // 2)
            wrong[context] += left.count(BLURRED) + right.count(SHARP)
            undecided[context] += (left + right).count(UNDECIDED)
        tiles += len(left + right)
    assert tiles > 600
    assert wrong[True] <= wrong[False] + 0.005 * tiles
    assert undecided[True] <= 1.1 * undecided[False]
