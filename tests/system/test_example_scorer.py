"""The example plugin, installed as a user would install it and found by its entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semdaemon.training.degrade import blur, expose, gaussian_kernel, probe_kernel, quantise

ROOT = Path(__file__).parents[2]

USE = """
import json, sys
import numpy as np
from PIL import Image
from semdaemon.focus import focus_map, load_scorer
from semdaemon.frame import Area, Frame
from semdaemon.settings import Focus

settings = Focus(confidence=0.65)
scorer = load_scorer("example", settings)
pixels = np.array(Image.open(sys.argv[1]))
frame = Frame("0" * 16, "test", "test:", pixels, "0" * 64, Area.whole(pixels.shape))
print(json.dumps(focus_map(frame, settings, scorer).as_json()))
"""


def grains(side: int, seed: int) -> np.ndarray:
    rough = np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)
    falling = sum(s * blur(rough, gaussian_kernel(s)) for s in (0.7, 1.5, 3, 6))
    return np.asarray(np.clip(0.5 + 0.15 * falling / falling.std(), 0, 1), np.float32)


def save(path: Path, image: np.ndarray) -> None:
    Image.fromarray(np.uint8(quantise(image, 8) * 255)).save(path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([*pip, *flags, str(ROOT / "plugins" / "example-scorer")], check=True, timeout=100)
    return target


def run(installed: Path, *arguments: str, **variables: str) -> str:
    path = os.pathsep.join((str(installed), str(ROOT)))
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=100
    ).stdout


def test_the_plugin_is_calibrated_found_and_used(installed: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for seed in range(2):
        save(own / f"grains{seed}.png", grains(512, seed))
    variable, _, line = (
        run(installed, "-m", "semdaemon_example_scorer.calibrate", str(own)).strip().partition("=")
    )

    scene = grains(512, 7)
    scene[:, 256:] = blur(scene, probe_kernel(8))[:, 256:]
    save(tmp_path / "half.png", expose(scene, 100, np.random.default_rng(0)))
    result = json.loads(run(installed, "-c", USE, str(tmp_path / "half.png"), **{variable: line}))

    assert result["scorer"].startswith("example 0.1.0 f4n")
    for row in result["verdict"]:
        assert row[0] == "sharp"
        assert row[3] == "blurred"


def test_a_bad_calibration_is_refused_with_what_was_expected(installed: Path) -> None:
    code = (
        "from semdaemon.focus import load_scorer; from semdaemon.settings import Focus\n"
        "try: load_scorer('example', Focus())\n"
        "except Exception as error: print(error)"
    )
    said = run(installed, "-c", code, SEMDAEMON_EXAMPLE_SCORER="steep")
    assert "intercept,slope,sd" in said
