"""The generator that training never used: wave optics and a physical detector."""

from __future__ import annotations

import numpy as np
import pytest

from semdaemon.training import degrade
from semdaemon.training.evaluation import optics
from semdaemon.training.evaluation.detector import Detector, drawn_detector
from semdaemon.training.evaluation.optics import Probe
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.evaluation.unseen import PAIRS, Matched, Unseen


def sharp_probe(**aberrations: float) -> Probe:
    given = {
        "cutoff": 1.0,
        "defocus": 0.0,
        "spherical": 0.0,
        "astigmatism": 0.0,
        "azimuth_rad": 0.0,
        "energy_spread": 0.0,
        "source_px": 0.1,
    }
    return Probe(**(given | aberrations))


def spread_px(kernel: np.ndarray, axis: int) -> float:
    """Standard deviation of the part of a probe that holds nine tenths of it."""
    line = kernel.sum(axis=axis)
    place = np.arange(line.size) - line.size // 2
    near = np.abs(place) <= 8
    return float(np.sqrt((line[near] * place[near] ** 2).sum() / line[near].sum()))


def test_far_out_of_focus_the_probe_is_the_disc_of_geometrical_optics() -> None:
    """Radius 2 W20 / cutoff: the slope of the phase at the pupil's edge."""
    kernel = sharp_probe(defocus=4.0, cutoff=1.3, energy_spread=0.2).kernel()
    assert optics.equivalent_radius_px(kernel) == pytest.approx(2 * 4.0 / 1.3, rel=0.06)


def test_in_focus_it_is_finer_than_a_pixel() -> None:
    assert sharp_probe().kernel().max() > 0.5


def test_astigmatism_draws_the_probe_out_along_its_azimuth() -> None:
    round_probe = sharp_probe(defocus=2.0).kernel()
    drawn = sharp_probe(defocus=2.0, astigmatism=0.6).kernel()
    assert spread_px(round_probe, 0) == pytest.approx(spread_px(round_probe, 1), rel=0.02)
    assert spread_px(drawn, 0) > 1.3 * spread_px(drawn, 1)


def test_with_spherical_aberration_the_sign_of_the_defocus_shows() -> None:
    over, under = (sharp_probe(defocus=side * 2.0, spherical=0.5).kernel() for side in (1, -1))
    assert np.abs(over - under).max() > 0.1 * over.max()


@pytest.mark.parametrize("radius_px", [2.0, 6.0])
def test_a_drawn_probe_has_the_equivalent_radius_that_was_asked_for(radius_px: float) -> None:
    kernel = optics.drawn_probe(radius_px, np.random.default_rng(5)).kernel()
    assert kernel.sum() == pytest.approx(1, rel=1e-5)
    assert optics.equivalent_radius_px(kernel) == pytest.approx(radius_px, rel=0.02)
    assert optics.equivalent_radius_px(optics.matched_kernel(radius_px)) == pytest.approx(radius_px, rel=0.02)


def test_the_equivalent_radius_of_an_even_disc_is_its_own() -> None:
    assert optics.equivalent_radius_px(degrade.disc_kernel(6)) == pytest.approx(6, rel=0.02)


def test_secondaries_make_counts_over_dispersed_as_the_law_says() -> None:
    detector = Detector(
        yield_at_white=2.0, pulse_spread=0.0, flicker=0.0, time_constant_px=0.0, line_jitter_px=0.0, bits=16
    )
    flat = np.full((300, 300), 0.25, np.float32)
    seen = detector.records(flat, 40.0, np.zeros(300), np.random.default_rng(0))
    assert seen.mean() == pytest.approx(0.25, rel=0.01)
    # Neyman type A: variance of the count is mean * (1 + yield here), the count's mean 40 * 2 * 0.25
    assert seen.var() == pytest.approx(20 * (1 + 0.5) / (40 * 2) ** 2, rel=0.03)


def test_a_slow_detector_smears_along_the_line_only_and_delays_nothing() -> None:
    detector = Detector(
        yield_at_white=2.0, pulse_spread=0.5, flicker=0.0, time_constant_px=0.5, line_jitter_px=0.0, bits=16
    )
    spot = np.zeros((33, 65), np.float32)
    spot[16] = np.exp(-((np.arange(65) - 32) ** 2) / 8)
    seen = detector.expected(spot, np.zeros(33))
    assert np.abs(seen[[15, 17]]).max() < 1e-6
    place = np.arange(65) - 32
    total = seen[16].sum()
    assert (seen[16] * place).sum() / total == pytest.approx(0, abs=0.01)
    # a pole adds the square of its time constant to the variance
    assert (seen[16] * place**2).sum() / total == pytest.approx(2**2 + 0.5**2, rel=0.02)


def test_flicker_makes_bands_along_the_lines() -> None:
    detector = Detector(
        yield_at_white=4.0, pulse_spread=0.0, flicker=0.05, time_constant_px=0.0, line_jitter_px=0.0, bits=16
    )
    noise = detector.records(
        np.full((128, 128), 0.5, np.float32), 1e5, np.zeros(128), np.random.default_rng(1)
    )
    assert noise.mean(axis=1).std() > 3 * noise.mean(axis=0).std()


@pytest.mark.parametrize("pair", PAIRS[:2], ids=lambda pair: pair[0].name)
def test_both_of_a_pair_have_the_same_truth_and_the_same_noise(pair: tuple[Matched, Unseen]) -> None:
    rng = np.random.default_rng(2)
    field = degrade.blur(rng.random((192, 192), dtype=np.float32), degrade.gaussian_kernel(3))
    scene = Scene("blobs", np.asarray(np.where(field > 0.5, 0.7, 0.3), np.float32))
    own, unseen = pair
    a, b = (c.degrade(scene, crop_px=128, seed=4) for c in (own, unseen))
    np.testing.assert_array_equal(a.sharp, b.sharp)
    _, variance = unseen.draw(scene, crop_px=128, seed=4)
    blurred = degrade.blur(a.sharp, a.kernel)[20:-20, 20:-20]
    assert np.mean((a.seen[20:-20, 20:-20] - blurred) ** 2) == pytest.approx(variance, rel=0.05)
    assert drawn_detector(np.random.default_rng(0)) != drawn_detector(np.random.default_rng(1))
