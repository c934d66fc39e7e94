"""The test picture and its answer: what passes and what does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from semdaemon.refocus import probe
from semdaemon.refocus.discriminative import refocus_frame
from semdaemon.refocus.engine import TorchEngine
from semdaemon.refocus.weights import WeightsCard, available, load_card

Picture = np.ndarray


@pytest.fixture(scope="module")
def light() -> tuple[WeightsCard, TorchEngine]:
    card = load_card("light")
    return card, TorchEngine(card, "cpu", threads=1)


def through(engine: object, sigma_max_px: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    frame, focus = probe.picture()
    result = refocus_frame(frame.pixels, focus, engine, probe.SETTINGS, sigma_max_px=sigma_max_px)  # type: ignore[arg-type]
    return result.pixels, result.mask


@pytest.mark.parametrize("name", available())
def test_every_shipped_card_has_the_answer_that_its_weights_give(name: str) -> None:
    card = load_card(name)
    engine = TorchEngine(card, "cpu", threads=1)
    result = probe.judge(*through(engine, card.sigma_max_px), card.probe)
    assert result.passed
    assert result.against == "stored"
    assert result.rms is not None
    assert result.rms < 1e-4  # another CPU rounds differently, and no more than that


class Precise:
    """An engine at half the precision, as accelerators run it."""

    def __init__(self, engine: TorchEngine, dtype: torch.dtype) -> None:
        self.engine, self.dtype = engine, dtype

    def refocus(self, unit: Picture, wanted: Picture | None = None) -> Picture:
        with torch.autocast("cpu", dtype=self.dtype):
            return self.engine.refocus(unit, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_passes(light: tuple[WeightsCard, TorchEngine], dtype: torch.dtype) -> None:
    card, engine = light
    result = probe.judge(*through(Precise(engine, dtype)), card.probe)
    assert result.passed, result
    assert result.rms is not None
    assert result.rms > 1e-5  # it did compute at less


class Wrong:
    def __init__(self, engine: TorchEngine, change: Callable[[Picture], Picture]) -> None:
        self.engine, self.change = engine, change

    def refocus(self, unit: Picture, wanted: Picture | None = None) -> Picture:
        return self.change(self.engine.refocus(unit, wanted))


def one_wrong_spot(picture: Picture) -> Picture:
    changed = picture.copy()
    changed[50:54, 60:64] += 0.2
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture * 0.98 + 0.03,
        lambda picture: np.roll(picture, 1, axis=1),
        lambda picture: np.zeros_like(picture),
        one_wrong_spot,
    ],
)
def test_a_wrong_answer_fails(
    light: tuple[WeightsCard, TorchEngine], change: Callable[[Picture], Picture]
) -> None:
    card, engine = light
    result = probe.judge(*through(Wrong(engine, change)), card.probe)
    assert not result.passed
    assert "off by" in result.why


def test_weights_of_which_one_layer_is_lost_fail(light: tuple[WeightsCard, TorchEngine]) -> None:
    card, _ = light
    damaged = TorchEngine(card, "cpu", threads=1)
    with torch.no_grad():
        damaged.net.fine.blocks[3].first.weight.zero_()
    assert not probe.judge(*through(damaged), card.probe).passed


def test_pixels_outside_the_mask_and_another_mask_fail(light: tuple[WeightsCard, TorchEngine]) -> None:
    card, engine = light
    pixels, mask = through(engine)
    touched = pixels.copy()
    touched[0, 0] += 1
    assert "outside the mask" in probe.judge(touched, mask, card.probe).why
    assert "mask" in probe.judge(pixels, np.zeros_like(mask), card.probe).why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda picture: np.full_like(picture, 0.5), "nothing in common"),
        (lambda picture: 1 - picture, "nothing in common"),
    ],
)
def test_without_a_stored_answer_nonsense_fails_and_sense_passes(
    light: tuple[WeightsCard, TorchEngine], change: Callable[[Picture], Picture], why: str
) -> None:
    _, engine = light
    assert probe.judge(*through(engine), {}).passed
    assert why in probe.judge(*through(Wrong(engine, change)), {}).why


def test_an_engine_that_gives_back_what_it_got_fails_without_a_stored_answer() -> None:
    class Idle:
        def refocus(self, unit: Picture, wanted: Picture | None = None) -> Picture:
            return unit

    assert "nothing was refocused" in probe.judge(*through(Idle()), {}).why


def test_an_answer_to_another_picture_is_no_answer() -> None:
    assert not probe.usable({"picture": probe.PICTURE + 1, "pixels": "AAAA"})
    assert not probe.usable({})
    assert probe.usable(load_card("light").probe)


def test_an_answer_of_the_wrong_size_fails_and_does_not_raise(
    light: tuple[WeightsCard, TorchEngine],
) -> None:
    for pixels, why in (("AAAAAAAA", "samples"), ("AAAA", "cannot be read"), ("?", "cannot be read")):
        result = probe.judge(*through(light[1]), {"picture": probe.PICTURE, "pixels": pixels})
        assert not result.passed
        assert why in result.why


def test_the_picture_is_the_same_everywhere() -> None:
    """Its pixels are the question to which every card on disk holds the answer."""
    frame, _ = probe.picture()
    assert frame.pixels.shape == (104, 96)
    assert int(frame.pixels[:96].astype(np.int64).sum()) == pytest.approx(PIXEL_SUM, abs=96 * 96)


PIXEL_SUM = 250_309_951
