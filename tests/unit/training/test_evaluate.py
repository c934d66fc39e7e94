"""`semdaemon evaluate`: degradations, classical methods, figures and where they go."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from semdaemon.cli import evaluate_weights
from semdaemon.cli.evaluate import command
from semdaemon.refocus.weights import SHIPPED, load_card
from semdaemon.training import degrade, quality
from semdaemon.training.evaluation import blind, classical, conditions, plan, restoring, running, scenes
from semdaemon.training.evaluation.conditions import Blur, Defocus
from semdaemon.training.evaluation.halves import Halves
from semdaemon.training.evaluation.headline import IN_FOCUS, headlines
from semdaemon.training.evaluation.measuring import INPUT, NETWORK, Outcome, error_by_band
from semdaemon.training.evaluation.results import Results
from semdaemon.training.evaluation.unseen import PAIRS
from semdaemon.training.intervals import mean_interval
from semdaemon.training.quality import psnr_db


@pytest.fixture(scope="module")
def scene() -> scenes.Scene:
    return blobs(0)


def blobs(seed: int) -> scenes.Scene:
    rng = np.random.default_rng(seed)
    field = degrade.blur(rng.random((192, 192), dtype=np.float32), degrade.gaussian_kernel(3))
    return scenes.Scene(f"blobs{seed}", np.where(field > 0.5, np.float32(0.8), np.float32(0.2)))


@pytest.mark.parametrize("name", sorted(classical.METHODS))
def test_every_method_gains_where_there_is_blur_and_noise(scene: scenes.Scene, name: str) -> None:
    case = scenes.degrade_scene(scene, 3, 100, crop_px=96, seed=0)
    gain = psnr_db(classical.METHODS[name](case), case.sharp) - psnr_db(case.seen, case.sharp)
    assert gain > 0.4


@pytest.mark.parametrize("name", ["oracle Wiener", "oracle Richardson-Lucy", "oracle total variation"])
@pytest.mark.parametrize("blur", [Blur("disc", 3), Blur("tilted", 6)], ids=lambda blur: blur.kind)
def test_deconvolution_beats_the_best_denoiser_where_there_is_blur(
    scene: scenes.Scene, name: str, blur: Blur
) -> None:
    case = Defocus(blur, 400).degrade(scene, crop_px=96, seed=0)
    assert psnr_db(classical.METHODS[name](case), case.sharp) > psnr_db(
        classical.oracle_denoiser(case), case.sharp
    )


@pytest.mark.parametrize("name", ["blind Wiener", "blind Richardson-Lucy", "blind total variation"])
def test_blind_deconvolution_gains_and_hardly_more_than_its_oracle(scene: scenes.Scene, name: str) -> None:
    case = Defocus(Blur("disc", 4), 400).degrade(scene, crop_px=128, seed=0)
    found = psnr_db(blind.METHODS[name](case), case.sharp)
    oracle = psnr_db(classical.METHODS[name.replace("blind", "oracle")](case), case.sharp)
    assert psnr_db(case.seen, case.sharp) + 0.4 < found <= oracle + 0.3


def test_the_blur_that_software_could_estimate_is_about_the_true_one(scene: scenes.Scene) -> None:
    case = Defocus(Blur("disc", 6), 400).degrade(scene, crop_px=128, seed=0)
    assert blind.estimated_sigma_px(case.seen) == pytest.approx(3, rel=0.35)


def test_total_variation_flattens_noise_and_keeps_an_edge() -> None:
    step = np.where(np.arange(64) < 32, np.float32(0.2), np.float32(0.8)) * np.ones((64, 1), np.float32)
    noisy = step + np.random.default_rng(0).normal(0, 0.1, step.shape).astype(np.float32)
    out = restoring.denoised(noisy, 0.15)
    assert psnr_db(out, step) > psnr_db(noisy, step) + 8
    assert out[:, 34].mean() - out[:, 29].mean() > 0.4


def test_noise_is_measured() -> None:
    noise = np.random.default_rng(0).normal(0.5, 0.07, (128, 128)).astype(np.float32)
    assert restoring.noise_sd(noise) == pytest.approx(0.07, rel=0.05)
    assert restoring.noise_rms(noise) == pytest.approx(0.07, rel=0.05)


def test_noise_that_goes_with_the_brightness_is_measured_by_its_mean_square() -> None:
    halves = np.where(np.arange(256) < 128, np.float32(0.05), np.float32(0.6)) * np.ones((256, 1), np.float32)
    noisy = degrade.expose(halves, 40, np.random.default_rng(0))
    true = float(np.sqrt(halves.mean() / 40))
    assert restoring.noise_rms(noisy) == pytest.approx(true, rel=0.05)
    assert restoring.noise_sd(noisy) < 0.95 * true


def test_ssim_is_one_for_equal_images_and_falls_with_noise(scene: scenes.Scene) -> None:
    assert quality.ssim(scene.sharp, scene.sharp) == pytest.approx(1)
    noisy = scene.sharp + np.random.default_rng(0).normal(0, 0.1, scene.sharp.shape).astype(np.float32)
    assert quality.ssim(noisy, scene.sharp) < 0.8


def test_a_tilted_plane_is_sharp_at_one_corner_and_blurred_at_the_other(scene: scenes.Scene) -> None:
    case = Defocus(Blur("tilted", 8), 1e7).degrade(scene, crop_px=128, seed=0)
    error = np.abs(case.seen - case.sharp)
    assert error[:20, :20].mean() < 0.2 * error[-60:, -60:].mean()
    np.testing.assert_allclose(sum(share for _, share in case.parts), 1, atol=1e-6)


def test_half_a_frame_is_left_sharp_but_for_the_noise(scene: scenes.Scene) -> None:
    case = Halves(4, 1e7).degrade(scene, crop_px=128, seed=0)
    assert case.in_focus is not None
    assert np.abs(case.seen - case.sharp)[case.in_focus].max() < 0.01
    assert np.abs(case.seen - case.sharp)[:, 80:].mean() > 0.02


def test_conditions_repeat_from_their_seed_and_share_no_name_and_no_noise(scene: scenes.Scene) -> None:
    names = [step.condition.name for step in plan.whole_steps()]
    assert len(names) == len(set(names))
    assert {step.condition.name for step in plan.headline_steps()} <= set(names)
    one, other = (Defocus(Blur("disc", 0), dose) for dose in (50.0, 50.5))
    first, second = (one.degrade(scene, crop_px=64, seed=3).seen for _ in range(2))
    np.testing.assert_array_equal(first, second)
    third = other.degrade(scene, crop_px=64, seed=3).seen
    assert abs(np.corrcoef((first - third).ravel(), third.ravel())[0, 1]) > 0.1


def test_a_scene_cut_down_to_its_crop_is_degraded_alike() -> None:
    wide = scenes.Scene("wide", np.tile(blobs(1).sharp, (2, 2)))
    condition = Defocus(Blur("disc", 6), 1e5)
    whole = condition.degrade(wide, crop_px=96, seed=0)
    cut = condition.degrade(wide.around(96), crop_px=96, seed=0)
    np.testing.assert_array_equal(whole.sharp, cut.sharp)
    assert np.abs(whole.seen - cut.seen).max() < 0.02  # counting noise is 0.003


def test_errors_are_told_by_spatial_frequency() -> None:
    columns = np.arange(128, dtype=np.float32)
    sharp = np.full((128, 128), 0.5, np.float32)
    ripple = sharp + np.float32(0.1) * np.sin(2 * np.pi * 0.2 * columns)[None]
    bands = error_by_band(np.asarray(ripple, np.float32), sharp)
    assert np.argmax(bands) == 3
    assert bands[3] > 0.95 * sum(bands)


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = [mean_interval(rng.normal(1, 2, 29)).holds(1) for _ in range(100)]
    assert 0.86 <= np.mean(held) <= 1


def test_a_mean_of_equal_values_has_no_width() -> None:
    assert mean_interval([2.0, 2.0]).rounded(3) == [2.0, 2.0]
    assert mean_interval([2.0]).rounded(3) == [2.0, 2.0]


def outcomes(psnr_by_method: dict[str, list[float]], condition: str) -> list[Outcome]:
    return [
        Outcome(condition, method, f"frame{number}", psnr, 0.5, (1.0,))
        for method, values in psnr_by_method.items()
        for number, psnr in enumerate(values)
    ]


def test_the_margin_is_to_the_classical_method_that_is_best_on_average() -> None:
    name = conditions.HEADLINE[0].name
    values = {INPUT: [20.0, 20], "oracle Wiener": [30.0, 20], "oracle total variation": [24.0, 25]}
    results = Results(outcomes({**values, NETWORK: [31.0, 26]}, name))
    assert results.best_oracle(name) == "oracle Wiener"
    np.testing.assert_allclose(results.margin(name), [1, 6])
    (first, *_) = headlines(results, "light")
    assert (first.found.mean, first.met) == (3.5, True)
    assert first.wanted < headlines(results, "mrn")[0].wanted


def test_one_frame_in_focus_that_got_worse_is_not_met() -> None:
    name = conditions.IN_FOCUS[0].name
    values = {INPUT: [20.0, 30], "oracle denoiser": [22.0, 30], NETWORK: [28.0, 29.9]}
    found = {h.name: h for h in headlines(Results(outcomes(values, name)), "light") if h.group == IN_FOCUS}
    worse = found["worse than their input, 10 e/px"]
    assert (worse.found.mean, worse.met) == (1, False)
    assert found["over the oracle denoiser, 10 e/px"].met


def few_steps() -> tuple[plan.Step, ...]:
    told = (INPUT, "oracle denoiser", "oracle Wiener", NETWORK)
    chosen = (conditions.IN_FOCUS[1], conditions.HEADLINE[4], *PAIRS[0])
    return (*(plan.Step(c, told) for c in chosen), plan.Step(Halves(4, 50), (INPUT, NETWORK)))


@pytest.mark.slow  # starts two processes with torch in them
def test_figures_do_not_depend_on_the_number_of_processes() -> None:
    work = running.work_on(
        load_card("light"), [blobs(2), blobs(3)], few_steps()[1:2], device="cpu", crop_px=64
    )
    assert running.run(work, jobs=2) == running.run(work, jobs=1)


def test_a_part_of_the_frames_gets_the_same_figures_as_in_the_whole() -> None:
    card, set_of_three = load_card("light"), [blobs(2), blobs(3), blobs(4)]
    whole = running.run(
        running.work_on(card, set_of_three, few_steps()[:1], device="cpu", crop_px=64), jobs=1
    )
    part = running.work_on(card, set_of_three, few_steps()[:1], device="cpu", crop_px=64, only=["blobs4"])
    assert running.run(part, jobs=1) == [outcome for outcome in whole if outcome.frame == "blobs4"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments for a small evaluation of a copy of the shipped weights."""
    monkeypatch.setattr(plan, "whole_steps", few_steps)
    monkeypatch.setattr(plan, "headline_steps", few_steps)
    monkeypatch.setattr(evaluate_weights, "scenes_of_simulator", lambda: [blobs(7)])
    for suffix in (".safetensors", ".json"):
        (tmp_path / f"mine{suffix}").write_bytes((SHIPPED / f"light{suffix}").read_bytes())
    raw = json.loads((tmp_path / "mine.json").read_text()) | {"name": "mine", "held_out": {}}
    (tmp_path / "mine.json").write_text(json.dumps(raw))
    data = tmp_path / "frames"
    data.mkdir()
    for seed in (5, 6):
        Image.fromarray((blobs(seed).sharp * 255).astype(np.uint8)).save(data / f"grains{seed}.png")
    weights = str(tmp_path / "mine.safetensors")
    return ["--data", str(data), "--weights", weights, "--crop", "64", "--device", "cpu", "--jobs", "1"]


def test_figures_go_into_card_page_and_folder_and_can_be_made_again(small: list[str], tmp_path: Path) -> None:
    page = tmp_path / "docs" / "evaluation.md"
    page.parent.mkdir()
    page.write_text("Above.\n\n<!-- held-out: written by a command -->\n\n<!-- end of held-out -->\n")
    (page.parent / "model-card-mine.md").write_text("old")
    out = tmp_path / "out"
    said = CliRunner().invoke(command, [*small, "--card", "--page", str(page), "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert "half sharp" in said.stdout
    kept = load_card(tmp_path / "mine.safetensors")
    assert [entry["of"] for entry in kept.held_out["quick"]] == ["frames", "semdaemon simulate"]
    assert kept.cost["s_per_megapixel"] > 0
    text = page.read_text()
    for picture in ("by-blur", "by-dose", "strip-1"):
        assert f"images/evaluation-{picture}.png" in text
        assert (page.parent / "images" / f"evaluation-{picture}.png").stat().st_size > 5000
    assert "disc R 4, 50" in (page.parent / "model-card-mine.md").read_text()
    assert "# Model card" in (out / "model-card-mine.md").read_text()
    assert len(list((out / "strips").glob("*.png"))) == 2
    assert json.loads((out / "evaluation.json").read_text())["conditions"]["frames"] == 2

    again = CliRunner().invoke(command, [*small, "--quick", "--json"])
    assert again.exit_code == 0, again.output
    checks = json.loads(again.stdout)["checks"]
    assert checks
    assert all(check["within"] for check in checks)


def test_a_figure_outside_the_cards_interval_is_told_and_fails(small: list[str], tmp_path: Path) -> None:
    said = CliRunner().invoke(command, [*small, "--card"])
    assert said.exit_code == 0, said.output
    raw = json.loads((tmp_path / "mine.json").read_text())
    figure = raw["held_out"]["quick"][0]["headline"][0]
    figure["interval"] = [90.0, 91.0]
    (tmp_path / "mine.json").write_text(json.dumps(raw))
    again = CliRunner().invoke(command, [*small, "--quick"])
    assert again.exit_code == 1, again.output
    (line,) = (line for line in again.stdout.splitlines() if "**no**" in line)
    assert figure["name"] in line


def test_a_card_without_figures_is_said_plainly(small: list[str]) -> None:
    said = CliRunner().invoke(command, [*small, "--quick"])
    assert said.exit_code == 0, said.output
    assert "keeps no figures of these frames" in said.stderr
    assert "evaluate --data DIR --card" in said.stderr
    assert "asked" in said.stdout


def test_quick_figures_are_no_figures_for_a_card(small: list[str]) -> None:
    said = CliRunner().invoke(command, [*small, "--quick", "--card"])
    assert said.exit_code == 2
    assert "leave it out" in said.output


def test_a_page_without_the_section_is_told_before_anything_is_measured(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run", lambda *_, **__: pytest.fail("it measured first"))
    page = tmp_path / "page.md"
    page.write_text("Nothing to fill in.\n")
    said = CliRunner().invoke(command, [*small, "--page", str(page)])
    assert said.exit_code == 1
    assert getattr(said.exception, "code", "") == "page_without_section"
