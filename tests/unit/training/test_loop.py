from __future__ import annotations

import csv
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.training import checkpoint, course, degrade, loop, supply
from semdaemon.training.feeding import feed
from semdaemon.training.loss import loss
from semdaemon.training.plan import adapted
from semdaemon.training.reading import load_corpus
from semdaemon.training.recipe import OURS, PUBLISHED, batch, learning_rate, sample
from semdaemon.training.stopping import Stop
from semdaemon.training.telling import Teller
from semdaemon.training.trainer import Trainer

TINY = NetworkSpec(filters=4, blocks=1, kernel=3, unshuffle=2, residual=True, detach=False)
FAST = replace(OURS, crop_px=32, batch=2, warm_up_iterations=2)
ADAM = torch.optim.Adam


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        field = degrade.blur(rng.random((320, 320), dtype=np.float32), degrade.gaussian_kernel(3))
        Image.fromarray(np.where(field > 0.5, 200, 50).astype(np.uint8)).save(folder / f"f{number}.png")
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def plan(frames: Path, out: Path, iterations: int) -> loop.Plan:
    return loop.Plan(data=frames, out=out, spec=TINY, recipe=FAST, iterations=iterations)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read_average(path)


@pytest.mark.parametrize("recipe", [FAST, replace(PUBLISHED, batch=1)])
def test_pairs_have_their_shape_and_range(frames: Path, recipe: object) -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        seen, sharp = sample(load_corpus(frames), recipe, rng)  # type: ignore[arg-type]
        assert seen.shape == sharp.shape == (recipe.crop_px,) * 2  # type: ignore[attr-defined]
        assert seen.dtype == sharp.dtype == np.float32
        assert 0 <= seen.min() <= seen.max() <= 1
        assert 0 <= sharp.min() <= sharp.max() <= 1


def test_a_training_is_reproducible_from_its_seed(frames: Path, tmp_path: Path) -> None:
    first = weights(loop.train(plan(frames, tmp_path / "a", 4)))
    second = weights(loop.train(plan(frames, tmp_path / "b", 4)))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0)


def test_a_training_cut_in_two_ends_like_one_in_one_piece(frames: Path, tmp_path: Path) -> None:
    whole = weights(loop.train(plan(frames, tmp_path / "a", 6)))
    trainer = Trainer(plan(frames, tmp_path / "b", 6))
    for _ in range(3):
        trainer.step()
    trainer.save()
    halves = weights(loop.train(plan(frames, tmp_path / "b", 6)))
    for name, value in whole.items():
        torch.testing.assert_close(value, halves[name], rtol=0, atol=0)


def test_a_training_with_a_fused_optimiser_goes_on_as_if_never_stopped(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the fused step reads parameter and state by their place in memory, not by their index."""
    monkeypatch.setattr(torch.optim, "Adam", fused_adam)
    trainer = Trainer(plan(frames, tmp_path, 4))
    for _ in range(3):
        trainer.step()
    trainer.save()
    again = Trainer(plan(frames, tmp_path, 4))
    again.resume()
    for one in (trainer, again):
        one.step()
    for name, value in trainer.learner.net.state_dict().items():
        torch.testing.assert_close(again.learner.net.state_dict()[name], value, rtol=0, atol=0)
    for parameter, state in again.learner.optimiser.state.items():
        assert state["exp_avg"].stride() == parameter.stride()  # CUDA refuses the step otherwise


def fused_adam(*given: Any, **named: Any) -> torch.optim.Optimizer:
    return ADAM(*given, **{**named, "fused": True})


def test_the_first_line_of_progress_has_a_loss_also_where_it_is_read_now_and_then(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = Trainer(plan(frames, tmp_path, 2))
    trainer.learner._look_every = 10  # as on a GPU
    course.run(trainer)
    said = capsys.readouterr().err
    assert "iteration 1 " in said
    assert "nan" not in said


def test_waiting_for_workers_is_a_share_of_this_run_and_leaves_their_start_out(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(replace(plan(frames, tmp_path, 10), workers=1))
    pair = feed(trainer.corpus, FAST, 0, start=0, workers=0, pinned=False).__next__()
    monkeypatch.setattr(supply, "feed", lambda *_, **__: slowly([1.5, 0.1, 0.1], pair))
    run = course.Course(trainer, Stop(), Teller())
    trainer.progress.iteration, trainer.progress.elapsed_s = 1000, 3600.0  # an earlier slice of time
    for _ in range(3):
        trainer.supply.take(1000)
    assert run.standing().waiting > 0.2
    assert trainer.supply._waited_s < 1.4


def slowly(pauses_s: list[float], pair: Any) -> Iterator[Any]:
    for pause_s in pauses_s:
        time.sleep(pause_s)
        yield pair


def test_the_loss_falls(frames: Path, tmp_path: Path) -> None:
    trainer = Trainer(replace(plan(frames, tmp_path, 60), recipe=replace(FAST, batch=4)))
    for _ in range(60):
        trainer.step()
    assert np.mean(trainer.learner.recent[-20:]) < np.mean(trainer.learner.recent[:10]) - 0.1


def test_a_log_of_the_gains_is_kept(frames: Path, tmp_path: Path) -> None:
    loop.train(plan(frames, tmp_path, 2))
    with (tmp_path / "validation.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert rows[-1]["iteration"] == "2"
    assert {"R4_N400", "mean", "worst"} <= set(rows[-1])


def test_a_validation_is_told_in_words(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop.train(plan(frames, tmp_path, 1))
    said = capsys.readouterr().err
    assert re.search(r"iteration 1: gain over the input [+-]\d+\.\d\d dB \(worst crop [+-]\d", said)
    assert re.search(r"R 4 px at 400 e/px [+-]\d+\.\d\d", said)


def test_a_finished_training_that_is_asked_for_again_measures_nothing_twice(
    frames: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        loop.train(plan(frames, tmp_path, 2))
    with (tmp_path / "validation.csv").open() as text:
        assert [row["iteration"] for row in csv.DictReader(text)] == ["2"]


def test_another_network_in_the_output_folder_is_not_overwritten(frames: Path, tmp_path: Path) -> None:
    loop.train(plan(frames, tmp_path, 1))
    other = replace(plan(frames, tmp_path, 2), spec=replace(TINY, filters=8))
    with pytest.raises(SemdaemonError, match="another network"):
        loop.train(other)


def test_fine_tuning_starts_from_given_weights(frames: Path, tmp_path: Path) -> None:
    first = loop.train(plan(frames, tmp_path / "a", 2))
    trainer = Trainer(replace(plan(frames, tmp_path / "b", 2), start_from=first))
    torch.testing.assert_close(
        trainer.learner.net.state_dict()["fine.head.weight"], weights(first)["fine.head.weight"]
    )


def test_the_published_schedule_decays_tenfold_and_ours_ends_at_zero() -> None:
    assert learning_rate(PUBLISHED, 0, 0.0) == pytest.approx(5e-5)
    assert learning_rate(PUBLISHED, 50_000, 1.0) == pytest.approx(5e-6)
    assert learning_rate(OURS, 0, 0.0) == pytest.approx(OURS.learning_rate / OURS.warm_up_iterations)
    assert learning_rate(OURS, 9999, 1.0) == pytest.approx(0)


def test_the_loss_of_a_perfect_result_is_the_floor(frames: Path) -> None:
    _, sharp = batch(load_corpus(frames), FAST, np.random.default_rng(0))
    target = torch.from_numpy(sharp)
    assert float(loss((target,), target, PUBLISHED)) == 0
    assert float(loss((target,), target, FAST)) < -5


def test_a_single_scale_network_trains_for_one_known_blur(frames: Path, tmp_path: Path) -> None:
    recipe = adapted(FAST, None, None, 2.0)
    path = loop.train(replace(plan(frames, tmp_path, 1), recipe=recipe, single_scale=True))
    assert "head.weight" in weights(path)


def test_the_loop_runs_as_a_module_without_click_or_pydantic(frames: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update({n: None for n in ('click', 'pydantic', 'structlog', 'zmq')});"
        "from semdaemon.training import loop; from dataclasses import replace;"
        "from semdaemon.training.plan import NETWORKS;"
        "NETWORKS['light'] = replace(NETWORKS['light'], filters=4, blocks=1);"
        "loop.main(sys.argv[1:])"
    )
    arguments = ["--data", str(frames), "--out", str(tmp_path / "o"), "--iterations", "1", "--batch", "1"]
    subprocess.run([sys.executable, "-c", code, *arguments, "--threads", "1"], check=True, timeout=100)
    assert (tmp_path / "o" / checkpoint.NAME).exists()


def test_the_finest_scale_counts_most_in_the_loss_for_decibels() -> None:
    recipe = replace(FAST, loss="log_rms", frequency_weight=0.0, coarse_weight=0.3)
    sharp = torch.full((2, 1, 16, 16), 0.5)
    coarse, mid, fine = (torch.full((2, 1, n, n), 0.5) for n in (4, 8, 16))
    wrong_fine = float(loss((coarse, mid, fine + 0.1), sharp, recipe))
    wrong_mid = float(loss((coarse, mid + 0.1, fine), sharp, recipe))
    right = float(loss((coarse, mid, fine), sharp, recipe))
    assert wrong_mid - right == pytest.approx(0.3 * (wrong_fine - right), rel=1e-3)
    tenfold = float(loss((coarse, mid, fine + 1.0), sharp, replace(recipe, coarse_weight=0)))
    assert tenfold == pytest.approx(float(np.log(1.004)), abs=1e-3)
