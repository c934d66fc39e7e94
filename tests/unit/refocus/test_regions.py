"""Regions, working scales, masks and blending."""

from __future__ import annotations

import numpy as np

from semdaemon.focus import BLURRED, SHARP, UNDECIDED, FocusMap
from semdaemon.frame import Area
from semdaemon.refocus.regions import blend_weights, paint, plan_regions, scale_shares, working_scales


def focus_of(verdict: list[list[int]], sigma: list[list[float]] | None = None, tile: int = 64) -> FocusMap:
    codes = np.array(verdict, np.uint8)
    known = np.where(codes == UNDECIDED, np.nan, 2.0) if sigma is None else np.array(sigma)
    area = Area(10, 20, 10 + tile * codes.shape[0], 20 + tile * codes.shape[1])
    return FocusMap(
        tile, area, known.astype(np.float32), np.full(codes.shape, 0.1, np.float32),
        np.zeros(codes.shape, np.float32), codes, "test",
    )  # fmt: skip


def test_connected_blurred_tiles_are_one_region_and_others_stay_alone() -> None:
    focus = focus_of([[BLURRED, SHARP, SHARP], [BLURRED, SHARP, BLURRED], [SHARP, SHARP, BLURRED]])
    plan = plan_regions(focus, sigma_max_px=4)
    assert [region.tiles for region in plan.regions] == [((0, 0), (1, 0)), ((1, 2), (2, 2))]
    assert plan.regions[0].area == Area(10, 20, 138, 84)


def test_small_regions_are_left_alone_when_asked() -> None:
    focus = focus_of([[BLURRED, SHARP, SHARP, BLURRED], [BLURRED, SHARP, SHARP, SHARP]])
    assert len(plan_regions(focus, sigma_max_px=4, min_tiles=2).regions) == 1


def test_everywhere_takes_every_tile_whatever_its_verdict() -> None:
    focus = focus_of([[SHARP, UNDECIDED], [BLURRED, SHARP]])
    plan = plan_regions(focus, sigma_max_px=4, everywhere=True)
    assert (plan.labels == 1).all()


def test_the_working_scale_follows_sigma() -> None:
    sigma = np.array([[1.0, 4.0, 4.1, 8.0, 8.1, 30.0, np.nan]], np.float32)
    assert working_scales(sigma, 4.0).tolist() == [[1, 1, 2, 2, 4, 4, 1]]


def test_blend_weights_are_zero_outside_and_above_zero_inside_the_mask() -> None:
    mask = np.zeros((100, 120), bool)
    mask[30:80, 40:120] = True
    weights = blend_weights(mask, 16)
    assert (weights[~mask] == 0).all()
    assert (weights[mask] > 0).all()
    assert weights[55, 119] == 1  # the picture's border is no border of the mask
    assert weights[55, 41] < 0.2 < weights[55, 70]
    assert weights.max() <= 1


def test_shares_of_two_scales_sum_to_one_and_fade_into_each_other() -> None:
    focus = focus_of([[BLURRED, BLURRED]], [[2.0, 6.0]])
    plan = plan_regions(focus, sigma_max_px=4)
    shares = scale_shares(plan, 8)
    assert sorted(shares) == [1, 2]
    inside = paint(plan.labels > 0, focus)
    np.testing.assert_allclose(sum(shares.values())[inside], 1, atol=1e-5)
    assert shares[1][30, 5] == 1
    assert 0.3 < shares[1][30, 64] < 0.7
