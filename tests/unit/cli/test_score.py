"""``semdaemon score`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

from semdaemon.cli.picturefile import writing
from semdaemon.cli.score import command
from semdaemon.cli.scorelines import shortened
from semdaemon.errors import SemdaemonError, SettingsError
from semdaemon.simulate.scenes import scene
from semdaemon.training import spoil
from semdaemon.training.degrade import (
    blur,
    blur_varying,
    expose,
    gaussian_kernel,
    probe_kernel,
    quantise,
)


@pytest.fixture(autouse=True)
def _no_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semdaemon.settings.section.default_settings_path", lambda: tmp_path / "none.toml")


@pytest.fixture
def half_blurred(tmp_path: Path) -> Path:
    rough = np.random.default_rng(0).standard_normal((256, 512)).astype(np.float32)
    scene = np.sign(blur(rough, gaussian_kernel(4))) * 0.3 + 0.5
    scene[:, 256:] = blur(scene, probe_kernel(10))[:, 256:]
    pixels = expose(scene.astype(np.float32), 200, np.random.default_rng(1)) * 20000
    path = tmp_path / "half.tif"
    tifffile.imwrite(path, pixels.clip(0, 65535).astype(np.uint16))
    return path


def test_json_has_rows_by_columns_and_null_where_undecided(half_blurred: Path) -> None:
    result = CliRunner().invoke(command, [str(half_blurred), "--json"], standalone_mode=False)
    assert result.return_value == 0
    (line,) = result.stdout.splitlines()
    said = json.loads(line)
    assert said["file"] == str(half_blurred)
    assert (said["shape"], said["tile_px"], said["image_area"]) == ([256, 512], 128, [0, 0, 256, 512])
    assert [len(row) for row in said["sigma_px"]] == [4, 4]
    words = np.array(said["verdict"])
    assert words.shape == (2, 4)
    assert (words[:, 3] == "blurred").all()
    for key in ("sigma_px", "score"):
        missing = np.array([[value is None for value in row] for row in said[key]])
        np.testing.assert_array_equal(missing, words == "undecided")


def test_a_table_for_people_and_a_picture_of_the_map(half_blurred: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.png"
    result = CliRunner().invoke(command, [str(half_blurred), "--map", str(out)], standalone_mode=False)
    assert "half.tif" in result.stdout
    head, row, *_ = result.stdout.splitlines()
    assert head.split() == ["file", "sharp", "blurred", "beyond", "undecided", "blur", "length"]
    assert row.split()[:5] == ["half.tif", "4", "4", "0", "0"]
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    with Image.open(out) as picture:
        assert picture.width == 512
        assert picture.height > 256


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_scored(
    half_blurred: Path, tmp_path: Path
) -> None:
    absent = tmp_path / "absent.tif"
    result = CliRunner().invoke(command, [str(absent), str(half_blurred), "--json"], standalone_mode=False)
    assert result.return_value == 1
    fault, scored = (json.loads(line) for line in result.stdout.splitlines())
    assert fault["code"] == "not_found"
    assert fault["remedy"]
    assert "verdict" in scored


def test_what_the_frame_as_a_whole_shows_is_said_below_its_row(tmp_path: Path) -> None:
    sharp = 0.2 + 0.6 * scene("pores", (640, 768), seed=2)
    radius = np.broadcast_to(np.linspace(1, 12, 768, dtype=np.float32), sharp.shape)
    seen = quantise(expose(blur_varying(sharp, radius, levels=12), 200, np.random.default_rng(0)), 8) * 255
    path = tmp_path / ("a_very_long_name_of_a_frame_from_a_run_" + "0" * 60 + "_0001.tif")
    tifffile.imwrite(path, spoil.with_scale_bar(np.uint8(seen), (20, 20)))
    config = tmp_path / "semdaemon.toml"
    config.write_text("[advice]\naperture_mrad = 10\n")
    result = CliRunner().invoke(command, [str(path), "-c", str(config)], standalone_mode=False)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    said = " ".join(" ".join(lines).split())
    assert "burnt into the picture; 1 tile undecided" in said
    assert "rising to the right (sample tilted by" in said
    plain = json.loads(CliRunner().invoke(command, [str(path), "--json"], standalone_mode=False).stdout)
    assert plain["plane"]["tilted"]
    assert plain["artefacts"][0]["code"] == "lettering"
    assert plain["astigmatism"]["kind"] in ("round", "cannot_tell")


def test_long_names_lose_their_middle() -> None:
    assert shortened("short.tif") == "short.tif"
    assert len(shortened("x" * 90 + "_0001.tif")) == 26
    assert shortened("x" * 90 + "_0001.tif").endswith("_0001.tif")


def test_another_scorer_by_its_name(half_blurred: Path) -> None:
    result = CliRunner().invoke(
        command, [str(half_blurred), "--json", "--scorer", "siraf"], standalone_mode=False
    )
    assert json.loads(result.stdout)["scorer"].startswith("siraf ")


def test_an_unknown_scorer_is_refused_with_all_that_there_are(half_blurred: Path) -> None:
    result = CliRunner().invoke(command, [str(half_blurred), "--scorer", "none"], standalone_mode=False)
    assert isinstance(result.exception, SettingsError)
    assert result.exception.code == "unknown_plug"
    assert all(name in result.exception.message for name in ("sigma", "siraf", "f4n"))


@pytest.mark.parametrize(("name", "said"), [("missing/map.png", "no folder"), ("map.gif", "neither a .png")])
def test_a_map_that_cannot_be_written_is_refused_before_scoring(
    half_blurred: Path, tmp_path: Path, name: str, said: str
) -> None:
    result = CliRunner().invoke(command, [str(half_blurred), "--map", str(tmp_path / name)])
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_a_disk_that_takes_no_picture_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(SemdaemonError) as refused, writing(tmp_path):
        tmp_path.write_bytes(b"a folder is no file")
    assert refused.value.code == "picture_unwritable"
    assert str(tmp_path) in refused.value.message
