"""The classical measures: what each is blind to and what not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from semdaemon.focus import measures
from semdaemon.training.degrade import blur, expose, gaussian_kernel, probe_kernel

RISING = ("variance_of_laplacian", "tenengrad", "brenner", "normalised_variance", "vollath_f4", "f4n")


def content(side: int = 256, seed: int = 0) -> np.ndarray:
    """Grains: white noise blurred a little is content with power at every scale."""
    rng = np.random.default_rng(seed)
    rough = rng.standard_normal((side, side)).astype(np.float32)
    falling = sum(s * blur(rough, gaussian_kernel(s)) for s in (0.7, 1.5, 3, 6, 12))
    return np.asarray(0.5 + 0.1 * falling / falling.std(), np.float32)


@pytest.mark.parametrize("name", RISING)
def test_a_measure_falls_with_blur(name: str) -> None:
    measure = getattr(measures, name)
    image = content()
    figures = [measure(blur(image, probe_kernel(r))) for r in (0, 2, 4, 8)]
    assert figures == sorted(figures, reverse=True)


@pytest.mark.parametrize("name", RISING)
def test_known_answers_on_a_ramp(name: str) -> None:
    ramp = np.tile(np.arange(8, dtype=np.uint8), (8, 1))
    expected = {"variance_of_laplacian": 0.0, "brenner": 4.0, "normalised_variance": 5.25 / 3.5}
    if name in expected:
        assert getattr(measures, name)(ramp) == pytest.approx(expected[name])


def test_tenengrad_of_a_ramp_is_the_sobel_gain_squared() -> None:
    ramp = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    inner = 62 / 64 * 64 + 2 / 64 * 16  # 8 per pixel inside, 4 at the mirrored borders
    assert measures.tenengrad(ramp) == pytest.approx(inner)


def test_f4n_is_blind_to_gain_offset_and_white_noise() -> None:
    image = blur(content(512), probe_kernel(3))
    plain = measures.f4n(image)
    assert measures.f4n(image * 800 + 99) == pytest.approx(plain, rel=1e-3)
    noisy = image + np.random.default_rng(3).normal(0, 0.1, image.shape)
    assert measures.f4n(noisy) == pytest.approx(plain, abs=0.06)


def test_f4n_needs_the_slow_axis_where_noise_runs_along_lines() -> None:
    image = blur(content(512), probe_kernel(3))
    noisy = expose(image, 30, np.random.default_rng(3), fast_axis_correlation=0.5)
    plain = measures.f4n(image)
    slow, fast = measures.f4n(noisy), measures.f4n(noisy, axis=measures.FAST_AXIS)
    assert abs(slow - plain) < abs(fast - plain) / 3


@pytest.mark.parametrize("sigma_px", [1.5, 2.5, 4.0])
def test_siraf_reads_the_blur_of_an_image_with_its_own_spectrum(sigma_px: float) -> None:
    side, rng = 512, np.random.default_rng(5)
    k = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    k[0, 0] = 1
    height = 1 + 2 / (k * np.sqrt(2 * np.pi)) * np.exp(-2 * (np.pi * sigma_px * k) ** 2)
    image = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) * height, (side, side))
    assert measures.siraf_sigma_px(image) == pytest.approx(sigma_px, rel=0.1)


def test_siraf_rises_with_blur_at_any_dose() -> None:
    image, rng = content(384), np.random.default_rng(6)
    for dose in (10, 200):
        exposures = [expose(blur(image, probe_kernel(r)), dose, rng) for r in (0, 3, 6, 10)]
        figures = [measures.siraf_sigma_px(exposure) for exposure in exposures]
        assert figures == sorted(figures)


def test_nothing_to_measure_is_nan_not_a_number_out_of_the_air() -> None:
    flat = np.full((64, 64), 7, np.uint16)
    assert math.isnan(measures.f4n(flat))
    assert math.isnan(measures.siraf_sigma_px(flat))
    assert measures.normalised_variance(flat * 0) == 0


def test_an_image_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="3 x 3"):
        measures.brenner(np.zeros((2, 9)))


_NOISE = np.random.default_rng(0).random((64, 64))


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (_NOISE * 3e38, True),
        (_NOISE * 1e300, True),
        (_NOISE * 1e-37, True),
        (np.where(_NOISE < 0.1, -1.7e308, 1.7e308), True),
        (np.full((64, 64), 1e300), False),
        (np.where(_NOISE < 0.1, np.inf, 1.0), False),
        (np.where(_NOISE < 0.1, np.nan, 1.0), False),
    ],
    ids=["large", "beyond float32", "tiny", "whole range", "constant", "infinite", "not a number"],
)
def test_extreme_values_are_told_by_their_shape_or_not_at_all(pixels: np.ndarray, told: bool) -> None:
    usual = (pixels / 2 - pixels.min() / 2) / (pixels.max() / 2 - pixels.min() / 2) * 200 if told else pixels
    for measure in (measures.siraf_sigma_px, measures.f4n):
        found = measure(pixels)
        assert found == pytest.approx(measure(usual), rel=1e-3, nan_ok=True) if told else math.isnan(found)
