"""What `semdaemon explain` measures, on networks whose answers are known, and on the shipped one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft, ndimage

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.engine import TorchEngine
from semdaemon.refocus.networks import LIGHT, NetworkSpec
from semdaemon.refocus.weights import load_card
from semdaemon.training import degrade
from semdaemon.training.evaluation.explain import explanation, noise, responses, returning
from semdaemon.training.evaluation.explain.field import radius_holding, share_within
from semdaemon.training.evaluation.explain.network import Network, degraded, fitting
from semdaemon.training.evaluation.scenes import Scene, scenes_of_simulator

Image = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Known:
    """A network that is any function of a picture."""

    restore: Callable[[Image], Image]
    spec: NetworkSpec = field(default=LIGHT)


nothing = Known(lambda unit: unit)


@pytest.fixture(scope="module")
def light() -> Network:
    return Network(load_card("light"))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return scenes_of_simulator(2, 192)[0]


def test_the_result_is_what_the_engine_of_the_daemon_gives(light: Network, scene: Scene) -> None:
    unit = fitting(scene.sharp, light.spec)
    by_engine = TorchEngine(load_card("light"), "cpu", threads=1).refocus(unit)
    np.testing.assert_allclose(light.answers(unit).fine, by_engine, atol=1e-5)


def test_every_scale_answers_at_the_size_of_the_frame_and_nearer_to_the_truth_than_the_one_below(
    light: Network, scene: Scene
) -> None:
    case = degraded(scene, 4, 400, light.spec, crop_px=160, seed=0)
    said = light.answers(case.seen)
    assert said.coarse.shape == said.middle.shape == said.fine.shape == case.sharp.shape
    errors = [float(np.mean((p - case.sharp) ** 2)) for p in (said.coarse, said.middle, said.fine)]
    assert errors[0] > errors[1] > errors[2]


def test_a_blinded_scale_changes_the_result_and_the_coarse_one_less_than_the_middle_one(
    light: Network, scene: Scene
) -> None:
    case = degraded(scene, 4, 400, light.spec, crop_px=160, seed=0)
    whole = light.restore(case.seen)
    changes = [float(np.abs(light.blinded(case.seen, s) - whole).mean()) for s in ("coarse", "middle")]
    assert 0 < changes[0] < changes[1]


def test_the_gradient_is_what_a_small_change_of_the_input_does(light: Network, scene: Scene) -> None:
    unit = fitting(scene.sharp, light.spec)[:64, :64]
    gradient = light.gradient(unit, 32, 32)
    step = 1e-2
    for row, column in ((32, 32), (33, 31), (30, 36)):
        up, down = unit.copy(), unit.copy()
        up[row, column] += step
        down[row, column] -= step
        change = (light.restore(up)[32, 32] - light.restore(down)[32, 32]) / (2 * step)
        assert gradient[row, column] == pytest.approx(change, abs=0.02)


def test_a_frame_of_odd_sides_is_cut_to_what_the_network_takes(scene: Scene) -> None:
    case = degraded(Scene("odd", scene.sharp[:171, :190]), 2, 50, LIGHT, crop_px=320, seed=0)
    assert case.seen.shape == case.sharp.shape == (168, 184)


def test_the_zeros_of_a_disc_are_where_its_own_transfer_function_vanishes() -> None:
    assert returning.disc_zeros(4)[:2] == pytest.approx((0.6098 / 4, 1.1166 / 4), abs=1e-4)
    assert returning.disc_zeros(1) == ()
    kernel = degrade.disc_kernel(6).sum(axis=0).astype(np.float64)
    x = np.arange(kernel.size) - kernel.size // 2
    for zero in returning.disc_zeros(6)[:2]:
        assert abs((kernel * np.cos(2 * np.pi * zero * x)).sum()) < 0.01


def test_a_network_that_does_nothing_gains_nothing_and_follows_the_truth_no_further(scene: Scene) -> None:
    found = returning.returning(nothing, [scene], 4, 400)
    np.testing.assert_allclose(found.spectra.gain, 1)
    assert found.follows_up_to == pytest.approx(found.follows_up_to_seen)
    assert found.follows_up_to < 0.6098 / 4 + 0.02
    assert found.at_zero is not None
    assert found.at_zero.coherence == pytest.approx(found.at_zero.coherence_seen)


def test_a_network_that_knows_the_truth_has_all_of_it_back(scene: Scene) -> None:
    truth = degraded(scene, 4, 400, LIGHT, crop_px=returning.CROP_PX, seed=0).sharp
    found = returning.returning(Known(lambda _: truth), [scene], 4, 400)
    assert found.follows_up_to == 0.5
    assert found.at_zero is not None
    assert found.at_zero.power == pytest.approx(1)
    assert found.at_zero.invented == pytest.approx(0, abs=1e-9)


def test_what_is_made_up_at_a_zero_counts_as_invented(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    case = degraded(scene, 4, 400, LIGHT, crop_px=returning.CROP_PX, seed=0)
    made_up = np.asarray(case.sharp + rng.normal(0, 0.5, case.sharp.shape), np.float32)
    found = returning.returning(Known(lambda _: made_up), [scene], 4, 400)
    assert found.at_zero is not None
    assert found.at_zero.invented > 1


def test_coherence_is_followed_to_where_it_first_falls_below_a_half() -> None:
    k = np.array([0.1, 0.2, 0.3, 0.4])
    assert returning.follows_up_to(k, np.array([1, 0.75, 0.25, 0.9])) == pytest.approx(0.25)
    assert returning.follows_up_to(k, np.array([0.4, 1, 1, 1])) == 0
    assert returning.follows_up_to(k, np.ones(4)) == 0.5


def test_noise_that_passes_unchanged_is_told_so_and_has_no_more_structure_than_chance() -> None:
    found = noise.noise_response(nothing, 0.05)
    assert found.sd_out == pytest.approx(0.05, rel=0.02)
    assert found.correlation_px < 1
    assert found.largest_px <= found.largest_by_chance_px + 2
    np.testing.assert_allclose(found.gain, 1)


def test_structure_drawn_into_noise_stands_out_against_chance() -> None:
    def draws_a_line(unit: Image) -> Image:
        out = np.asarray(ndimage.gaussian_filter(unit, 1.5), np.float32)
        out[100, 60:200] += 0.05
        return out

    found = noise.noise_response(Known(draws_a_line), 0.05)
    assert found.largest_px > 3 * found.largest_by_chance_px


def test_the_correlation_length_of_smoothed_noise_is_that_of_its_gaussian() -> None:
    white = np.random.default_rng(0).standard_normal((512, 512))
    smooth = ndimage.gaussian_filter(white, 3.0, mode="wrap")
    # The autocorrelation of noise under a Gaussian of sigma is one of sigma * sqrt(2).
    assert noise.correlation_px(smooth) == pytest.approx(3 * np.sqrt(2) * np.sqrt(2 * np.log(2)), rel=0.06)


def test_a_flat_field_that_is_kept_is_off_by_nothing_and_edges_are_told_apart() -> None:
    def darkens_its_edge(unit: Image) -> Image:
        out = unit.copy()
        out[0] -= np.float32(0.1)
        return out

    assert noise.flat_response(nothing, 0.5).edge_levels == 0
    found = noise.flat_response(Known(darkens_its_edge), 0.5)
    assert found.inside_levels == 0
    assert found.edge_levels == pytest.approx(25.5, rel=1e-3)


def test_an_edge_left_alone_is_as_wide_as_the_disc_makes_it() -> None:
    found = responses.edge_response(nothing)
    # 10 to 90 % of a uniform disc's edge: where a chord leaves 10 % of the area, on either side.
    t = np.linspace(-1, 1, 20001)
    covered = 0.5 + (t * np.sqrt(1 - t**2) + np.arcsin(t)) / np.pi
    expected = responses.RADIUS_PX * (np.interp(0.9, covered, t) - np.interp(0.1, covered, t))
    assert found.width_seen_px == pytest.approx(expected, rel=0.03)
    assert found.width_px == pytest.approx(found.width_seen_px)
    assert found.overshoot < 0.01


def test_sharpening_narrows_an_edge_and_its_ringing_is_told() -> None:
    def unsharp(unit: Image) -> Image:
        return np.asarray(unit + 1.5 * (unit - ndimage.gaussian_filter(unit, 3)), np.float32)

    found = responses.edge_response(Known(unsharp))
    assert found.width_px < 0.7 * found.width_seen_px
    assert 0.05 < found.overshoot < 0.5


def test_the_profile_of_a_perfect_step_has_no_overshoot_and_that_of_a_wave_its_amplitude() -> None:
    x = np.arange(-64, 65, dtype=np.float64)
    step = np.where(x > 0, 0.75, 0.25)
    assert responses.overshoot(x, step) == 0
    ringing = step + np.where(np.abs(x) < 10, 0.05 * np.sin(x), 0)
    assert responses.overshoot(x, ringing) == pytest.approx(0.1, abs=0.005)


def test_a_line_left_alone_loses_height_to_the_disc_and_a_peak_has_its_own_width() -> None:
    found = responses.line_response(nothing)
    # A line of w px under a disc of R: 2 w / (pi R) of its height, where it is thin.
    assert found.peak_seen == pytest.approx(2 * responses.LINE_PX / (np.pi * responses.RADIUS_PX), rel=0.06)
    x = np.arange(-40, 41, dtype=np.float64)
    assert responses.half_width_px(x, np.exp(-(x**2) / 32)) == pytest.approx(2.3548 * 4, rel=0.01)


def test_the_radius_that_holds_most_of_a_uniform_square_and_of_a_point() -> None:
    point = np.zeros((41, 41))
    point[20, 20] = 1
    assert radius_holding(share_within(point), 0.9) == 0
    disc = (np.hypot(*np.mgrid[-20:21, -20:21]) <= 10).astype(np.float64)
    assert radius_holding(share_within(disc), 0.9) == pytest.approx(10 * np.sqrt(0.9), abs=0.4)


def test_frames_too_small_for_spectra_are_refused_with_a_remedy() -> None:
    small = Scene("small", np.zeros((100, 400), np.float32))
    with pytest.raises(SemdaemonError) as raised:
        explanation.explain(load_card("light"), [small], small, of="small ones")
    assert raised.value.code == "scenes_too_small"
    assert raised.value.remedy


def test_plain_values_have_no_pictures_and_nothing_that_json_lacks() -> None:
    @dataclass(frozen=True)
    class Inner:
        picture: Image

    @dataclass(frozen=True)
    class Outer:
        inner: Inner
        curve: npt.NDArray[np.float64]
        length_px: float

    told = Outer(Inner(np.zeros((3, 3), np.float32)), np.array([1 / 3, 2.0]), float("inf"))
    assert explanation.plain(told) == {"curve": [0.33333, 2.0], "length_px": None}


def test_the_spectrum_of_a_surrogate_is_that_of_its_field() -> None:
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(rng.standard_normal((64, 64)), 1, mode="wrap")
    other = noise._surrogate(rough, rng)
    np.testing.assert_allclose(np.abs(fft.rfft2(other))[1:30, 1:30], np.abs(fft.rfft2(rough))[1:30, 1:30])
    assert np.abs(other - rough).max() > rough.std()
