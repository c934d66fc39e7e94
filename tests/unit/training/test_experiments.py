from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from semdaemon.errors import SemdaemonError
from semdaemon.refocus import networks
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.training import checkpoint, degrade
from semdaemon.training.experiments import __main__ as command
from semdaemon.training.experiments import catalogue, page, running, tables
from semdaemon.training.experiments.catalogue import PUBLISHED_SCALE, REHEARSAL, Scale
from semdaemon.training.experiments.conditions import blurred, half_blurred
from semdaemon.training.experiments.figures import Figures
from semdaemon.training.intervals import mean_interval
from semdaemon.training.recipe import OURS, PUBLISHED, batch
from semdaemon.training.trainer import Trainer

TINY = Scale("rehearsal", NetworkSpec(filters=4, blocks=1, kernel=3), 32, 2, 1e-3, 6, 3)
MARKS = "<!-- experiments: written by a test -->\n\n<!-- end of experiments -->\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for part, count in (("train", 5), ("heldout", 3)):
        (folder / part).mkdir()
        for number in range(count):
            field = degrade.blur(rng.random((96, 96), dtype=np.float32), degrade.gaussian_kernel(3))
            picture = np.where(field > 0.5, 200, 50).astype(np.uint8)
            Image.fromarray(picture).save(folder / part / f"{part}{number}.png")
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def results(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All experiments at their smallest, run once."""
    out = tmp_path_factory.mktemp("experiments")
    return running.run(catalogue.everything(TINY), running.Series(data, out, "rehearsal"), lambda _: None)


def by_name(scale: Scale) -> dict[str, catalogue.Experiment]:
    return {experiment.name: experiment for experiment in catalogue.everything(scale)}


# What is trained


def test_the_published_scale_is_the_papers() -> None:
    made = by_name(PUBLISHED_SCALE)
    assert all(e.iterations == 50_000 for e in made.values())
    for name in ("blind", "discriminative", "non-blind-2"):
        recipe, spec = made[name].recipe, made[name].spec
        assert spec == networks.PUBLISHED == NetworkSpec(64, 16, 5, 1, residual=False, detach=True)
        assert (recipe.crop_px, recipe.batch, recipe.loss, recipe.schedule) == (256, 5, "l1", "exponential")
        assert (recipe.learning_rate, recipe.final_learning_rate) == (5e-5, pytest.approx(5e-6))
        assert recipe.electrons_per_px is None
        assert recipe.plain_crops
    assert made["discriminative"].recipe == PUBLISHED
    assert made["blind"].recipe.cutblur_share == 0


def test_non_blind_is_one_srn_a_level_and_the_others_are_mrns() -> None:
    for scale in (PUBLISHED_SCALE, REHEARSAL):
        made = by_name(scale)
        for radius_px in (2, 4, 6):
            known = made[f"non-blind-{radius_px}"]
            assert known.single_scale
            assert known.recipe.radius_px == (radius_px, radius_px)
        assert not made["blind"].single_scale
        assert made["blind"].recipe.radius_px == PUBLISHED.radius_px
        assert made["discriminative"].recipe.published_cutblur


def test_the_rehearsal_differs_from_the_published_scale_in_size_alone() -> None:
    small, full = by_name(REHEARSAL), by_name(PUBLISHED_SCALE)
    assert small.keys() == full.keys()
    rates = ("crop_px", "batch", "learning_rate")
    sizes = ("filters", "blocks", "kernel", "unshuffle")
    for name, experiment in full.items():
        same = {key: getattr(experiment.recipe, key) for key in rates}
        decayed = pytest.approx(experiment.recipe.final_learning_rate)
        recipe = replace(small[name].recipe, **same)
        assert replace(recipe, final_learning_rate=0) == replace(experiment.recipe, final_learning_rate=0)
        assert recipe.final_learning_rate in (decayed, pytest.approx(REHEARSAL.learning_rate / 10))
        assert (
            replace(small[name].spec, **{key: getattr(experiment.spec, key) for key in sizes})
            == experiment.spec
        )


def test_every_rung_changes_one_step_and_the_last_is_our_recipe() -> None:
    rungs = catalogue.ladder(REHEARSAL)
    assert [rung.name for rung in rungs] == ["blind", *(step.name for step in catalogue.STEPS)]
    for below, rung, step in zip(rungs[:-1], rungs[1:], catalogue.STEPS, strict=True):
        assert rung.spec == replace(below.spec, **step.spec)
        assert rung.recipe == replace(below.recipe, **step.recipe)
        assert (rung.spec, rung.recipe) != (below.spec, below.recipe)
        assert (rung.iterations, rung.seed_step) == (below.iterations, 0)
    last = rungs[-1]
    kept = ("name", "crop_px", "batch", "learning_rate")
    assert replace(last.recipe, **{key: getattr(OURS, key) for key in kept}) == OURS
    assert last.spec == replace(REHEARSAL.spec, residual=True, detach=False)


def test_published_crops_are_squares_of_a_frame_as_it_is(data: Path) -> None:
    corpus = running.frames_of(running.Series(data, data, "rehearsal")).corpus
    rng = np.random.default_rng(0)
    for _ in range(5):
        crop = corpus.crop(rng, 24, plain=True)
        places = [np.lib.stride_tricks.sliding_window_view(f.pixels, (24, 24)) for f in corpus.train]
        assert any((views == crop).all(axis=(2, 3)).any() for views in places)


def test_published_cutblur_pastes_a_sharp_square_of_a_sixteenth_of_the_crop(data: Path) -> None:
    corpus = running.frames_of(running.Series(data, data, "rehearsal")).corpus
    recipe = replace(by_name(TINY)["discriminative"].recipe, radius_px=(4.0, 4.0))
    seen, sharp = batch(corpus, recipe, np.random.default_rng(0))
    exact = np.abs(seen - sharp) < 1e-3
    assert exact.mean() >= 1 / 16
    windows = np.lib.stride_tricks.sliding_window_view(exact[:, 0], (8, 8), axis=(1, 2))
    assert windows.all(axis=(3, 4)).any(axis=(1, 2)).all()


# What is measured


def test_half_blurred_frames_are_exact_on_the_left_and_blurred_on_the_right(data: Path) -> None:
    frames = running.frames_of(running.Series(data, data, "rehearsal")).reported
    for case in half_blurred(frames, None, crop_px=64, seed=0):
        np.testing.assert_allclose(case.seen[:, :32], case.sharp[:, :32], atol=1e-6)
        assert np.abs(case.seen[:, 32:] - case.sharp[:, 32:]).max() > 0.1


def test_every_network_is_measured_on_the_same_noise(data: Path) -> None:
    frames = running.frames_of(running.Series(data, data, "rehearsal")).reported
    first, second = (blurred(frames, 2.0, 50.0, crop_px=64, seed=3) for _ in range(2))
    other = blurred(frames, 2.0, 50.0, crop_px=64, seed=4)
    for a, b, c in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(a.seen, b.seen)
        assert (a.seen != c.seen).any()


def test_reported_frames_are_never_trained_on_nor_watched(data: Path) -> None:
    frames = running.frames_of(running.Series(data, data, "rehearsal"))
    names = [
        {f.name for f in part} for part in (frames.corpus.train, frames.corpus.validation, frames.reported)
    ]
    assert all(names)
    assert not names[0] & names[1]
    assert all(name.startswith("heldout") for name in names[2])


def test_an_interval_holds_the_mean_and_narrows_with_frames() -> None:
    rng = np.random.default_rng(1)
    few, many = mean_interval(rng.normal(1, 1, 10)), mean_interval(rng.normal(1, 1, 1000))
    assert few.low < few.mean < few.high
    assert many.high - many.low < 0.5 * (few.high - few.low)
    assert str(mean_interval([1.0, 1.0])) == "+1.00 [+1.00, +1.00]"


# Running


def test_all_experiments_run_and_are_measured(results: dict[str, Any]) -> None:
    assert list(results["experiments"]) == [e.name for e in catalogue.everything(TINY)]
    for name, result in results["experiments"].items():
        assert [point["iteration"] for point in result["curve"]] == [2, 4, 6], name
        assert len(result["whole"]) == 12
        assert all(len(row["psnr_db"]) == 3 for row in result["whole"])
        assert result["best_iteration"] in (2, 4, 6)
    json.dumps(results)


def test_the_input_is_its_own_measure(results: dict[str, Any]) -> None:
    before = Figures(results["input"], results["input"])
    assert not before.mean_gain_db("50 e/px").any()
    assert before.half_error("sharp", "noise-free").max() < 0.3
    assert (before.noise("50 e/px") > 2 * before.noise("400 e/px")).all()


def test_a_near_identity_start_is_close_to_its_input(results: dict[str, Any]) -> None:
    gain = Figures(results["experiments"]["residual"], results["input"]).mean_gain_db("noise-free")
    blind = Figures(results["experiments"]["blind"], results["input"]).mean_gain_db("noise-free")
    assert gain.mean() > blind.mean()


class Killed(BaseException):
    pass


def test_an_experiment_killed_on_the_way_goes_on_to_the_same_end(
    data: Path, tmp_path: Path, results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, taken = Trainer.step, []

    def dying(trainer: Trainer) -> float:
        if len(taken) == 5:
            raise Killed
        taken.append(1)
        return step(trainer)

    experiments = [by_name(TINY)["ema"]]
    series = running.Series(data, tmp_path, "rehearsal")
    monkeypatch.setattr(Trainer, "step", dying)
    with pytest.raises(Killed):
        running.run(experiments, series, lambda _: None)
    monkeypatch.setattr(Trainer, "step", step)
    assert checkpoint.read_header(tmp_path / "ema" / checkpoint.NAME)["progress"]["iteration"] == 4
    again = running.run(experiments, series, lambda _: None)["experiments"]["ema"]
    whole = results["experiments"]["ema"]
    assert again["curve"] == whole["curve"]
    assert again["whole"] == whole["whole"]


def test_what_is_done_is_not_trained_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiments = [by_name(TINY)["non-blind-2"]]
    series = running.Series(data, tmp_path, "rehearsal")
    first = running.run(experiments, series, lambda _: None)
    monkeypatch.setattr(Trainer, "step", None)
    told: list[str] = []
    assert running.run(experiments, series, told.append)["experiments"] == first["experiments"]
    assert told == ["[1/1] non-blind-2: done before"]


def test_a_folder_of_another_seed_is_refused(data: Path, tmp_path: Path) -> None:
    experiments = [by_name(TINY)["blind"]]
    running._claim(tmp_path / "blind", experiments[0], running.Series(data, tmp_path, "x"), _frames(data))
    with pytest.raises(SemdaemonError, match="another seed"):
        running.run(experiments, running.Series(data, tmp_path, "rehearsal", seed=1), lambda _: None)


def _frames(data: Path) -> running.Frames:
    return running.frames_of(running.Series(data, data, "rehearsal"))


# Telling


def test_the_tables_are_written_between_the_marks(results: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "page.md"
    target.write_text(f"# Before\n{MARKS}after\n", encoding="utf-8")
    page.write(target, results)
    text = target.read_text(encoding="utf-8")
    assert text.startswith("# Before\n<!-- experiments: written by a test -->")
    assert text.endswith("<!-- end of experiments -->\nafter\n")
    for step in catalogue.STEPS:
        assert f"| + {step.title} |" in text
    assert json.loads((tmp_path / "experiments.json").read_text(encoding="utf-8")) == results
    with Image.open(tmp_path / "images" / "experiments.png") as picture:
        assert min(picture.size) > 400
        assert "Software" not in picture.info


def test_a_rehearsal_is_called_one_and_the_published_scale_is_not(results: dict[str, Any]) -> None:
    assert "A rehearsal, not the paper's networks" in page.section(results)
    assert "4 filters and 1 blocks" in page.section(results)
    assert "rehearsal" not in page.section({**results, "scale": "published"})


@pytest.mark.parametrize("names", [[], ["non-blind-2"], ["blind"], ["blind", "residual"]])
def test_a_part_is_a_table_too(results: dict[str, Any], names: list[str], tmp_path: Path) -> None:
    part = {**results, "experiments": {name: results["experiments"][name] for name in names}}
    (tmp_path / "page.md").write_text(MARKS, encoding="utf-8")
    page.write(tmp_path / "page.md", part)
    text = page.section(part)
    assert ("| non-blind, R = 2 |" in text) is ("non-blind-2" in names)
    assert ("| + residual output" in text) is ("residual" in names)
    missing = next(line for line in text.splitlines() if line.startswith("Not done yet: "))
    assert ("non-blind, R = 2" in missing) is ("non-blind-2" not in names)
    assert "Not done yet" not in page.section(results)


def test_a_change_is_against_the_row_above_and_bold_beyond_its_interval(results: dict[str, Any]) -> None:
    made = {name: json.loads(json.dumps(r)) for name, r in results["experiments"].items()}
    for name, more in (("blind", 0.0), ("residual", 1.5)):
        made[name] = json.loads(json.dumps(results["input"])) | {
            key: made[name][key] for key in ("experiment", "curve", "parameters", "best_iteration")
        }
        for row in made[name]["whole"]:
            row["psnr_db"] = [value + more for value in row["psnr_db"]]
    table = tables.of_ladder({**results, "experiments": {n: made[n] for n in ("blind", "residual")}})
    assert "| published recipe, blind | +0.00 | - |" in table
    assert "| +1.50 | **+1.50 [+1.50, +1.50]** |" in table


def test_changes_are_over_specimens_and_results_of_before_they_were_kept_say_frames(
    results: dict[str, Any],
) -> None:
    assert len(results["reported_groups"]) == len(results["reported_on"])
    of_two = tables.of_ladder({**results, "reported_groups": ["a", "a", "b"]})
    assert "bootstrap over specimens" in of_two
    assert "2 groups of 3 frames" in of_two
    old = tables.of_ladder({key: value for key, value in results.items() if key != "reported_groups"})
    assert "bootstrap over frames" in old
    assert "their specimens are not known" in old


def test_the_summary_waits_for_the_whole_ladder_and_names_the_largest_step(results: dict[str, Any]) -> None:
    whole = tables.of_ladder(results)
    before, after = (
        Figures(results["experiments"][name], results["input"]).mean_gain_db("50 e/px").mean()
        for name in ("blind", "schedule")
    )
    assert f"from {before:+.2f} to {after:+.2f} dB at 50 e/px" in whole
    assert "The step that gave most: *+ residual output, start near identity* noise-free" in whole
    part = {**results, "experiments": {n: results["experiments"][n] for n in ("blind", "residual")}}
    assert "The step that gave most" not in tables.of_ladder(part)


def test_the_command_runs_part_of_it_and_prints(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(catalogue.SCALES, "rehearsal", TINY)
    arguments = ["--data", str(data), "--out", str(tmp_path), "--scale", "rehearsal", "--only", "blind"]
    assert command.main([*arguments, "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "| published recipe, blind |" in said.out
    assert "[1/1] blind: measuring on held-out frames" in said.err


def test_a_command_stopped_by_hand_says_how_to_go_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(_: Trainer) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "step", stopped)
    arguments = ["--data", str(data), "--out", str(tmp_path), "--scale", "rehearsal", "--device", "cpu"]
    assert command.main(arguments) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_page_without_matplotlib_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert (
        command.main(["--page", str(tmp_path / "p.md"), "--out", str(tmp_path / "o"), "--device", "cpu"]) == 1
    )
    assert "semdaemon[train]" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [(["--device", "gpu"], "device_missing"), (["--page", "none.md"], "page_without_section")],
)
def test_a_wrong_device_or_page_is_told_before_a_folder_is_claimed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str], code: str
) -> None:
    assert command.main(["--out", str(tmp_path / "o"), "--only", "blind", *wrong]) == 1
    assert code in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_the_command_line_starts_without_matplotlib() -> None:
    import subprocess

    code = "import sys; sys.modules['matplotlib'] = None; import semdaemon.training.experiments.__main__"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
