"""Noise of a frame: its size, and the electrons it speaks of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from semdaemon.focus import noise as noise_module
from semdaemon.focus.noise import noise_json, noise_of
from semdaemon.training.degrade import expose, quantise


def scene(seed: int = 0) -> np.ndarray:
    rough = gaussian_filter(np.random.default_rng(seed).standard_normal((512, 512)), 12)
    return np.clip(0.4 + 0.15 * rough / rough.std(), 0.05, 0.85).astype(np.float32)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
@pytest.mark.parametrize("dose", [50.0, 200.0])
def test_noise_and_electrons_are_found_whatever_gain_and_offset(dose: float, correlation: float) -> None:
    sharp, rng = scene(), np.random.default_rng(1)
    seen = quantise(expose(sharp, dose, rng, fast_axis_correlation=correlation), 16)
    noise = noise_of((5000 + 20000 * seen).astype(np.uint16))
    middling = float(np.median(sharp))
    assert noise is not None
    assert noise.sd == pytest.approx(20000 * (middling / dose) ** 0.5, rel=0.1)
    assert noise.electrons_per_px == pytest.approx(middling * dose, rel=0.35)


def test_noise_that_does_not_rise_with_brightness_tells_no_electrons() -> None:
    seen = scene() + 0.05 * np.random.default_rng(2).standard_normal((512, 512))
    noise = noise_of((40000 * np.clip(seen, 0.01, 1.5)).astype(np.uint16))
    assert noise is not None
    assert noise.sd == pytest.approx(2000, rel=0.1)
    assert noise.electrons_per_px is None


@pytest.mark.parametrize("image", [np.full((512, 512), 255, np.uint8), np.zeros((2, 900), np.uint8)])
def test_a_constant_or_tiny_image_has_no_noise_to_tell(image: np.ndarray) -> None:
    assert noise_of(image) is None
    assert noise_json(None) == {"noise_sd": None, "electrons_per_px": None}


@pytest.mark.parametrize("block_px", [1, 7000, 2**40])
def test_noise_does_not_depend_on_how_many_lines_are_looked_at_together(
    block_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = quantise(expose(np.tile(scene(), (3, 2)), 60.0, np.random.default_rng(3)), 8)
    image = np.rint(255 * seen).astype(np.uint8)
    expected = noise_of(image)
    monkeypatch.setattr(noise_module, "_BLOCK_PX", block_px)
    assert noise_of(image) == expected


def test_pixels_that_are_equally_bright_are_never_told_apart() -> None:
    rng = np.random.default_rng(4)
    brightness, bend = rng.integers(0, 20, 5000).astype(np.float32), rng.random(5000, np.float32)
    shares = list(noise_module._by_brightness(brightness, bend))
    assert len(shares) == 12
    for bright, bends in shares:
        inside = np.isin(brightness, np.unique(bright))
        np.testing.assert_array_equal(np.sort(bright), np.sort(brightness[inside]))
        np.testing.assert_array_equal(np.sort(bends), np.sort(bend[inside]))
    assert sum(bright.size for bright, _ in shares) == 5000
