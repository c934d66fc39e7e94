"""The command line as other programs call it: exit codes, JSON on standard output and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from semdaemon.simulate import half_blurred, scene

# The fixed vocabulary: other programs call these.
COMMANDS = (
    *("demo", "run", "status", "frames", "why", "requeue", "listen", "score", "refocus", "verify"),
    *("simulate", "train", "evaluate", "compare", "bench", "config", "keys", "doctor"),
)


def semdaemon(*arguments: object, timeout_s: float = 100) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "semdaemon", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.fixture
def half(tmp_path: Path) -> Path:
    picture = scene("particles", (384, 512), 3, 10e-9)
    pixels, _, _ = half_blurred(picture, 6.0, 300.0, np.random.default_rng(1), 8)
    path = tmp_path / "half.tif"
    tifffile.imwrite(path, pixels)
    return path


def test_help_lists_every_command() -> None:
    said = semdaemon("--help").stdout
    for name in COMMANDS:
        assert f"\n  {name} " in said


def test_refocus_then_verify_then_a_tampered_output_fails(half: Path, tmp_path: Path) -> None:
    before = half.read_bytes()
    done = semdaemon("refocus", half, "-o", tmp_path / "out", "--json", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["reason"] == "refocused"
    output = Path(outcome["output"])
    assert output.name == "half.refocused.tif"
    assert half.read_bytes() == before
    assert semdaemon("verify", output).returncode == 0

    content = bytearray(output.read_bytes())
    with tifffile.TiffFile(output) as tif:
        content[tif.pages[0].dataoffsets[0]] ^= 1  # one bit of one pixel in the sharp half
    output.write_bytes(content)
    failed = semdaemon("verify", output, "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout.splitlines()[0])["ok"] is False


def test_everywhere_makes_the_mask_the_whole_image_area(half: Path, tmp_path: Path) -> None:
    done = semdaemon("refocus", half, "-o", tmp_path / "out", "--everywhere", "--json", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    with tifffile.TiffFile(json.loads(done.stdout)["output"]) as tif:
        assert tif.pages[1].asarray().all()


def test_a_file_that_cannot_be_refocused_is_exit_1_and_the_others_go_on(half: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"no picture at all")
    done = semdaemon("refocus", broken, half, "-o", tmp_path / "out", "--json", "--device", "cpu")
    assert done.returncode == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["code"] == "not_an_image"
    assert first["remedy"]
    assert second["reason"] == "refocused"


def test_wrong_settings_are_exit_2_and_name_file_key_and_expectation(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text("[focus]\ntile_px = 3\n", encoding="utf-8")
    done = semdaemon("config", "check", "-c", path)
    assert done.returncode == 2
    assert "wrong.toml" in done.stderr
    assert "focus.tile_px" in done.stderr


def test_run_without_anything_to_watch_is_exit_2() -> None:
    done = semdaemon("run")
    assert done.returncode == 2
    assert "--folder" in done.stderr


def test_doctor_finds_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "semdaemon.toml"
    missing = (tmp_path / "not-mounted").as_posix()
    path.write_text(
        f'[folder]\nfolders = ["{missing}"]\n[refocus]\nweights = "nowhere.safetensors"\n', encoding="utf-8"
    )
    done = semdaemon("doctor", "-c", path, "--json")
    found = {finding["check"]: finding for finding in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert found[f"folder {missing}"]["state"] == "wrong"
    assert found["worker"]["state"] == "wrong"
    assert "nowhere.safetensors" in found["worker"]["detail"]
    assert found["torch"]["state"] == "ok"
    assert all(finding["remedy"] for finding in found.values() if finding["state"] == "wrong")


@pytest.mark.timeout(180)
def test_the_demo_ends_by_itself_and_loses_nothing() -> None:
    done = semdaemon("demo", "--frames", "3", "--json", timeout_s=170)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["seen"] == summary["scored"] == summary["published"] == 3
    assert summary["refocused"] >= 1
    assert summary["failed"] == summary["lost"] == 0
