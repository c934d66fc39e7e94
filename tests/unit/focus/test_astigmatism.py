"""Blur along two axes: round, astigmatic, smeared, or honestly unknown."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from semdaemon.focus import axes
from semdaemon.focus.artefacts.noise import BANDS
from semdaemon.focus.astigmatism import Astigmatism
from semdaemon.focus.axes import axes_of
from semdaemon.focus.survey import Survey
from semdaemon.focus.tilepower import tile_power
from semdaemon.focus.tiles import Grid
from semdaemon.frame import Area
from semdaemon.simulate.scenes import KINDS, scene
from semdaemon.training.degrade import blur, equivalent_sigma_px, expose, probe_kernel, quantise

SHARP = scene("pores", (640, 768), seed=2)
GRID = Grid(Area.whole(SHARP.shape), 128)


def told(kernel: np.ndarray, sigma_px: float, electrons_per_px: float = 200) -> Astigmatism:
    seen = expose(blur(SHARP, kernel), electrons_per_px, np.random.default_rng(0))
    pixels = np.uint8(quantise(seen, 8) * 255)
    return axes_of(pixels, GRID, np.full(GRID.rows * GRID.cols, sigma_px, np.float32))[0]


def line(length_px: int, angle_deg: float) -> np.ndarray:
    """A probe that moved evenly along a line."""
    half = length_px // 2 + 2
    rows, cols = np.mgrid[-half : half + 1, -half : half + 1]
    angle = math.radians(angle_deg)
    along, across = (
        cols * math.cos(angle) + rows * math.sin(angle),
        rows * math.cos(angle) - cols * math.sin(angle),
    )
    inside = np.clip(length_px / 2 - np.abs(along) + 0.5, 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return np.asarray(inside / inside.sum(), np.float32)


@pytest.mark.parametrize("radius_px", [3.0, 5.0])
def test_plain_defocus_is_not_called_astigmatic(radius_px: float) -> None:
    found = told(probe_kernel(radius_px), equivalent_sigma_px(radius_px, 0.6))
    assert found.kind in ("round", "cannot_tell")
    assert math.isnan(found.sigma_long_px)


@pytest.mark.parametrize("angle_deg", [20, 110])
@pytest.mark.parametrize("radius_px", [3.0, 5.0])
def test_astigmatism_is_found_with_its_direction_and_axes(radius_px: float, angle_deg: float) -> None:
    kernel = probe_kernel(radius_px, 0.0, 1.8, math.radians(angle_deg))
    found = told(kernel, equivalent_sigma_px(radius_px, 0.6))
    assert found.kind == "astigmatism"
    assert abs((found.direction_deg - angle_deg + 90) % 180 - 90) < 10
    assert found.sigma_long_px == pytest.approx(radius_px / 2 * math.sqrt(1.8), rel=0.25)
    assert found.sigma_short_px == pytest.approx(math.hypot(0.6, radius_px / 2 / math.sqrt(1.8)), rel=0.3)


@pytest.mark.parametrize("angle_deg", [0, 60])
def test_a_smear_has_one_sharp_axis(angle_deg: float) -> None:
    found = told(line(7, angle_deg), 1.15)
    assert found.kind == "smear"
    assert abs((found.direction_deg - angle_deg + 90) % 180 - 90) < 15
    assert found.sigma_short_px < 1.3


def test_where_there_is_only_noise_or_too_little_it_cannot_tell() -> None:
    noise = np.random.default_rng(0).poisson(80, SHARP.shape).astype(np.uint8)
    assert axes_of(noise, GRID, np.full(30, 2.0, np.float32))[0].kind == "cannot_tell"
    assert axes_of(noise, GRID, np.full(30, np.nan, np.float32))[0].kind == "cannot_tell"
    small = Grid(Area(0, 0, 100, 100), 128)
    assert axes_of(noise[:100, :100], small, np.full(1, 1.0, np.float32))[0].kind == "cannot_tell"


def test_scratches_along_one_direction_are_content_not_blur() -> None:
    rng = np.random.default_rng(3)
    scratched = blur(rng.standard_normal(SHARP.shape).astype(np.float32), line(61, 30)) * 2 + 0.5
    pixels = np.uint8(quantise(expose(np.clip(scratched, 0, 1), 200, rng), 8) * 255)
    assert axes_of(pixels, GRID, np.full(30, 0.8, np.float32))[0].kind != "astigmatism"


def test_large_frames_are_told_region_by_region() -> None:
    wide = np.tile(SHARP[:512, :512], (2, 2))
    kernel = probe_kernel(3.0, 0.0, 1.8, math.radians(45))
    wide[:, :512] = blur(wide, probe_kernel(3.0))[:, :512]
    wide[:, 512:] = blur(np.tile(SHARP[:512, :512], (2, 2)), kernel)[:, 512:]
    pixels = np.uint8(quantise(expose(wide, 200, np.random.default_rng(0)), 8) * 255)
    grid = Grid(Area.whole(pixels.shape), 128)
    whole, regions = axes_of(pixels, grid, np.full(64, 1.55, np.float32))
    assert [region.area.as_list() for region in regions] == [
        *([0, 0, 512, 512], [0, 512, 512, 1024], [512, 0, 1024, 512], [512, 512, 1024, 1024]),
    ]
    assert [region.astigmatism.differs for region in regions] == [False, True, False, True]
    plain = Survey(astigmatism=whole, regions=regions).as_json()["astigmatism"]
    assert isinstance(plain, dict)
    assert len(plain["regions"]) == 4


def told_of(sharp: np.ndarray, kernel: np.ndarray, sigma_px: float) -> Astigmatism:
    seen = expose(blur(sharp, kernel), 200, np.random.default_rng(1))
    grid = Grid(Area.whole(sharp.shape), 128)
    sigmas = np.full(grid.rows * grid.cols, sigma_px, np.float32)
    return axes_of(np.uint8(quantise(seen, 8) * 255), grid, sigmas)[0]


def test_most_of_a_slight_astigmatism_is_found_and_defocus_is_not_taken_for_it() -> None:
    """Over every kind of scene, at a blur that the scorer over-reads a little."""
    scenes = [scene(kind, (512, 768), seed=seed) for kind in KINDS for seed in (3, 4)]
    sigma_px = 1.08 * equivalent_sigma_px(3.0, 0.6)
    plain = [told_of(sharp, probe_kernel(3.0), sigma_px) for sharp in scenes]
    oval = [told_of(sharp, probe_kernel(3.0, 0.0, 1.6, 1.0), sigma_px) for sharp in scenes]
    assert sum(found.differs for found in plain) <= 1
    assert sum(found.differs for found in oval) >= len(scenes) // 2


def test_a_frame_too_small_to_be_binned_as_often_as_its_blur_asks_is_told_all_the_same() -> None:
    found = told_of(scene("pores", (450, 640), seed=2), probe_kernel(8.0, 0.0, 1.8, 0.5), 4.05)
    assert found.kind == "astigmatism"
    assert abs(found.direction_deg - math.degrees(0.5)) < 10


def test_windows_reach_from_edge_to_edge() -> None:
    """450 rows hold three windows of 128 and a rest: four, evenly, none of them left out."""
    small = scene("pores", (450, 640), seed=2)
    grid = Grid(Area.whole(small.shape), 128)
    found = axes_of(np.uint8(small * 255), grid, np.full(grid.rows * grid.cols, 0.6, np.float32))[0]
    assert found.tiles == 4 * 5


@pytest.mark.parametrize("sigma_px", [0.8, 2.5])
@pytest.mark.parametrize(("shape", "tile_px"), [((512, 640), 128), ((450, 640), 128), ((512, 640), 64)])
def test_the_tiles_own_spectra_change_nothing(shape: tuple[int, int], tile_px: int, sigma_px: float) -> None:
    seen = expose(blur(scene("pores", shape, seed=2), probe_kernel(2.0)), 200, np.random.default_rng(1))
    pixels, grid = np.uint8(quantise(seen, 8) * 255), Grid(Area.whole(shape), tile_px)
    sigmas = np.full(grid.rows * grid.cols, sigma_px, np.float32)
    power = tile_power(grid.tiles(pixels))
    assert axes_of(pixels, grid, sigmas, power) == axes_of(pixels, grid, sigmas)


def test_where_windows_are_tiles_no_spectrum_is_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, grid = np.uint8(scene("pores", (512, 640), seed=2) * 255), Grid(Area.whole((512, 640)), 128)
    sigmas, power = np.full(20, 0.8, np.float32), tile_power(grid.tiles(pixels))
    monkeypatch.delattr(axes, "tile_power")
    assert axes_of(pixels, grid, sigmas, power)[0].tiles == 20


def test_bands_that_only_windows_have_are_not_made_for_large_tiles() -> None:
    """At 1024 px, the largest tile of the settings, they took half a gigabyte and a second."""
    tile = np.random.default_rng(0).integers(0, 255, (1024, 1024), np.uint8)
    tracemalloc.start()
    try:
        power = tile_power([tile])
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (power.noise.shape, power.polar.shape) == ((1, BANDS), (1, 0))
    assert peak_bytes < 150 * 2**20
