"""The training of the blur estimator: its examples, its labels, its resumption, its export."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from semdaemon.focus.sigma import SigmaScorer, read_card
from semdaemon.training.degrade import blur, gaussian_kernel
from semdaemon.training.focus import context, evaluation, report
from semdaemon.training.focus.context import into_card as fit_context
from semdaemon.training.focus.examples import draw_batch, draw_probe
from semdaemon.training.focus.export import export
from semdaemon.training.focus.network import (
    BINS,
    HIGHEST_SIGMA_PX,
    LOWEST_SIGMA_PX,
    SIGMA_IN_FOCUS_PX,
    SigmaNetwork,
    bin_edges_px,
    soft_labels,
)
from semdaemon.training.focus.page import BEGIN, END, write_tables
from semdaemon.training.focus.recipe import Recipe
from semdaemon.training.focus.report import into_card
from semdaemon.training.focus.trainer import Plan, Trainer
from semdaemon.training.reading import load_corpus

SMALL = Recipe(patch_px=160, patches=2, states_per_patch=2, tiles_per_state=2, procedural_share=0)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Two threads that wait for each other on a busy machine take ten times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("frames")
    for number, word in enumerate(("one", "two", "three")):
        rough = np.random.default_rng(number).standard_normal((256, 256)).astype(np.float32)
        grey = 128 + 50 * np.sign(blur(rough, gaussian_kernel(3)))
        Image.fromarray(grey.astype(np.uint8)).save(root / f"{word}.png")
    return root


def test_examples_are_tiles_in_range_with_the_blur_they_were_given(folder: Path) -> None:
    corpus, rng = load_corpus(folder), np.random.default_rng(0)
    for _ in range(5):
        tiles, sigma_px = draw_batch(corpus, SMALL, rng)
        assert tiles.shape[:2] == (8, 1)
        assert tiles.dtype == np.float32
        assert 0 <= tiles.min() <= tiles.max() <= 1
        assert (sigma_px >= SIGMA_IN_FOCUS_PX - 1e-6).all()
        assert (sigma_px <= np.hypot(SIGMA_IN_FOCUS_PX, SMALL.radius_px[1] / 2) + 1e-5).all()


def test_a_probe_has_the_blur_that_its_label_says() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        kernel, sigma_px = draw_probe(Recipe(astigmatic_share=0), rng)
        axis = np.arange(len(kernel)) - len(kernel) // 2
        variance = float((kernel.sum(axis=0) * axis**2).sum())
        # a pixelated disc is a little wider than the ideal one
        assert np.hypot(variance**0.5, SIGMA_IN_FOCUS_PX) == pytest.approx(sigma_px, rel=0.08, abs=0.15)


def test_soft_labels_are_distributions_around_the_truth() -> None:
    labels = soft_labels(torch.tensor([LOWEST_SIGMA_PX, 2.0, HIGHEST_SIGMA_PX, 100.0]))
    assert labels.shape == (4, BINS)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(4))
    edges = bin_edges_px()
    likeliest = int(labels[1].argmax())
    assert edges[likeliest] <= 2.0 <= edges[likeliest + 1]


def test_gain_and_offset_of_a_tile_do_not_matter() -> None:
    network = SigmaNetwork().eval()
    tiles = torch.rand(3, 1, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(network(tiles * 9 + 4), network(tiles), rtol=1e-3, atol=1e-3)


def test_a_training_that_was_cut_off_goes_on_as_if_it_had_not_been(folder: Path, tmp_path: Path) -> None:
    def plan(out: str, iterations: int) -> Plan:
        return Plan(folder, tmp_path / out, recipe=SMALL, iterations=iterations, validation_fraction=0.34)

    whole = Trainer(plan("whole", 4))
    whole.run()
    first = Trainer(plan("parts", 4))
    first.plan.out.mkdir()
    first.step()
    first.step()
    first.save()
    second = Trainer(plan("parts", 4))
    second.run()
    assert second.progress.iteration == 4
    for name, value in whole.average.items():
        torch.testing.assert_close(second.average[name], value, msg=name)


def test_an_exported_training_scores_and_is_measured_beside_the_classical_measures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    trainer = Trainer(Plan(folder, run, recipe=SMALL, iterations=2, validation_fraction=0.34))
    trainer.run()
    model = tmp_path / "sigma.onnx"
    card = export(run, folder, model)
    assert card["training"]["iterations"] == 2
    assert model.stat().st_size == card["bytes"]
    estimate = SigmaScorer(model=model).estimate(np.random.default_rng(0).random((3, 128, 128), np.float32))
    assert np.isfinite(estimate.sigma_px).all()

    data = tmp_path / "data"
    shutil.copytree(folder, data / "train")
    shutil.copytree(folder, data / "heldout")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nstale text\n{END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(context, "_CANDIDATES", {"trust": (0.1, 0.5)})
    monkeypatch.setattr(context, "_PER_FRAME", 2)
    monkeypatch.setattr(report, "ERROR_RADII_PX", (0.0, 3.0))
    monkeypatch.setattr(report, "ERROR_DOSES", (50.0,))
    monkeypatch.setattr(report, "_CLASSICAL_TILES", 1)
    fit_context(model, data / "train", tell=lambda line: None)
    write_tables(page, into_card(data, model))
    text = page.read_text(encoding="utf-8")
    assert "| learned, in context | " in text
    assert "| stepped | " in text
    assert "| F4n (slow axis) | " in text
    assert "stale text" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert read_card(model)["heldout"]["frames"] == 3


def test_area_under_curve_counts_ties_half() -> None:
    low, high = np.array([0.0, 1.0]), np.array([1.0, 2.0])
    assert evaluation.area_under_curve(low, high) == pytest.approx(0.875)
    assert evaluation.area_under_curve(low, low) == pytest.approx(0.5)
    assert evaluation.area_under_curve(low, np.array([])) is None
