"""The bootstrap of all pages: over specimens where they are known, over frames where they tell nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from semdaemon.training.intervals import clusters, drawn, mean_interval

SIZES = (4, 4, 6, 2, 1, 1, 1, 1, 1, 2, 3, 3)
"""Frames of each specimen, as many as the held-out frames have."""

GROUPS = np.repeat(np.arange(len(SIZES)), SIZES)


def alike(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Figures of mean 0 and variance 1, of which the specimen makes seven tenths."""
    return np.sqrt(0.7) * rng.normal(size=len(SIZES))[GROUPS] + np.sqrt(0.3) * rng.normal(size=len(GROUPS))


def test_frames_of_one_specimen_said_again_do_not_narrow_an_interval() -> None:
    once = np.random.default_rng(0).normal(size=10)
    again = mean_interval(np.repeat(once, 3), np.repeat(np.arange(10), 3))
    assert (again.low, again.high) == pytest.approx((mean_interval(once).low, mean_interval(once).high))
    as_frames = mean_interval(np.repeat(once, 3))
    assert again.high - again.low > 1.5 * (as_frames.high - as_frames.low)


def test_intervals_over_specimens_hold_the_true_mean_where_those_over_frames_do_not() -> None:
    rng = np.random.default_rng(0)
    found = [(mean_interval(v, GROUPS).holds(0), mean_interval(v).holds(0)) for v in map(alike, [rng] * 200)]
    over_specimens, over_frames = np.mean(found, axis=0)
    assert over_specimens >= 0.84
    assert over_frames < over_specimens - 0.08


def test_whole_specimens_are_drawn_and_the_mean_is_over_their_frames() -> None:
    values = alike(np.random.default_rng(1))
    rng, means = np.random.default_rng(2), []
    for _ in range(4000):
        chosen = rng.integers(0, len(SIZES), len(SIZES))
        means.append(np.concatenate([values[group == GROUPS] for group in chosen]).mean())
    found = mean_interval(values, GROUPS)
    assert found.mean == values.mean()
    assert (found.low, found.high) == pytest.approx(np.quantile(means, (0.025, 0.975)), abs=0.04)


def test_an_interval_repeats_and_does_not_depend_on_what_groups_are_called() -> None:
    values = alike(np.random.default_rng(3))
    named = mean_interval(values, [f"specimen {number:02d}" for number in GROUPS])
    assert named == mean_interval(values, GROUPS) == mean_interval(values, GROUPS)


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        (None, "their specimens are not known"),
        (["a"] * 29, "all are of one specimen"),
        ([f"f{number}" for number in range(29)], "no two are known to be of one specimen"),
    ],
)
def test_groups_that_tell_nothing_leave_frames_and_the_words_say_why(
    groups: list[str] | None, why: str
) -> None:
    values = np.random.default_rng(4).normal(size=29)
    of = drawn(29, groups)
    assert mean_interval(values, groups) == mean_interval(values)
    assert (of.over, of.count, of.whole) == ("frames", 29, False)
    assert why in " ".join(of.sentences())


def test_what_is_drawn_is_told_in_words() -> None:
    of = drawn(29, GROUPS)
    assert (of.over, of.count, str(of)) == ("specimens", 12, "29 frames of 12 specimen groups")
    assert of.sentences()[0].endswith("12 groups of 29 frames.")
    assert "about 90 times with 12 groups" in of.sentences()[1]
    assert len(drawn(200, np.arange(200) // 2).sentences()) == 1
    assert (str(drawn(1)), str(drawn(3)), str(drawn(3, ["aaa"] * 3))) == (
        "1 frame",
        "3 frames",
        "3 frames of one specimen group",
    )
    np.testing.assert_array_equal(clusters(4, ["b", "a", "b", "c"]), [1, 0, 1, 2])


def test_figures_and_groups_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="as many specimen groups"):
        mean_interval([1.0, 2.0, 3.0], ["a", "b"])
