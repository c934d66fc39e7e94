"""``semdaemon compare`` as a user calls it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from safetensors.numpy import save

from semdaemon.cli import cli
from semdaemon.cli.comparelines import summary
from semdaemon.errors import SemdaemonError
from semdaemon.refocus.weights import load_card, read_tensors
from semdaemon.simulate.scenes import scene
from semdaemon.training.degrade import blur, expose, probe_kernel, quantise
from semdaemon.training.evaluation.agreement import Agreement, Side


@pytest.fixture(autouse=True)
def _no_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semdaemon.settings.section.default_settings_path", lambda: tmp_path / "none.toml")


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """The shipped weights, a little changed."""
    card = load_card("light")
    rng = np.random.default_rng(0)
    tensors = {
        name: (value.astype(np.float32) * (1 + 0.03 * rng.standard_normal(value.shape))).astype(np.float16)
        for name, value in read_tensors(card).items()
    }
    return _written(tmp_path / "tuned.safetensors", save(tensors), card.as_dict() | {"probe": {}})


def _written(path: Path, content: bytes, card: dict[str, Any]) -> Path:
    path.write_bytes(content)
    card |= {"name": path.stem, "sha256": hashlib.sha256(content).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["compare", *map(str, arguments)], standalone_mode=False)


def test_frames_as_they_are_go_the_daemons_way(tuned: Path, tmp_path: Path) -> None:
    frames, out = tmp_path / "frames", tmp_path / "out"
    frames.mkdir()
    sharp = 0.15 + 0.7 * scene("particles", (256, 384), seed=1)
    sharp[:, 128:] = blur(sharp, probe_kernel(8))[:, 128:]
    seen = quantise(expose(sharp.astype(np.float32), 200, np.random.default_rng(0)), 8)
    tifffile.imwrite(frames / "half.tif", (seen * 255).astype(np.uint8))
    (frames / "broken.tif").write_text("no picture")
    result = _run("light", tuned, "--frames", frames, "--out", out, "--device", "cpu", "--json")
    assert result.exception is None, result.output
    assert result.return_value == 1
    fault, said = (json.loads(line) for line in result.stdout.splitlines())
    assert (Path(fault["file"]).name, fault["code"]) == ("broken.tif", "not_an_image")
    assert (said["a"]["name"], said["b"]["name"]) == ("light", "tuned")
    light, other = said["answers"]
    assert light["regions"] == other["regions"] == 1
    assert light["accepted"] == 1
    assert light["sigma_after_px"] < light["sigma_before_px"]
    assert said["rms_over_noise"] > 0
    assert Path(said["picture"]).is_file()
    left = said["place"][1]
    assert 0 <= left < 384


def test_sharp_frames_give_differences_and_a_verdict(tuned: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for number in range(5):
        pixels = scene("pores", (96, 96), seed=number) * 255
        tifffile.imwrite(data / f"f{number}.tif", pixels.astype(np.uint8))
    asked = ("light", tuned, "--data", data, "--quick", "--crop", 64, "--device", "cpu")
    shown = _run(*asked, "--out", out)
    assert shown.exception is None, shown.output
    assert shown.return_value == 0
    assert "5 sharp frames" in shown.stdout
    assert "- light changes sharp frames by" in shown.stdout
    said = json.loads(_run(*asked, "--json").stdout)
    assert len(said["rows"]) == 4
    assert said["rows"][0]["psnr_difference_db"]["frames"] == said["frames"] == 5
    assert said == json.loads((out / "comparison.json").read_text())
    assert len(list(out.glob("*.png"))) == 5


def test_frames_in_which_nothing_is_blurred_are_said_to_show_nothing() -> None:
    pixels = np.zeros((8, 8), np.uint8)
    idle = Side(pixels, pixels > 0, 0, 0, None, 0.0, None, None, 0.0)
    apart = Agreement(1.0, None, None, 0.0, 0.0, None)
    said = summary([("sharp.tif", idle, idle, apart)], ("a", "b"))
    assert said == ["Neither found anything to refocus in these frames, so there is nothing to compare."]


def test_wrong_usage_is_told(tuned: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, words in (
        (("light", "light", tmp_path / "f.tif"), "same weights"),
        (("light", tuned), "--data"),
        (("light", tuned, tmp_path / "f.tif", "--data", empty), "--data"),
        (("light", tuned, "--frames", empty), "holds no frame"),
    ):
        result = CliRunner().invoke(cli, ["compare", *map(str, arguments)])
        assert result.exit_code == 2
        assert words in result.output
    assert _run("light", tuned, "--data", empty).exception.code == "no_frames"  # type: ignore[union-attr]


def test_weights_that_do_not_hold_are_refused_before_any_frame(tuned: Path, tmp_path: Path) -> None:
    card = json.loads(tuned.with_suffix(".json").read_text())
    strange = tuned.with_name("strange.safetensors")
    _written(strange, tuned.read_bytes(), card | {"spec": {**card["spec"], "attention": 8}})
    tampered = tuned.with_name("tampered.safetensors")
    _written(tampered, tuned.read_bytes(), card)
    tampered.write_bytes(tuned.read_bytes()[:-1] + b"\x01")
    tampered_card = json.loads(tampered.with_suffix(".json").read_text()) | {"sha256": "0" * 64}
    tampered.with_suffix(".json").write_text(json.dumps(tampered_card))
    frame = (tmp_path / "f.tif", "--device", "cpu")
    for path, code, where in (
        (strange, "weights_unknown_architecture", ("--data", tmp_path)),
        (strange, "weights_unknown_architecture", frame),
        (tampered, "weights_hash_mismatch", ("--data", tmp_path)),
        (tampered, "weights_hash_mismatch", frame),
        (tmp_path / "absent.safetensors", "weights_missing", frame),
    ):
        error = _run("light", path, *where).exception
        assert isinstance(error, SemdaemonError)
        assert error.code == code


def test_a_file_changed_under_its_own_card_is_not_taken_for_the_same_weights(tmp_path: Path) -> None:
    card = load_card("light")
    content = bytearray(card.path.read_bytes())
    content[-5] ^= 1
    (tmp_path / "light.safetensors").write_bytes(bytes(content))
    (tmp_path / "light.json").write_bytes(card.path.with_suffix(".json").read_bytes())
    result = _run("light", tmp_path / "light.safetensors", "--data", tmp_path)
    assert isinstance(result.exception, SemdaemonError)
    assert result.exception.code == "weights_hash_mismatch"
