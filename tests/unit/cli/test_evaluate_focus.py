"""``semdaemon evaluate --focus``: the table on a folder of one's own, and on none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from semdaemon.cli.evaluate import command
from semdaemon.training.degrade import blur, gaussian_kernel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    held_out = tmp_path / "heldout"
    held_out.mkdir()
    for number in range(2):
        rough = np.random.default_rng(number).standard_normal((200, 300)).astype(np.float32)
        grey = 128 + 50 * np.sign(blur(rough, gaussian_kernel(3)))
        Image.fromarray(grey.astype(np.uint8)).save(held_out / f"frame{number}.png")
    return tmp_path


def test_the_learned_estimator_stands_beside_every_classical_measure(folder: Path) -> None:
    said = CliRunner().invoke(command, ["--focus", "--quick", "--data", str(folder), "--json"])
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    (table,) = found["auc"].values()
    assert found["frames"] == 2
    assert {"learned, tile alone", "learned, in context", "F4n (slow axis)", "SIRAF fit"} <= set(table)
    assert table["learned, in context"]["auc_r5"] > 0.95
    assert "frame 2 of 2" in said.stderr


def test_figures_go_into_the_card_from_data_only(folder: Path) -> None:
    said = CliRunner().invoke(command, ["--focus", "--card"])
    assert said.exit_code == 2
    assert "--card needs --data" in said.output
