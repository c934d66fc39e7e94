"""What the blur estimator is shown, and training on from what was shipped."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from semdaemon.errors import SemdaemonError
from semdaemon.focus.sigma import MODEL
from semdaemon.training.corpus import Corpus
from semdaemon.training.degrade import blur, gaussian_kernel
from semdaemon.training.focus.examples import draw_batch
from semdaemon.training.focus.export import as_onnx
from semdaemon.training.focus.network import SIGMA_IN_FOCUS_PX, SigmaNetwork
from semdaemon.training.focus.recipe import Recipe
from semdaemon.training.focus.scenes import draw_scene, own_sigma_px, shrunk
from semdaemon.training.focus.selection import error_needed, expected_when_decided
from semdaemon.training.focus.warmstart import start_from
from semdaemon.training.frames import CorpusFrame

SMALL = Recipe(patch_px=160, patches=2, procedural_share=0)


def frame(seed: int = 0, side: int = 400, cutoff: float = 0.4) -> CorpusFrame:
    rough = np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)
    pixels = (0.5 + 0.2 * np.sign(blur(rough, gaussian_kernel(3)))).astype(np.float32)
    return CorpusFrame(f"{seed}", f"{seed}", pixels, 1.0, cutoff)


def blur_of_an_edge(edge: np.ndarray) -> float:
    """Standard deviation of the line spread: the derivative across an edge along columns."""
    spread = np.abs(np.diff(edge.astype(np.float64), axis=1)).mean(axis=0)
    places = np.arange(spread.size)
    middle = (places * spread).sum() / spread.sum()
    return math.sqrt(((places - middle) ** 2 * spread).sum() / spread.sum())


def test_a_scene_shown_smaller_is_sharper_by_as_much_as_its_label_says() -> None:
    edge = np.zeros((300, 300), np.float32)
    edge[:, 151:] = 1
    soft = blur(edge, gaussian_kernel(3.0))
    small, own_px = shrunk(soft, 150, 3.0)
    assert small.shape == (150, 150)
    assert own_px == pytest.approx(blur_of_an_edge(small), rel=0.1)
    assert shrunk(edge, 100, 0.6)[1] == SIGMA_IN_FOCUS_PX


def test_a_frame_soft_at_pixel_scale_is_labelled_with_its_own_blur() -> None:
    soft = frame(cutoff=0.1)
    corpus = Corpus((frame(),), (), (soft,))
    recipe = Recipe(
        patch_px=160, procedural_share=0, soft_share=1, shrunk_share=0, mixed_share=0, sharp_share=1
    )
    scene, own_px = draw_scene(corpus, recipe, np.random.default_rng(0))
    assert scene.shape == (160, 160)
    assert own_px == own_sigma_px(soft) > 1.5
    assert draw_batch(corpus, recipe, np.random.default_rng(0))[1] == pytest.approx(own_px)


def test_scenes_stay_in_range_whatever_is_done_to_them() -> None:
    corpus, rng = Corpus((frame(), frame(1)), ()), np.random.default_rng(0)
    for share in (0.0, 1.0):
        recipe = Recipe(
            patch_px=96, procedural_share=0, mixed_share=share, tone_share=share, inverted_share=share
        )
        for _ in range(10):
            scene, own_px = draw_scene(corpus, recipe, rng)
            assert scene.shape == (96, 96)
            assert scene.dtype == np.float32
            assert 0 <= scene.min() <= scene.max() <= 1
            assert own_px >= SIGMA_IN_FOCUS_PX


def test_the_same_seed_draws_the_same_examples() -> None:
    corpus = Corpus((frame(),), ())
    first, second = (draw_batch(corpus, SMALL, np.random.default_rng(3)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_goes_on_from_the_shipped_model_with_the_very_same_answers() -> None:
    corpus = Corpus((frame(),), ())
    tiles = draw_batch(corpus, SMALL, np.random.default_rng(1))[0]
    network = SigmaNetwork()
    start_from(MODEL, network, torch.from_numpy(tiles))
    other = np.random.default_rng(2).random((3, 1, 128, 128), np.float32)
    expected = onnxruntime.InferenceSession(str(MODEL)).run(None, {"tiles": other})[0]
    with torch.inference_mode():
        np.testing.assert_allclose(network.eval()(torch.from_numpy(other)).numpy(), expected, atol=2e-3)
        seen = network.train().stem[1](network.stem[0](torch.from_numpy(tiles)))
    assert torch.isfinite(seen).all()


def test_a_model_of_another_architecture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(as_onnx(SigmaNetwork(widths=(8, 12, 24, 28))))
    with pytest.raises(SemdaemonError, match="does not hold this blur estimator") as raised:
        start_from(path, SigmaNetwork(), torch.zeros(1, 1, 64, 64))
    assert raised.value.code == "another_network"


def test_of_tiles_beside_the_limit_the_misread_are_decided() -> None:
    beside = expected_when_decided(0.145, 1.17, limit_px=1.25, confidence=0.8)
    apart = expected_when_decided(0.145, 3.0, limit_px=1.25, confidence=0.8)
    assert beside[0] < 0.5 < 0.99 < apart[0]
    assert beside[1] > 1.4 * 0.145
    assert apart[1] == pytest.approx(0.145, rel=0.1)
    assert error_needed(0.2, 1.17, limit_px=1.25, confidence=0.8) < 0.145


def test_the_share_that_is_decided_beside_the_limit_is_what_drawing_tiles_gives() -> None:
    sd = np.log(1.2) / 0.6745
    estimate = np.log(1.17) + sd * np.random.default_rng(0).standard_normal(200_000)
    decided = np.abs(estimate - np.log(1.25)) > 0.8416 * sd
    share, error = expected_when_decided(0.2, 1.17, limit_px=1.25, confidence=0.8)
    assert share == pytest.approx(decided.mean(), abs=0.01)
    assert error == pytest.approx(np.median(np.abs(np.exp(estimate[decided]) / 1.17 - 1)), abs=0.01)
