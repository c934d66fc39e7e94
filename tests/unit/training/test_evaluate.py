from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from semdaemon.training import degrade, quality
from semdaemon.training.evaluation import classical, measuring, scenes
from semdaemon.training.evaluation.classical import Degraded
from semdaemon.training.quality import psnr_db


@pytest.fixture(scope="module")
def scene() -> scenes.Scene:
    rng = np.random.default_rng(0)
    field = degrade.blur(rng.random((128, 128), dtype=np.float32), degrade.gaussian_kernel(3))
    return scenes.Scene("blobs", np.where(field > 0.5, np.float32(0.8), np.float32(0.2)))


@pytest.mark.parametrize("name", sorted(classical.METHODS))
def test_every_method_gains_where_there_is_blur_and_noise(scene: scenes.Scene, name: str) -> None:
    case = scenes.degrade_scene(scene, 3, 100, crop_px=96, seed=0)
    gain = psnr_db(classical.METHODS[name](case), case.sharp) - psnr_db(case.seen, case.sharp)
    assert gain > 0.4


@pytest.mark.parametrize("name", ["oracle Wiener", "oracle Richardson-Lucy", "oracle total variation"])
def test_deconvolution_beats_the_best_denoiser_where_there_is_blur(scene: scenes.Scene, name: str) -> None:
    case = scenes.degrade_scene(scene, 3, 400, crop_px=96, seed=0)
    assert psnr_db(classical.METHODS[name](case), case.sharp) > psnr_db(
        classical.oracle_denoiser(case), case.sharp
    )


def test_total_variation_flattens_noise_and_keeps_an_edge() -> None:
    step = np.where(np.arange(64) < 32, np.float32(0.2), np.float32(0.8)) * np.ones((64, 1), np.float32)
    noisy = step + np.random.default_rng(0).normal(0, 0.1, step.shape).astype(np.float32)
    out = classical.total_variation(noisy, 0.15)
    assert psnr_db(out, step) > psnr_db(noisy, step) + 8
    assert out[:, 34].mean() - out[:, 29].mean() > 0.4


def test_noise_is_measured() -> None:
    noise = np.random.default_rng(0).normal(0.5, 0.07, (128, 128)).astype(np.float32)
    assert classical.noise_sd(noise) == pytest.approx(0.07, rel=0.05)


def test_ssim_is_one_for_equal_images_and_falls_with_noise(scene: scenes.Scene) -> None:
    assert quality.ssim(scene.sharp, scene.sharp) == pytest.approx(1)
    noisy = scene.sharp + np.random.default_rng(0).normal(0, 0.1, scene.sharp.shape).astype(np.float32)
    assert quality.ssim(noisy, scene.sharp) < 0.8


def test_rows_hold_every_method_and_the_worst_scene(scene: scenes.Scene) -> None:
    flat = scenes.Scene("flat", np.full((96, 96), 0.5, np.float32))
    methods = {"half": lambda case: case.seen / 2}
    rows = measuring.evaluate([scene, flat], methods, radii_px=(2,), doses=(100,), crop_px=96)
    assert [row.method for row in rows] == ["input", "half"]
    assert rows[0].worst_gain_db == 0
    assert rows[1].worst_gain_db < -5
    assert rows[1].worst_scene == "flat"
    assert "| 2, 100 |" in measuring.as_markdown(rows)


def test_an_evaluation_repeats_from_its_seed(scene: scenes.Scene) -> None:
    first, second = (scenes.degrade_scene(scene, 4, 50, crop_px=64, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.seen, second.seen)


def test_a_strip_shows_input_results_and_truth(scene: scenes.Scene) -> None:
    case = Degraded(scene.sharp, scene.sharp, np.ones((1, 1), np.float32))
    assert measuring.strip(case, [scene.sharp]).shape == (128, 3 * 128 + 8)


def test_the_command_writes_table_card_and_strips(tmp_path: Path, scene: scenes.Scene) -> None:
    from PIL import Image

    from semdaemon.cli.evaluate import command

    data = tmp_path / "frames"
    data.mkdir()
    Image.fromarray((scene.sharp * 255).astype(np.uint8)).save(data / "blobs.png")
    arguments = ["--data", str(data), "--quick", "--json", "--crop", "96", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, [*arguments, "--device", "cpu", "--weights", "light"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert len(said["rows"]) == 4 * 7
    assert (tmp_path / "out" / "blobs_R4_N100.png").exists()
    assert "# Model card" in (tmp_path / "out" / "model-card-light.md").read_text()
