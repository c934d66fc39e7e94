"""``semdaemon simulate`` on the command line."""

from __future__ import annotations

import json
from concurrent.futures import Future, wait
from pathlib import Path

import pytest
import tifffile
from click.testing import CliRunner

from semdaemon.cli.simulate import command
from semdaemon.errors import SemdaemonError

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
