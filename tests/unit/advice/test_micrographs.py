"""Simulated micrographs through the real estimator tell the aperture, and then the correction."""

from __future__ import annotations

import numpy as np
import pytest

from semdaemon.advice import Follower
from semdaemon.focus import focus_map, load_scorer
from semdaemon.frame import Area, Frame
from semdaemon.settings import Settings
from semdaemon.simulate import KINDS, Probe, detect, scene, through_probe

PIXEL_M, APERTURE_RAD, FOCUS_UM, DOSE = 10e-9, 8e-3, 5001.5, 60.0
SERIES_UM = np.arange(4992.0, 5009.0, 2.0)
OFF_UM = 5007.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_series_of_micrographs_tells_the_aperture_and_then_the_correction(kind: str) -> None:
    settings, follower, rng = Settings(), Follower(), np.random.default_rng(3)
    scorer = load_scorer("sigma", settings.focus)
    sharp = scene(kind, (256, 384), 2, PIXEL_M)
    told = None
    for number, distance_um in enumerate([*SERIES_UM, OFF_UM, OFF_UM]):
        radius_px = abs(distance_um - FOCUS_UM) * 1e-6 * APERTURE_RAD / PIXEL_M
        seen = through_probe(sharp, np.full(sharp.shape, radius_px, np.float32), Probe())
        pixels = detect(seen, DOSE, rng)
        tags = {"EBeam": {"WD": distance_um * 1e-6}}
        frame = Frame("0" * 16, "folder", "file:///data/x.tif", pixels, str(number), Area.whole(pixels.shape),
                      (PIXEL_M, PIXEL_M), vendor="fei", metadata=tags)  # fmt: skip
        focus = focus_map(frame, settings.focus, scorer)
        told = follower.follow(frame, focus, settings, number=number, seen_at=float(number)).advice
    assert told is not None
    assert told.focus.axis == "working_distance"
    correction, steepness = told.focus.correction_um, told.focus.steepness_px_per_um
    assert correction is not None
    assert steepness is not None
    print(f"{kind}: {correction}, {steepness}")  # noqa: T201
    assert correction.mean == pytest.approx(FOCUS_UM - OFF_UM, abs=1.0)
    assert abs(correction.mean - (FOCUS_UM - OFF_UM)) < 2 * correction.sd < 6.0
    true = APERTURE_RAD * 1e-6 / (2 * PIXEL_M)
    assert steepness.mean == pytest.approx(true, rel=0.25)
    assert abs(steepness.mean - true) < 2 * steepness.sd
