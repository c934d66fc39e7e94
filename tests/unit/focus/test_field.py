"""Neighbours: they help where a tile says little, and do not talk over a step."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from semdaemon.focus import BLURRED, SHARP, UNDECIDED, Estimate, focus_map
from semdaemon.focus.estimate import joined, shares_of
from semdaemon.focus.field import Smoothness, transition, voices, with_context
from semdaemon.focus.map import judge_in_context
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus

SHAPE = (6, 8)
EVERYWHERE = np.ones(SHAPE[0] * SHAPE[1], bool)


def told(sigma_px: np.ndarray, relative_sd: np.ndarray | float) -> Estimate:
    wide = np.broadcast_to(np.asarray(relative_sd, np.float32), sigma_px.shape)
    return Estimate(sigma_px.astype(np.float32).ravel(), wide.ravel().copy())


def test_a_tile_that_says_nothing_takes_the_blur_of_those_around_it() -> None:
    sd = np.full(SHAPE, 0.15)
    sd[2, 3] = 3.0
    blur = np.where(sd > 1, 0.7, 4.0)
    after = with_context(told(blur, sd), EVERYWHERE, SHAPE, Smoothness())
    assert after.sigma_px.reshape(SHAPE)[2, 3] == pytest.approx(4.0, rel=0.15)
    assert after.relative_sd.reshape(SHAPE)[2, 3] < 0.5


def test_many_tiles_that_say_little_say_more_together() -> None:
    alone = told(np.full(SHAPE, 3.0), 0.8)
    after = with_context(alone, EVERYWHERE, SHAPE, Smoothness())
    assert (after.relative_sd < 0.9 * alone.relative_sd).all()


def test_a_step_stays_a_step_and_no_tile_beside_it_changes_sides() -> None:
    sharp = np.arange(SHAPE[1])[None, :] + np.zeros(SHAPE) < 4
    alone = told(np.where(sharp, 0.65, 5.0), 0.25)
    after = with_context(alone, EVERYWHERE, SHAPE, Smoothness())
    below = after.probability_below(1.25).reshape(SHAPE)
    assert (below[sharp] > 0.9).all()
    assert (below[~sharp] < 0.1).all()


@pytest.mark.parametrize(("lone_px", "others_px"), [(0.65, 5.0), (5.0, 0.65)])
def test_neighbours_never_turn_a_sure_verdict_into_its_opposite(lone_px: float, others_px: float) -> None:
    blur = np.full(SHAPE, others_px)
    blur[3, 4] = lone_px
    judged = judge_in_context(told(blur, 0.15), EVERYWHERE, SHAPE, Focus(), Smoothness())
    verdict = judged[3].reshape(SHAPE)
    assert verdict[3, 4] in (UNDECIDED, SHARP if lone_px < 1 else BLURRED)
    assert verdict[0, 0] == (SHARP if others_px < 1 else BLURRED)


def test_tiles_without_signal_pass_on_what_they_hear_and_say_nothing() -> None:
    blur = np.full((1, 5), 4.0)
    blur[0, 2] = 0.6
    silent = np.array([True, True, False, True, True])
    after = with_context(told(blur, 0.1), silent, (1, 5), Smoothness())
    assert after.sigma_px[2] == pytest.approx(4.0, rel=0.2)


def test_faint_tiles_are_heard_as_far_as_was_fitted_and_change_nothing_at_zero() -> None:
    blur = np.full((1, 5), 4.0)
    alone, known = told(blur, 0.3), np.array([True, False, False, False, True])
    widths = []
    for power in (0.0, 0.5, 1.0):
        smoothness = Smoothness(faint=power)
        after = with_context(alone, voices(known, ~known, smoothness), (1, 5), smoothness)
        widths.append(float(after.relative_sd[2]))
    assert widths[0] > widths[1] > widths[2]
    silent = with_context(alone, known.astype(float), (1, 5), Smoothness())
    assert float(silent.relative_sd[2]) == widths[0]


def test_a_tile_alone_in_its_frame_is_judged_as_before_but_for_the_doubt() -> None:
    alone = told(np.array([[2.0]]), 0.2)
    after = with_context(alone, np.ones(1, bool), (1, 1), Smoothness(doubt=0, own=1, sharpness=1))
    levels, shares = shares_of(alone)
    np.testing.assert_allclose(shares_of(after)[1], shares, atol=1e-5)
    assert levels.size == shares.shape[1] + 1


def test_the_next_tile_has_some_blur_whatever_this_one_has() -> None:
    prior = np.full(36, 1 / 36)
    kernel = transition(prior, np.log(np.geomspace(0.5, 16, 37)), Smoothness())
    np.testing.assert_allclose(kernel.sum(axis=1), 1)
    assert (kernel > 0).all()


def test_estimates_of_several_calls_are_one() -> None:
    parts = [told(np.array([1.0, 2.0]), 0.1), told(np.array([3.0]), 0.1)]
    assert joined(parts).sigma_px.tolist() == [1.0, 2.0, 3.0]


def test_the_setting_switches_the_neighbours_off() -> None:
    class Loud:
        name = "loud"
        smoothness = Smoothness()

        def estimate(self, tiles: np.ndarray) -> Estimate:
            first = tiles[:, 0, 0] > 0
            return told(np.where(first, 0.6, 5.0), np.where(first, 1.5, 0.1))

    noise = np.random.default_rng(0).standard_normal((2, 640, 640))
    pixels = (9000 + 2000 * gaussian_filter(noise[0], 1) + 300 * noise[1]).astype(np.uint16)
    pixels[::128, ::128] = 0
    pixels[256, 256] = 1
    frame = Frame("0" * 16, "test", "test:", pixels, "0" * 64, Area.whole(pixels.shape))
    plain = Focus(confidence=0.6, max_relative_sd=2)
    alone = focus_map(frame, plain.model_copy(update={"context": False}), Loud())
    together = focus_map(frame, plain, Loud())
    assert alone.verdict[2, 2] == SHARP
    assert together.verdict[2, 2] != SHARP
