from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from semdaemon.cli import cli
from semdaemon.cli.train import command
from semdaemon.errors import SettingsError
from semdaemon.refocus import networks, probe
from semdaemon.refocus.weights import load_card, read_tensors
from semdaemon.training import degrade
from semdaemon.training.model_card import page
from semdaemon.training.plan import NETWORKS


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        field = degrade.blur(rng.random((176, 176), dtype=np.float32), degrade.gaussian_kernel(3))
        Image.fromarray(np.where(field > 0.5, 200, 50).astype(np.uint8)).save(folder / f"f{number}.png")
    return folder


def test_train_writes_weights_that_the_daemon_can_load(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "light", replace(networks.LIGHT, filters=4, blocks=1))
    out = tmp_path / "out"
    length = ["--iterations", "1", "--batch", "1", "--threads", "1"]
    result = CliRunner().invoke(command, ["--data", str(frames), "--out", str(out), *length, "--json"])
    assert result.exit_code == 0, result.output
    card = load_card(out / "light.safetensors")
    assert json.loads(result.stdout)["sha256"] == card.sha256
    assert card.spec["filters"] == read_tensors(card)["fine.head.weight"].shape[0] == 4
    assert card.trained_on[0]["frames"] > 0
    assert probe.usable(card.probe)  # a worker is held to this answer


def test_a_training_by_a_named_recipe_goes_on_from_the_shipped_weights(frames: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(frames), "--out", str(tmp_path / "o"), "--from", "light", "--threads", "1"]
    length = ["--recipe", "long", "--iterations", "1", "--batch", "1"]
    result = CliRunner().invoke(command, [*arguments, *length])
    assert result.exit_code == 0, result.output
    shipped, tuned = load_card("light"), load_card(tmp_path / "o" / "light.safetensors")
    before, after = (read_tensors(card)["fine.head.weight"] for card in (shipped, tuned))
    np.testing.assert_allclose(np.asarray(after, float), np.asarray(before, float), atol=1e-2)
    began = {"name": "light", "sha256": shipped.sha256, "iterations": shipped.iterations}
    assert tuned.started_from.items() >= began.items()
    assert f"went on from `light` (sha256 `{shipped.sha256[:12]}`)" in page(tuned)


def test_starting_from_nowhere_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--from", "nowhere", "--out", str(tmp_path), "--iterations", "1"])
    assert result.exit_code == 2
    assert "light" in result.output


@pytest.mark.parametrize(("network", "crop", "better"), [("light", 50, 56), ("mrn", 34, 36)])
def test_a_crop_that_the_network_cannot_halve_is_wrong_usage(
    frames: Path, tmp_path: Path, network: str, crop: int, better: int
) -> None:
    arguments = ["train", "--data", str(frames), "--network", network, "--crop", str(crop)]
    result = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path), "--iterations", "1"])
    assert isinstance(result.exception, SettingsError)  # exit code 2
    assert result.exception.code == "crop_not_divisible"
    assert f"--crop {better}" in result.exception.remedy


def test_two_lengths_are_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--minutes", "1", "--iterations", "1", "--out", str(tmp_path)])
    assert result.exit_code == 2
