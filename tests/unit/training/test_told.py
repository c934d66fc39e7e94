"""What a scorer tells against what is true, and the correction between the two."""

from __future__ import annotations

import numpy as np

from semdaemon.training.focus.told import Correction, correction


def test_what_is_told_too_large_comes_out_right_in_the_median() -> None:
    rng = np.random.default_rng(0)
    true = np.repeat([0.6, 0.8, 1.2, 1.6, 2.6, 4.0, 6.5, 10.0], 200)
    factor = np.repeat([1.0, 1.0, 1.07, 1.07, 1.08, 1.04, 1.0, 1.15], 200)
    told = true * factor * np.exp(0.1 * rng.standard_normal(true.size))
    right = correction(told, true).of(told)
    medians = [np.median(right[true == one]) / one for one in np.unique(true)]
    np.testing.assert_allclose(medians, 1.0, atol=0.01)


def test_more_blur_is_never_corrected_to_less() -> None:
    true = np.repeat([0.6, 1.2, 1.6, 2.6], 60)
    told = np.repeat([0.6, 1.5, 1.4, 2.7], 60)
    asked = np.geomspace(0.5, 16.0, 200)
    assert np.all(np.diff(correction(told, true).of(asked)) > 0)


def test_beyond_what_was_tried_one_factor_holds() -> None:
    found = Correction(np.array([1.1, 2.0]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(found.of([0.55, 1.1, 2.0, 8.0]), [0.5, 1.0, 2.0, 8.0])


def test_too_few_tiles_correct_nothing() -> None:
    found = correction(np.full(49, 1.1), np.full(49, 1.0))
    np.testing.assert_allclose(found.of([0.6, 1.1, 8.0]), [0.6, 1.1, 8.0])
    assert correction(np.full(50, 1.1), np.full(50, 1.0)).of(1.1) == 1.0
