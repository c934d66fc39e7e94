"""The focus map: grid, verdict rule, round trip."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from semdaemon.errors import SettingsError
from semdaemon.focus import VERDICTS, Estimate, FocusMap, focus_map, load_scorer
from semdaemon.focus.tiles import Grid, stands_out
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus


class Told:
    """A scorer that says what it was told, tile by tile."""

    name = "told 1"

    def __init__(self, sigma_px: list[float], relative_sd: list[float]) -> None:
        self.answers = list(zip(sigma_px, relative_sd, strict=True))
        self.seen: list[np.ndarray] = []

    def estimate(self, tiles: np.ndarray) -> Estimate:
        self.seen.extend(tiles)
        now, self.answers = self.answers[: len(tiles)], self.answers[len(tiles) :]
        sigma, sd = zip(*now, strict=True)
        return Estimate(np.array(sigma, np.float32), np.array(sd, np.float32))


def frame_of(pixels: np.ndarray, area: Area | None = None) -> Frame:
    return Frame("0" * 16, "test", "test:", pixels, "0" * 64, area or Area.whole(pixels.shape))


def textured(height: int, width: int) -> np.ndarray:
    rows, cols = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 5, (height, width))
    return (2000 + 1000 * np.sin(rows / 5) * np.cos(cols / 7) + noise).astype(np.uint16)


@pytest.mark.parametrize(
    ("length", "cells"), [(40, 1), (128, 1), (191, 1), (192, 2), (256, 2), (300, 2), (330, 3), (2048, 16)]
)
def test_a_remainder_thinner_than_half_a_tile_belongs_to_its_neighbour(length: int, cells: int) -> None:
    assert Grid(Area(0, 0, length, length), 128).rows == cells


@pytest.mark.parametrize("size", [(300, 330), (128, 128), (90, 700), (1000, 129)])
def test_cells_cover_the_area_once_and_windows_stay_inside(size: tuple[int, int]) -> None:
    area = Area(7, 11, 7 + size[0], 11 + size[1])
    grid = Grid(area, 128)
    covered = np.zeros((area.bottom + 5, area.right + 5), int)
    for row in range(grid.rows):
        for col in range(grid.cols):
            covered[grid.cell(row, col).slices] += 1
            window = grid.window(row, col)
            assert window.shape == (min(128, size[0]), min(128, size[1]))
            assert min(window.top - area.top, window.left - area.left) >= 0
            assert max(window.bottom - area.bottom, window.right - area.right) <= 0
    assert covered[area.slices].min() == covered.max() == 1
    assert covered.sum() == size[0] * size[1]


@pytest.mark.parametrize("size", [(300, 330), (128, 128), (90, 700)])
def test_tiles_are_views_of_the_windows_and_centres_their_middles(size: tuple[int, int]) -> None:
    area = Area(7, 11, 7 + size[0], 11 + size[1])
    frame = np.arange(400 * 800).reshape(400, 800)
    grid = Grid(area, 128)
    tiles, (y_px, x_px) = grid.tiles(frame[area.slices]), grid.centres()
    assert len(tiles) == y_px.size == x_px.size == grid.rows * grid.cols
    for number, tile in enumerate(tiles):
        window = grid.window(*divmod(number, grid.cols))
        np.testing.assert_array_equal(tile, frame[window.slices])
        assert np.shares_memory(tile, frame)
        middle = ((window.top + window.bottom) / 2, (window.left + window.right) / 2)
        assert (y_px[number] + 7 + size[0] / 2, x_px[number] + 11 + size[1] / 2) == middle


def test_verdicts_follow_probability_and_uncertainty() -> None:
    scorer = Told([0.6, 4.0, 20.0, 1.25, 4.0, np.nan], [0.1, 0.1, 0.1, 0.3, 0.9, np.nan])
    result = focus_map(frame_of(textured(256, 384)), Focus(), scorer)
    words = [VERDICTS[code] for code in result.verdict.ravel()]
    assert words == ["sharp", "blurred", "beyond_repair", "undecided", "undecided", "undecided"]
    assert np.isnan(result.sigma_px.ravel()[3:]).all()
    assert np.isnan(result.score.ravel()[3:]).all()
    assert result.score[0, 0] > 0.99
    assert result.score[0, 1] < 0.01


def test_tiles_without_signal_are_undecided_whatever_the_scorer_says() -> None:
    rng = np.random.default_rng(0)
    pixels = textured(128, 5 * 128)
    pixels[:, :128] = 1234
    pixels[:, 128:256] = 65535
    pixels[:, 256:384] = rng.poisson(300, (128, 128))
    pixels[:80, 384:512] = 0
    result = focus_map(frame_of(pixels), Focus(), Told([0.6] * 5, [0.1] * 5))
    assert [VERDICTS[c] for c in result.verdict[0]] == ["undecided"] * 4 + ["sharp"]


def test_noise_correlated_along_the_fast_axis_is_no_signal() -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((128, 130))
    assert not stands_out(noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:])


def test_only_the_image_area_is_scored() -> None:
    pixels = textured(300, 256)
    pixels[256:] = 0
    scorer = Told([0.6] * 4, [0.1] * 4)
    result = focus_map(frame_of(pixels, Area(0, 0, 256, 256)), Focus(), scorer)
    assert (result.rows, result.cols) == (2, 2)
    assert all(tile.min() > 0 for tile in scorer.seen)
    assert result.counts() == {"sharp": 4, "blurred": 0, "beyond_repair": 0, "undecided": 0}


def test_an_area_smaller_than_a_tile_is_one_tile() -> None:
    scorer = Told([0.6], [0.1])
    result = focus_map(frame_of(textured(100, 60)), Focus(), scorer)
    assert scorer.seen[0].shape == (100, 60)
    assert result.cell(0, 0) == Area(0, 0, 100, 60)


def test_bytes_round_trip_and_json_has_null_where_undecided() -> None:
    result = focus_map(frame_of(textured(128, 256)), Focus(), Told([0.6, np.nan], [0.1, np.nan]))
    again = FocusMap.from_bytes(result.to_bytes())
    for name in ("sigma_px", "sigma_relative_sd", "score", "verdict"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    assert (again.tile_px, again.area, again.scorer) == (128, result.area, "told 1")
    plain = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert plain["sigma_px"] == [[0.6, None]]
    assert plain["verdict"] == [["sharp", "undecided"]]


def test_a_cumulative_estimate_is_interpolated() -> None:
    levels = np.array([0.5, 1.0, 2.0, 4.0], np.float32)
    cumulative = np.array([[0.0, 0.4, 0.8, 1.0]], np.float32)
    estimate = Estimate(np.ones(1, np.float32), np.ones(1, np.float32), levels, cumulative)
    assert estimate.probability_below(1.0)[0] == pytest.approx(0.4)
    assert estimate.probability_below(2.0**0.5)[0] == pytest.approx(0.6)
    assert estimate.probability_below(0.1)[0] == 0
    assert estimate.probability_below(100)[0] == 1


def test_an_unknown_scorer_is_named_with_what_is_there() -> None:
    with pytest.raises(SettingsError, match=r"'nonesuch'; installed of semdaemon.scorers: .*sigma") as caught:
        load_scorer("nonesuch", Focus())
    assert caught.value.code == "unknown_plug"


@pytest.mark.parametrize(
    ("sharp_nm", "pixel_nm", "word"),
    [(0, 1, "blurred"), (5, 1, "sharp"), (5, 9, "blurred"), (5, None, "blurred")],
)
def test_a_blur_finer_than_the_nanometres_asked_for_is_sharp(
    sharp_nm: float, pixel_nm: float | None, word: str
) -> None:
    frame = frame_of(textured(128, 128))
    if pixel_nm:
        frame = replace(frame, pixel_size_m=(pixel_nm * 1e-9, pixel_nm * 1e-9))
    result = focus_map(frame, Focus(sharp_sigma_nm=sharp_nm), Told([3.0], [0.1]))
    assert VERDICTS[result.verdict[0, 0]] == word


@pytest.mark.parametrize("name", ["f4n", "siraf"])
def test_classical_measures_are_scorers_by_name(name: str) -> None:
    rng = np.random.default_rng(0)
    rough = rng.standard_normal((256, 256))
    tiles = np.stack([gaussian_filter(rough, s)[:128, :128] for s in (0.7, 2.0, 5.0)]).astype(np.float32)
    scorer = load_scorer(name, Focus())
    estimate = scorer.estimate(tiles * 1000 + 3000)
    assert scorer.name.startswith(name)
    assert (np.diff(estimate.sigma_px) > 0).all()
    assert (estimate.relative_sd > 0.6).all()
