"""Refocusing a frame: what changes, what must not, and when the audit says no."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from semdaemon.focus import BLURRED, SHARP, FocusMap
from semdaemon.frame import Area
from semdaemon.refocus.audit import audit, noise_sd, reblur
from semdaemon.refocus.discriminative import refocus_frame
from semdaemon.settings import Refocus

TILE = 64


def texture(height: int, width: int, seed: int = 1) -> np.ndarray:
    """A picture with structure at several scales, float32 in [0, 1]."""
    rng = np.random.default_rng(seed)
    layers = [ndimage.gaussian_filter(rng.standard_normal((height, width)), s) * s for s in (1, 2, 5, 11)]
    picture = sum(layers)
    return ((picture - picture.min()) / np.ptp(picture)).astype(np.float32)


class Truthful:
    """Stands in for a network: gives back the truth, so that the audit must agree."""

    def __init__(self, truth: np.ndarray) -> None:
        self.truth = truth

    def refocus(self, unit: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
        assert unit.shape == self.truth.shape
        return self.truth


def frame_with_blurred_right_half(dtype: str, scale: float) -> tuple[np.ndarray, np.ndarray, FocusMap]:
    truth = texture(192, 256)
    blurred = reblur(truth, 2.5)
    mixed = np.where(np.arange(256) < 128, truth, blurred)
    noisy = mixed + np.random.default_rng(3).normal(0, 0.02, mixed.shape)
    pixels = (np.clip(noisy, 0, 1) * scale).astype(dtype)
    framed = np.concatenate([pixels, np.zeros((20, 256), dtype)])  # a data bar below
    verdict = np.full((3, 4), SHARP, np.uint8)
    verdict[:, 2:] = BLURRED
    sigma = np.where(verdict == BLURRED, 2.5, 0.6).astype(np.float32)
    like = np.full((3, 4), 0.1, np.float32)
    return truth, framed, FocusMap(TILE, Area(0, 0, 192, 256), sigma, like, like, verdict, "test")


def levels_of(pixels: np.ndarray) -> tuple[float, float]:
    from semdaemon.frame import intensity_range

    return intensity_range(pixels[:192])


@pytest.mark.parametrize(
    ("dtype", "scale"), [("uint8", 255), ("uint16", 60000), ("int32", 1e6), ("float32", 7.0)]
)
def test_outside_the_mask_not_one_bit_changes(dtype: str, scale: float) -> None:
    truth, pixels, focus = frame_with_blurred_right_half(dtype, scale)
    low, high = levels_of(pixels)
    engine = Truthful(((truth * scale - low) / (high - low)).astype(np.float32))
    result = refocus_frame(pixels, focus, engine, Refocus(), sigma_max_px=4.0)
    assert result.pixels.dtype == pixels.dtype
    assert result.mask[:192, 128:].all()
    assert not result.mask[:, :128].any()
    assert not result.mask[192:].any()
    assert (result.pixels[~result.mask] == pixels[~result.mask]).all()
    error_before = np.mean((pixels[:192, 128:] / scale - truth[:, 128:]) ** 2)
    error_after = np.mean((result.pixels[:192, 128:] / scale - truth[:, 128:]) ** 2)
    assert error_after < 0.2 * error_before


def test_a_result_that_the_frame_does_not_support_is_rejected() -> None:
    _, pixels, focus = frame_with_blurred_right_half("uint8", 255)
    invented = texture(192, 256, seed=99)
    result = refocus_frame(pixels, focus, Truthful(invented), Refocus(), sigma_max_px=4.0)
    assert not result.regions[0].accepted
    assert result.regions[0].unexplained > 0.5
    assert not result.mask.any()
    assert (result.pixels == pixels).all()


def test_everywhere_ignores_verdicts_and_audit() -> None:
    _, pixels, focus = frame_with_blurred_right_half("uint8", 255)
    engine = Truthful(texture(192, 256, seed=99))
    result = refocus_frame(pixels, focus, engine, Refocus(everywhere=True), sigma_max_px=4.0)
    assert result.mask[:192].all()
    assert not result.mask[192:].any()


def test_a_frame_without_blurred_tiles_comes_back_as_it_is() -> None:
    _, pixels, focus = frame_with_blurred_right_half("uint8", 255)
    sharp = FocusMap(
        TILE, focus.area, focus.sigma_px, focus.score, focus.score, np.full((3, 4), SHARP, np.uint8), "test"
    )
    result = refocus_frame(pixels, sharp, Truthful(pixels), Refocus(), sigma_max_px=4.0)
    assert not result.mask.any()
    assert (result.pixels == pixels).all()


def test_noise_is_told_from_texture() -> None:
    clean = texture(256, 256)
    clean = ndimage.gaussian_filter(clean, 1.0)
    noisy = clean + np.random.default_rng(5).normal(0, 0.05, clean.shape).astype(np.float32)
    assert noise_sd(noisy) == pytest.approx(0.05, rel=0.15)


def test_the_audit_accepts_the_truth_under_noise_and_a_blur_known_to_ten_per_cent() -> None:
    truth = texture(192, 192)
    for sigma in (1.5, 3.0, 4.0):
        for noise in (0.01, 0.05, 0.15):
            frame = reblur(truth, sigma) + np.random.default_rng(8).normal(0, noise, truth.shape)
            found = audit(frame.astype(np.float32), truth, sigma * 1.1, margin_px=24)
            assert found.unexplained < 0.15, (sigma, noise)
