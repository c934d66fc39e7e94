"""``semdaemon evaluate --reach``: up to which blur weights gain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from semdaemon.cli.evaluate import command
from semdaemon.training import reach
from semdaemon.training.degrade import blur, gaussian_kernel


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
