"""``semdaemon evaluate --reach``: up to which blur weights gain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from semdaemon.cli.evaluate import command
from semdaemon.training.degrade import blur, gaussian_kernel
from semdaemon.training.evaluation import reach
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.reading import load_corpus


def test_the_gain_over_the_best_denoiser_is_told_at_each_working_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rough = np.random.default_rng(0).standard_normal((160, 160)).astype(np.float32)
    grey = 128 + 60 * np.sign(blur(rough, gaussian_kernel(6)))
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "grains.png")
    monkeypatch.setattr(reach, "RADII_PX", (6.0, 200.0))
    monkeypatch.setattr(reach, "DOSES", (400.0,))
    said = CliRunner().invoke(command, ["--reach", "--data", str(tmp_path), "--json"])
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    near, far = found["rows"]
    assert (near["scale"], far["scale"]) == (1, 4)
    assert near["gain_db"] > 1 > far["gain_db"]
    assert found["repairs_up_to_px"] == 3.1
    assert "dB over the best denoiser" in said.stderr


def test_choices_are_made_on_what_a_training_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    for specimen in "abcd":
        Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(tmp_path / f"{specimen}_1.png")
    rows = [f"{specimen}_1.png,{specimen},0.4" for specimen in "abcd"]
    (tmp_path / "index.csv").write_text("\n".join(["file,group,cutoff", *rows]), encoding="utf-8")
    aside = [frame.name for frame in load_corpus(tmp_path, validation_fraction=0.3, seed=4).validation]
    measured: list[str] = []

    def note(_card: object, scenes: list[Scene], **_: object) -> list[reach.Reach]:
        measured.extend(scene.name for scene in scenes)
        return []

    monkeypatch.setattr(reach, "reach", note)
    said = CliRunner().invoke(command, ["--reach", "--data", str(tmp_path), "--validation", "0.3"])
    assert said.exit_code == 0, said.output
    assert measured == aside
    assert 0 < len(aside) < 4
