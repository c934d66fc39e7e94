"""The median of finite numbers is numpy's, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from semdaemon.focus.median import median


@pytest.mark.parametrize("size", [1, 2, 3, 4, 17, 256, 1001])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint16, np.int8])
def test_the_median_is_numpys_and_leaves_its_numbers_in_their_order(size: int, dtype: type) -> None:
    values = np.random.default_rng(size).normal(0, 40, size).astype(np.int8).astype(dtype)
    before = values.copy()
    assert median(values) == np.median(values.astype(np.float64))
    np.testing.assert_array_equal(values, before)


def test_every_other_number_of_an_array_has_a_median_too() -> None:
    assert median(np.array([9.0, 0.0, 5.0, 0.0, 7.0, 0.0])[::2]) == 7.0
