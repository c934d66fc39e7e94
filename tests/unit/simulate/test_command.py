"""``semdaemon simulate`` on the command line."""

from __future__ import annotations

import json
from concurrent.futures import Future, wait
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from semdaemon.cli.calibrate import command as calibrate
from semdaemon.cli.simulate import command
from semdaemon.errors import SemdaemonError
from semdaemon.formats import read_frames
from semdaemon.formats.stage import stage_position
from semdaemon.settings import Limits

QUICK = ["--interval", "0", "--write-s", "0", "--size", "128x96"]


def test_json_is_one_object_a_frame_and_nothing_else(tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(tmp_path), "--frames", "2", "--json", *QUICK])
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(line["file"]).name for line in lines] == ["frame_00000.tif", "frame_00001.tif"]
    assert {line["condition"] for line in lines} == {"sharp", "step"}


def test_options_reach_the_file(tmp_path: Path) -> None:
    options = ["--frames", "1", "--bits", "16", "--vendor", "tescan", "--mode", "rename", "--no-data-bar"]
    result = CliRunner().invoke(command, [str(tmp_path), *options, *QUICK, "--kind", "fibres"])
    assert result.exit_code == 0, result.output
    pixels = tifffile.imread(tmp_path / "frame_00000.tif")
    assert (pixels.shape, pixels.dtype) == ((96, 128), "uint16")
    assert (tmp_path / "frame_00000.hdr").exists()
    assert "fibres" in result.stderr


@pytest.mark.parametrize(
    "wrong", [["--size", "big"], ["--size", "20x20"], ["--vendor", "kodak"], ["--dose", "0"]]
)
def test_wrong_usage_ends_with_2(tmp_path: Path, wrong: list[str]) -> None:
    assert CliRunner().invoke(command, [str(tmp_path), "--frames", "1", *wrong]).exit_code == 2


def test_what_goes_wrong_reaches_the_caller(tmp_path: Path) -> None:
    options = ["--frames", "1", "--truth", str(tmp_path / "inside")]
    result = CliRunner().invoke(command, [str(tmp_path), *options, *QUICK])
    assert isinstance(result.exception, SemdaemonError)
    assert result.exception.code == "truth_in_folder"


def test_ctrl_c_completes_the_frame_at_hand_and_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted_once(runs: list[Future[int]], timeout: float) -> None:
        if list(tmp_path.glob("*.tif")):
            raise KeyboardInterrupt
        wait(runs, timeout=0.01)

    monkeypatch.setattr("semdaemon.cli.simulate.wait", interrupted_once)
    result = CliRunner().invoke(command, [str(tmp_path), "--write-s", "60", "--size", "128x96"])
    assert result.exit_code == 0, result.output
    assert tifffile.imread(tmp_path / "frame_00000.tif").shape == (124, 128)


@pytest.mark.parametrize("vendor", ["fei", "zeiss", "tescan", "jeol"])
def test_a_series_through_focus_shows_one_field_at_working_distances_that_follow(
    tmp_path: Path, vendor: str
) -> None:
    options = ["--through-focus", "2.5", "--frames", "5", "--vendor", vendor, "--kind", "pores", "--json"]
    result = CliRunner().invoke(command, [str(tmp_path), *options, *QUICK])
    assert result.exit_code == 0, result.output
    said = [json.loads(line) for line in result.stdout.splitlines()]
    radius_px = [line["radius_px"]["most"] for line in said]
    assert radius_px == pytest.approx([1.25, 0.625, 0.0, 0.625, 1.25])
    frames = [
        frame for path in sorted(tmp_path.glob("*.tif")) for frame in read_frames(path, limits=Limits())
    ]
    places = [stage_position(frame.vendor, frame.metadata).working_distance_um for frame in frames]
    assert places == pytest.approx([4995, 4997.5, 5000, 5002.5, 5005])
    pictures = [frame.image.astype(float) for frame in frames]
    assert all(np.corrcoef(pictures[2].ravel(), each.ravel())[0, 1] > 0.7 for each in pictures)


def test_a_simulated_series_calibrates_the_simulator_s_aperture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/simulator.md shows it, with fewer pixels."""
    monkeypatch.setattr("semdaemon.settings.section.default_settings_path", lambda: tmp_path / "none.toml")
    options = ["--through-focus", "6", "--interval", "0", "--write-s", "0", "--size", "512x384"]
    assert CliRunner().invoke(command, [str(tmp_path / "series"), *options, "--kind", "pores"]).exit_code == 0
    files = [str(path) for path in sorted((tmp_path / "series").glob("*.tif"))]
    assert len(files) == 11
    found = json.loads(CliRunner().invoke(calibrate, [*files, "--json"], standalone_mode=False).stdout)
    assert found["aperture_mrad"] == pytest.approx(5, rel=0.15)
    assert found["focus_um"] == pytest.approx(5000, abs=2)


def test_a_series_does_not_drift(tmp_path: Path) -> None:
    options = ["--through-focus", "2", "--drift", "1", "--frames", "3"]
    assert CliRunner().invoke(command, [str(tmp_path), *options, *QUICK]).exit_code == 2
