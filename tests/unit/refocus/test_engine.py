"""The engine: tiles and wanted pixels equal the full-frame run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from semdaemon.errors import WeightsError, WorkerError
from semdaemon.refocus.engine import TorchEngine, choose_device, load_network
from semdaemon.refocus.weights import WeightsCard


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width), np.float32)


@pytest.mark.parametrize("shape", [(200, 264), (201, 263), (97, 150)])
def test_tiles_equal_the_network_over_the_whole_frame(
    small_card: WeightsCard, shape: tuple[int, int]
) -> None:
    unit = picture(*shape)
    net = load_network(small_card)
    bottom, right = -shape[0] % 8, -shape[1] % 8
    padded = np.pad(unit, ((0, bottom), (0, right)), mode="reflect")
    with torch.inference_mode():
        whole = net(torch.from_numpy(padded)[None, None])[-1][0, 0, : shape[0], : shape[1]].numpy()
    tiled = TorchEngine(small_card, "cpu", tile_px=64, threads=1).refocus(unit)
    assert np.abs(tiled - whole).max() < 1e-5


def test_wanted_pixels_equal_the_full_run(small_card: WeightsCard) -> None:
    unit = picture(320, 320)
    wanted = np.zeros(unit.shape, bool)
    wanted[40:70, 200:300] = True
    wanted[250:255, 3:9] = True
    engine = TorchEngine(small_card, "cpu", tile_px=96, threads=1)
    part, whole = engine.refocus(unit, wanted), engine.refocus(unit)
    assert np.abs(part - whole)[wanted].max() < 1e-5
    assert np.abs(part - whole)[~wanted].max() > 1e-3  # it did leave the rest out


def test_a_picture_smaller_than_the_network_reaches_is_served(small_card: WeightsCard) -> None:
    assert TorchEngine(small_card, "cpu", threads=1).refocus(picture(5, 7)).shape == (5, 7)


def test_a_device_that_is_not_there_is_a_clear_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(WorkerError, match="cuda") as caught:
        choose_device("cuda")
    assert caught.value.code == "device_missing"


def test_weights_of_another_architecture_are_refused(small_card: WeightsCard) -> None:
    with pytest.raises(WeightsError) as caught:
        load_network(replace(small_card, spec={**small_card.spec, "filters": 7}))
    assert caught.value.code == "weights_mismatch"
    assert "of another shape" in caught.value.message
    assert len(caught.value.message) < 300  # not a list of all parameters
