from __future__ import annotations

import numpy as np
import pytest

from semdaemon.training import degrade


def sigma_of(kernel: np.ndarray, axis: int) -> float:
    line = kernel.sum(axis=1 - axis, dtype=np.float64)
    place = np.arange(line.size) - line.size // 2
    return float(np.sqrt((line * place**2).sum()))


@pytest.mark.parametrize("radius", [0.3, 0.8, 2.0, 4.37, 11.0])
def test_disc_has_sum_one_and_the_sigma_of_its_radius(radius: float) -> None:
    kernel = degrade.disc_kernel(radius)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(kernel, kernel.T, atol=2e-4)
    if radius >= 2:  # the pixel's own area adds 1/12 px^2
        assert sigma_of(kernel, 0) == pytest.approx(np.sqrt(radius**2 / 4 + 1 / 12), rel=0.03)


def test_disc_weights_are_covered_areas() -> None:
    kernel = degrade.disc_kernel(3.3) * np.pi * 3.3**2
    assert kernel[3, 3] == pytest.approx(1, rel=1e-3)
    assert kernel[3, 6] == pytest.approx(0.8, abs=0.02)  # the pixel from 2.5 to 3.5, cut at 3.3


def test_ellipse_keeps_its_area_and_points_where_told() -> None:
    kernel = degrade.disc_kernel(4, ellipticity=2.0)
    assert sigma_of(kernel, 1) / sigma_of(kernel, 0) == pytest.approx(2, rel=0.03)
    turned = degrade.disc_kernel(4, ellipticity=2.0, angle_rad=np.pi / 2)
    np.testing.assert_allclose(turned, kernel.T, atol=3e-4)


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0, 3.0])
def test_gaussian_has_exactly_its_sigma(sigma: float) -> None:
    assert sigma_of(degrade.gaussian_kernel(sigma), 0) == pytest.approx(sigma, rel=2e-3)


def test_probe_sigma_is_what_equivalent_sigma_says() -> None:
    measured = sigma_of(degrade.probe_kernel(5, 1.2), 1)
    assert measured == pytest.approx(degrade.equivalent_sigma_px(5, 1.2), rel=0.02)


def test_fft_and_direct_convolution_agree() -> None:
    image = np.random.default_rng(0).random((37, 50), dtype=np.float32)
    kernel = np.random.default_rng(1).random((7, 7)).astype(np.float32)
    kernel /= kernel.sum()
    np.testing.assert_allclose(degrade.blur(image, kernel), degrade._blur_fft(image, kernel), atol=1e-6)


def test_flat_stays_flat_up_to_the_border() -> None:
    image = np.full((40, 33), 0.4, np.float32)
    np.testing.assert_allclose(degrade.blur(image, degrade.probe_kernel(6, 0.4)), 0.4, atol=1e-6)


def test_varying_blur_of_a_flat_map_is_the_plain_blur() -> None:
    image = np.random.default_rng(0).random((48, 48), dtype=np.float32)
    varying = degrade.blur_varying(image, np.full((48, 48), 3.0))
    np.testing.assert_allclose(varying, degrade.blur(image, degrade.probe_kernel(3.0)), atol=1e-6)


def test_varying_blur_is_sharp_where_the_map_is_zero() -> None:
    image = np.random.default_rng(0).random((40, 80), dtype=np.float32)
    ramp = np.broadcast_to(np.clip(np.linspace(-4, 4, 80), 0, None), (40, 80))
    out = degrade.blur_varying(image, ramp)
    np.testing.assert_allclose(out[:, :40], image[:, :40], atol=1e-6)
    assert out[:, 70:].std() < 0.3 * image[:, 70:].std()


def test_dose_sets_the_noise() -> None:
    image = np.full((300, 300), 0.5, np.float32)
    out = degrade.expose(image, 50, np.random.default_rng(0), amplifier=0.05)
    assert out.mean() == pytest.approx(0.5, abs=0.002)
    assert out.var() == pytest.approx(0.5 / 50 + 0.05**2, rel=0.03)
    assert out.dtype == np.float32


def test_correlated_noise_keeps_its_variance_and_lies_along_the_fast_axis() -> None:
    image = np.full((300, 300), 0.5, np.float32)
    noise = degrade.expose(image, 50, np.random.default_rng(0), fast_axis_correlation=0.6) - image
    assert noise.var() == pytest.approx(0.5 / 50, rel=0.05)
    assert noise[:, 0].var() == pytest.approx(0.5 / 50, rel=0.3)
    assert (noise[:, 1:] * noise[:, :-1]).mean() / noise.var() == pytest.approx(0.6, abs=0.03)
    assert abs((noise[1:] * noise[:-1]).mean() / noise.var()) < 0.02


def test_quantise_clips_and_rounds() -> None:
    out = degrade.quantise(np.array([[-0.2, 0.5, 1.7]], np.float32), 8)
    np.testing.assert_array_equal(out, np.array([[0, 128 / 255, 1]], np.float32))
