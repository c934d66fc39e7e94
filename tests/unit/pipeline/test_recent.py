"""Frames kept between scoring and refocusing: bounded in bytes, however often one is scored."""

from __future__ import annotations

import numpy as np

from semdaemon.frame import Area, Frame
from semdaemon.pipeline import RecentFrames


def a_frame(number: int) -> Frame:
    pixels = np.full((10, 10), number, np.uint8)
    return Frame(f"{number:016}", "folder", "file:///x.tif", pixels, "0" * 64, Area.whole(pixels.shape))


def test_a_frame_that_is_scored_again_counts_once() -> None:
    """By a reload that sends the queue back, or after a requeue: room for others must not shrink by it."""
    recent = RecentFrames(budget_bytes=250)
    for number in range(10):
        recent.keep(1, a_frame(number))
    recent.keep(2, a_frame(2))
    again, other = recent.take(1), recent.take(2)
    assert again is not None
    assert other is not None
    assert (again.pixels[0, 0], other.pixels[0, 0]) == (9, 2)
    assert recent.take(1) is None


def test_the_oldest_fall_out_and_one_that_is_larger_than_all_room_is_not_kept() -> None:
    recent = RecentFrames(budget_bytes=250)
    for number in range(3):
        recent.keep(number, a_frame(number))
    assert recent.take(0) is None
    assert recent.take(2) is not None
    small = RecentFrames(budget_bytes=50)
    small.keep(1, a_frame(1))
    assert small.take(1) is None
