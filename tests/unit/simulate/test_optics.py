"""Defocus follows from heights, and noise from the dose."""

from __future__ import annotations

import math

import numpy as np
import pytest

from semdaemon.simulate import Defocus, Probe, detect, half_blurred, scene, through_probe

SHAPE = (64, 96)


def test_the_disc_is_defocus_times_aperture_over_pixel_size() -> None:
    radius = Defocus(level_m=-20e-6).radius_map_px(SHAPE, pixel_size_m=20e-9, aperture_rad=5e-3)
    assert radius.dtype == np.float32
    assert radius == pytest.approx(np.full(SHAPE, 5.0))


def test_a_step_blurs_one_side_only() -> None:
    radius = Defocus(step_m=8e-6, step_at=0.5).radius_map_px(SHAPE, 20e-9, 5e-3)
    assert (radius[:, :47] == 0).all()
    assert radius[:, 49:] == pytest.approx(2.0)


def test_a_rise_starts_where_it_says_and_ends_at_the_far_side() -> None:
    rise = Defocus(rise_m=12e-6, rise_from=0.25, direction_rad=math.pi / 2)
    radius = rise.radius_map_px(SHAPE, 20e-9, 5e-3)
    assert radius[:15].max() == pytest.approx(0.0, abs=1e-5)
    assert radius[-1] == pytest.approx(3.0, abs=1e-4)
    assert (np.diff(radius[:, 0]) >= -1e-6).all()


def test_the_probe_leaves_the_focused_side_of_a_step_alone() -> None:
    image = scene("pores", (128, 128), seed=1)
    radius = Defocus(step_m=20e-6, step_at=0.5).radius_map_px((128, 128), 20e-9, 5e-3)
    seen = through_probe(image, radius, Probe(sigma0_px=0.0))
    assert seen[:, :60] == pytest.approx(image[:, :60], abs=1e-5)
    assert np.abs(seen[:, 68:] - image[:, 68:]).mean() > 0.02


def test_an_astigmatic_probe_blurs_more_along_its_long_axis() -> None:
    point = np.zeros((65, 65), np.float32)
    point[32, 32] = 1
    spot = through_probe(point, np.full((65, 65), 6, np.float32), Probe(ellipticity=2.0, sigma0_px=0.0))
    offsets = np.arange(65) - 32
    across, along = (spot.sum(axis=axis) @ offsets**2 for axis in (1, 0))
    assert along / across == pytest.approx(4.0, rel=0.05)


@pytest.mark.parametrize(("bits", "kind", "top"), [(8, np.uint8, 255), (16, np.uint16, 65535)])
def test_noise_is_poisson_at_the_dose(bits: int, kind: type, top: int) -> None:
    pixels = detect(np.full((300, 300), 0.5, np.float32), 50, np.random.default_rng(1), bits=bits)
    assert pixels.dtype == kind
    unit = pixels / top
    assert unit.mean() == pytest.approx(0.5, abs=0.003)
    assert unit.var() == pytest.approx(0.5 / 50, rel=0.03)


@pytest.mark.parametrize("bits", [8, 16])
def test_half_blurred_is_sharp_left_and_blurred_right(bits: int) -> None:
    image = scene("martensite", (96, 129), seed=4)
    pixels, truth, blurred = half_blurred(image, 5.0, 1e6, np.random.default_rng(0), bits)
    unit = pixels / (2**bits - 1)
    assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert np.array_equal(truth, image)
    assert not blurred[:, :64].any()
    assert blurred[:, 64:].all()
    assert np.abs(unit - truth)[~blurred].mean() < 0.003
    assert np.abs(unit - truth)[blurred].mean() > 0.03
