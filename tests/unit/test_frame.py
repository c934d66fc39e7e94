"""What is computed from a frame's pixels alone: its range of grey levels, and its means by block."""

from __future__ import annotations

import numpy as np
import pytest

from semdaemon.frame import binned, intensity_range


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f4"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (37, 41), (1100, 1300)])
def test_the_range_is_that_of_numpys_percentiles(shape: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(shape[1])
    image = np.clip(60 + 12 * rng.standard_normal(shape), 0, 127).astype(dtype)
    before = image.copy()
    lowest, highest = np.percentile(image, (0.1, 99.9))
    assert intensity_range(image) == (lowest, max(highest, lowest + 1e-6 * max(1.0, abs(lowest))))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4"])
@pytest.mark.parametrize("scale", [1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(7, 7), (40, 9), (301, 1007)])
def test_binning_gives_the_mean_of_every_whole_block(shape: tuple[int, int], scale: int, dtype: str) -> None:
    image = np.random.default_rng(0).integers(0, 120, shape).astype(dtype)
    height, width = shape[0] // scale, shape[1] // scale
    blocks = image[: height * scale, : width * scale].reshape(height, scale, width, scale)
    means = binned(image, scale)
    assert means.dtype == np.float32
    np.testing.assert_array_equal(means, blocks.astype(np.float64).mean(axis=(1, 3)).astype(np.float32))


def test_binning_a_frame_smaller_than_a_block_leaves_nothing() -> None:
    assert binned(np.zeros((3, 9), np.uint8), 4).shape == (0, 2)
