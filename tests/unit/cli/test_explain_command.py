"""``semdaemon explain``: figure, numbers and page."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from semdaemon.cli import main
from semdaemon.cli.explain import command
from semdaemon.simulate.scenes import scene
from semdaemon.training.evaluation.explain import explanation, field, noise, returning, scales

PAGE = """# A page

<!-- explain: written by semdaemon explain -->
old
<!-- end of explain -->

After it.
"""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little of everything as the figure needs."""
    monkeypatch.setattr("semdaemon.cli.explain._SCENES", 2)
    monkeypatch.setattr(explanation, "FEW", 1)
    monkeypatch.setattr(scales, "ABLATED", ((4.0, 400.0),))
    monkeypatch.setattr(returning, "RADII_PX", (2.0, 4.0))
    monkeypatch.setattr(returning, "CROP_PX", 192)
    monkeypatch.setattr(scales, "CROP_PX", 192)
    monkeypatch.setattr(field, "CROP_PX", 192)
    monkeypatch.setattr(field, "RADII_PX", (0.0, 4.0))
    monkeypatch.setattr(field, "_PER_SCENE", 1)
    monkeypatch.setattr(noise, "NOISE_SD", (0.05,))
    monkeypatch.setattr(noise, "SIDE_PX", 192)


@pytest.mark.usefixtures("short")
def test_figure_and_numbers_are_written_and_simulated_scenes_are_named(tmp_path: Path) -> None:
    said = CliRunner().invoke(command, ["--out", str(tmp_path), "--json"])
    assert said.exit_code == 0, said.output
    assert "simulated scenes" in said.stderr
    told = json.loads(said.stdout)
    assert told["conditions"]["of"] == "simulated scenes"
    assert told == json.loads((tmp_path / "explain-light.json").read_text("utf-8"))
    with Image.open(tmp_path / "explain-light.png") as picture:
        assert picture.width > 1000
        assert picture.height > picture.width
        assert len(picture.convert("L").getcolors() or []) > 100  # pictures and curves, not an empty sheet
    assert (tmp_path / "explain-light.pdf").read_bytes().startswith(b"%PDF")
    assert [(r["radius_px"], r["electrons_per_px"]) for r in told["returns"]] == [
        (radius_px, dose) for radius_px in (2, 4) for dose in (50, 400)
    ]
    assert all(0 < n["sd_out"] < n["sd"] for n in told["noise"])


@pytest.mark.usefixtures("short")
def test_the_section_of_a_page_links_its_figure_which_shows_no_frame_of_the_data(tmp_path: Path) -> None:
    page, data = tmp_path / "page.md", tmp_path / "frames"
    page.write_text(PAGE, encoding="utf-8")
    data.mkdir()
    sharp = scene("pores", (200, 220), 3)
    Image.fromarray((255 * sharp).astype("uint8")).save(data / "secret.png")
    said = CliRunner().invoke(command, ["--page", str(page), "--data", str(data)])
    assert said.exit_code == 0, said.output
    written = page.read_text("utf-8")
    assert "images/explain-light.png" in written
    assert "of the frames in frames/, seed 0" in written
    assert "simulated particles 1" in written
    assert "secret" not in written
    assert "\nold\n" not in written
    assert "After it." in written
    assert (tmp_path / "images" / "explain-light.png").is_file()
    assert "| 4, 400 |" in said.stdout


def test_without_matplotlib_the_extra_is_named_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    began = time.monotonic()
    with pytest.raises(SystemExit) as left:
        main(["explain", "--out", str(tmp_path)])
    assert left.value.code == 1
    told = capsys.readouterr().err
    assert "[extra_missing]" in told
    assert "pip install 'semdaemon[train]'" in told
    assert "simulated" not in told
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - began < 60


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_of_it_takes_less_than_two_minutes_of_one_core(tmp_path: Path) -> None:
    began = time.process_time()
    said = CliRunner().invoke(command, ["--out", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert time.process_time() - began < 120
