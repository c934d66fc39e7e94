"""The plane of focus: from blur that is known, and from frames that are scored."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from semdaemon.focus import focus_map, load_scorer
from semdaemon.focus.picture import overlay, preview
from semdaemon.focus.plane import Plane, fit_plane
from semdaemon.focus.sentences import sentences
from semdaemon.focus.survey import NOTHING
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus
from semdaemon.simulate.optics import Defocus, Probe, detect, through_probe
from semdaemon.simulate.scenes import scene

X, Y = (grid.ravel() for grid in np.meshgrid(np.arange(-704, 705, 128.0), np.arange(-448, 449, 128.0)))


def told(
    tilt_px: float,
    angle_deg: float,
    centre_px: float,
    *,
    curvature_px: float = 0.0,
    noise: float = 0.12,
    seed: int = 0,
) -> Plane:
    """The plane from 96 tiles whose blur scatters by ``noise``, with one in ten far off."""
    rng = np.random.default_rng(seed)
    along = X * math.cos(math.radians(angle_deg)) + Y * math.sin(math.radians(angle_deg))
    defocus = centre_px + tilt_px * along / 1000 + curvature_px * (X**2 + Y**2) / 1e6
    sigma = np.hypot(0.7, defocus) * np.exp(noise * rng.standard_normal(X.size))
    sigma[rng.random(X.size) < 0.1] = 8.0
    found = fit_plane(X, Y, sigma.astype(np.float32), np.full(X.size, max(noise, 0.02), np.float32))
    assert found is not None
    return found


@pytest.mark.parametrize("centre_px", [3.5, 0.5, 0.0], ids=["one-sided", "line off centre", "V-shaped"])
@pytest.mark.parametrize("angle_deg", [0, 70, 160, 250])
def test_tilt_and_direction_are_found_among_outliers(centre_px: float, angle_deg: float) -> None:
    plane = told(4.0, angle_deg, centre_px)
    assert plane.tilted
    assert plane.tilt_px == pytest.approx(4.0, rel=0.1)
    turn = (plane.direction_deg - angle_deg + 180) % 360 - 180
    assert min(abs(turn), 180 - abs(turn) if centre_px == 0 else 180) < 4
    assert abs(plane.centre_px) == pytest.approx(centre_px, abs=0.35)


def test_stated_deviation_covers_the_error() -> None:
    planes = [told(3.0, 11 * seed, 2.0, seed=seed) for seed in range(40)]
    scores = [(plane.tilt_px - 3.0) / plane.tilt_sd_px for plane in planes]
    assert np.mean(np.abs(scores) < 1.645) >= 0.85


def test_level_frames_are_not_called_tilted() -> None:
    planes = [told(0.0, 0, centre, seed=seed) for seed in range(25) for centre in (0.0, 2.0)]
    assert sum(plane.tilted or plane.curved for plane in planes) <= 1


def test_field_curvature_is_told_from_tilt() -> None:
    plane = told(0.0, 0, 1.0, curvature_px=5.0)
    assert plane.curved
    assert plane.curvature_px == pytest.approx(5.0, rel=0.15)
    assert not told(5.0, 30, 2.0).curved


def test_too_few_tiles_or_one_row_of_them_tell_nothing() -> None:
    sigma, sd = np.full(12, 2.0), np.full(12, 0.1)
    assert fit_plane(np.arange(12) * 128.0, np.zeros(12), sigma, sd) is None
    sigma[:5] = np.nan
    assert fit_plane(X[:12], Y[::8][:12], sigma, sd) is None


def test_tilt_of_the_sample_follows_from_the_aperture() -> None:
    plane = told(2.5, 0, 3.0, noise=0.001)
    # 5 px of disc radius over 1000 px, by a beam of 5 mrad: the surface rises as far as it runs.
    assert plane.sample_tilt_deg(5e-3) == pytest.approx(45, abs=1.5)
    assert "tilt_deg" not in plane.as_json()


@pytest.mark.parametrize(("level_px", "rise_px"), [(-5.0, 10.0), (1.0, 9.0)], ids=["V-shaped", "one-sided"])
def test_tilt_of_a_simulated_frame_is_recovered_within_a_tenth(level_px: float, rise_px: float) -> None:
    pixel_m, aperture_rad, angle = 10e-9, 5e-3, math.radians(25)
    sharp = scene("pores", (1024, 1280), seed=1)
    metres = pixel_m / aperture_rad
    defocus = Defocus(level_m=level_px * metres, rise_m=rise_px * metres, direction_rad=angle)
    radius = defocus.radius_map_px(sharp.shape, pixel_m, aperture_rad)
    seen = through_probe(sharp, radius, Probe(aperture_rad=aperture_rad))
    pixels = detect(seen, 100, np.random.default_rng(0))
    frame = Frame("0" * 16, "test", "test:", pixels, "0" * 64, Area.whole(pixels.shape))
    focus = focus_map(frame, Focus(), load_scorer("sigma", Focus()))
    length_px = 1279 * math.cos(angle) + 1023 * math.sin(angle)
    plane = focus.survey.plane
    assert plane is not None
    assert plane.tilted
    assert plane.tilt_px == pytest.approx(rise_px / 2 / length_px * 1000, rel=0.1)
    assert abs((plane.direction_deg - 25 + 90) % 180 - 90) < 3


def stepped(low_px: float, high_px: float, angle_deg: float, *, seed: int = 0) -> Plane:
    """The plane from 96 tiles on two levels, with one in ten far off."""
    rng = np.random.default_rng(seed)
    along = X * math.cos(math.radians(angle_deg)) + Y * math.sin(math.radians(angle_deg))
    sigma = np.where(along > 60, high_px, low_px) * np.exp(0.12 * rng.standard_normal(X.size))
    sigma[rng.random(X.size) < 0.1] = 8.0
    found = fit_plane(X, Y, sigma.astype(np.float32), np.full(X.size, 0.12, np.float32))
    assert found is not None
    return found


@pytest.mark.parametrize(("low_px", "high_px"), [(0.7, 1.6), (1.2, 3.0), (2.0, 4.0)])
@pytest.mark.parametrize("angle_deg", [0, 130, 250])
def test_a_step_is_no_tilt_and_both_sides_are_told(low_px: float, high_px: float, angle_deg: float) -> None:
    plane = stepped(low_px, high_px, angle_deg)
    assert (plane.tilted, plane.curved) == (False, False)
    assert plane.step is not None
    assert plane.step.low_px == pytest.approx(low_px, rel=0.1)
    assert plane.step.high_px == pytest.approx(high_px, rel=0.1)
    assert abs((plane.step.direction_deg - angle_deg + 180) % 360 - 180) < 8
    assert plane.step.offset_px == pytest.approx(60, abs=100)


def test_what_rises_evenly_or_stays_level_is_no_step() -> None:
    tilted = [told(tilt, 40 * seed, 1.5, seed=seed) for seed in range(8) for tilt in (1.0, 3.0, 6.0)]
    level = [told(0.0, 0, centre, seed=seed) for seed in range(8) for centre in (0.0, 2.0)]
    assert [plane.step for plane in (*tilted, *level)] == [None] * 40


@pytest.mark.parametrize("hidden_px2", [-0.3, 0.4, 1.0], ids=["soft", "usual", "very fine"])
def test_material_that_hides_slight_blur_does_not_change_the_tilt(hidden_px2: float) -> None:
    """Fine detail makes a scorer read the first of the blur as none; the V's bottom is wider then."""
    rng = np.random.default_rng(4)
    along = X * math.cos(0.4) + Y * math.sin(0.4)
    shown = np.maximum((0.5 + 4 * along / 1000) ** 2 - hidden_px2, 0)
    sigma = np.hypot(0.65, np.sqrt(shown)) * np.exp(0.1 * rng.standard_normal(X.size))
    plane = fit_plane(X, Y, sigma, np.full(X.size, 0.1))
    assert plane is not None
    assert plane.tilt_px == pytest.approx(4.0, rel=0.12)


def test_tiles_read_as_blurred_as_can_be_say_only_that() -> None:
    """Beyond some 8 px every blur reads alike; a tilt that goes further is not flattened by it."""
    along = X * math.cos(1.0) + Y * math.sin(1.0)
    sigma = np.minimum(np.hypot(0.7, 5 + 9 * along / 1000), 8.5)
    plane = fit_plane(X, Y, sigma, np.full(X.size, 0.1))
    assert plane is not None
    assert plane.tilt_px == pytest.approx(9.0, rel=0.1)


@pytest.mark.parametrize("seed", [59, 72, 88, 154])
def test_a_frame_out_of_focus_all_over_is_not_called_tilted(seed: int) -> None:
    """A few tiles read below what can be told made a line of focus, and a tilt of 100 px over 1000 px."""
    x, y = (at.ravel() for at in np.meshgrid(np.arange(-448, 449, 128.0), np.arange(-320, 321, 128.0)))
    rng = np.random.default_rng(seed)
    sigma_px = 9.0 * np.exp(0.15 * rng.standard_normal(x.size))
    sigma_px[rng.integers(x.size, size=4)] = 6.5
    plane = fit_plane(x, y, sigma_px, np.full(x.size, 0.12))
    assert plane is not None
    assert not plane.tilted
    assert not plane.curved
    assert "cannot tell" in sentences(replace(NOTHING, plane=plane))[0].text


def test_a_stepped_frame_is_told_as_a_step_and_drawn() -> None:
    sharp = scene("pores", (768, 1024), seed=1)
    metres = 10e-9 / 5e-3
    defocus = Defocus(level_m=2 * metres, step_m=5 * metres, step_at=0.5, direction_rad=math.radians(20))
    seen = through_probe(sharp, defocus.radius_map_px(sharp.shape, 10e-9, 5e-3), Probe())
    pixels = detect(seen, 100, np.random.default_rng(0))
    frame = Frame("0" * 16, "test", "test:", pixels, "0" * 64, Area.whole(pixels.shape))
    focus = focus_map(frame, Focus(), load_scorer("sigma", Focus()))
    plane = focus.survey.plane
    assert plane is not None
    assert plane.step is not None
    assert not plane.tilted
    assert plane.step.high_px == pytest.approx(math.hypot(0.6, 3.5), rel=0.2)
    assert abs(plane.step.direction_deg - 20) < 20  # six by eight tiles
    said = [sentence.text for sentence in sentences(focus.survey)]
    assert any(text.startswith("a step in height: ") for text in said)
    assert not any("tilt" in text for text in said)
    bare = replace(focus, survey=NOTHING)
    grey = preview(pixels, frame.image_area, 512)
    drawn, without = (
        np.asarray(overlay(grey, one, grey.shape[1] / 1024, legend=False)) for one in (focus, bare)
    )
    assert (drawn != without).any(axis=2).sum() > 300
