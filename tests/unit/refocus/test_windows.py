"""Window by window equals the whole picture."""

from __future__ import annotations

import numpy as np
import pytest

from semdaemon.errors import FrameError
from semdaemon.focus.map import BLURRED, FocusMap
from semdaemon.frame import Area
from semdaemon.refocus.discriminative import refocus_frame
from semdaemon.refocus.engine import TorchEngine
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.refocus.weights import WeightsCard
from semdaemon.refocus.windows import Windowed
from semdaemon.settings import Refocus


@pytest.mark.parametrize("shape", [(520, 456), (257, 611)])
def test_windows_equal_the_whole_picture(small_card: WeightsCard, shape: tuple[int, int]) -> None:
    engine = TorchEngine(small_card, "cpu", tile_px=128, threads=1)
    spec = NetworkSpec(**small_card.spec)
    unit = np.random.default_rng(1).random(shape, np.float32)
    wanted = np.zeros(shape, bool)
    wanted[30:240, 100:450] = True
    windowed = Windowed(engine, margin_px=spec.frame_radius_px, multiple=spec.multiple, window_px=128)
    part, whole = windowed.refocus(unit, wanted), engine.refocus(unit)
    assert np.abs(part - whole)[wanted].max() < 1e-5
    near = Windowed(engine, margin_px=8, multiple=spec.multiple, window_px=128).refocus(unit, wanted)
    assert np.abs(near - whole)[wanted].max() > 1e-4  # the margin is what makes it so


def test_windows_without_wanted_pixels_are_left_out(small_card: WeightsCard) -> None:
    seen: list[tuple[int, ...]] = []

    class Counting:
        def refocus(self, unit: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
            seen.append(unit.shape)
            return unit

    wanted = np.zeros((512, 512), bool)
    wanted[130, 130] = True
    Windowed(Counting(), margin_px=16, multiple=8, window_px=128).refocus(
        np.ones((512, 512), np.float32), wanted
    )
    assert seen == [(160, 160)]


def test_an_engine_tells_how_far_it_is(small_card: WeightsCard) -> None:
    engine = TorchEngine(small_card, "cpu", tile_px=64, threads=1)
    told: list[tuple[int, int]] = []
    engine.watch = lambda done, total: told.append((done, total))
    engine.refocus(np.random.default_rng(0).random((128, 192), np.float32))
    total = told[0][1]
    assert told == [(number, total) for number in range(1, total + 1)]
    assert total == 6 + 2 + 1


def test_an_answer_that_is_no_number_is_a_fault_and_no_picture() -> None:
    class Broken:
        def refocus(self, unit: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
            broken = unit.copy()
            broken[70, 70] = np.nan
            return broken

    pixels = (np.random.default_rng(0).random((128, 128)) * 200).astype(np.uint8)
    like = np.full((2, 2), 2.0, np.float32)
    focus = FocusMap(64, Area.whole(pixels.shape), like, like, like, np.full((2, 2), BLURRED, np.uint8), "t")
    with pytest.raises(FrameError) as caught:
        refocus_frame(pixels, focus, Broken(), Refocus(audit=False), sigma_max_px=4.0)
    assert caught.value.code == "not_finite"
