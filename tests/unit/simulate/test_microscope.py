"""Runs: the same settings give the same pixels, the mix is as promised, and the truth stands beside."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from semdaemon.errors import SemdaemonError
from semdaemon.simulate import Microscope, MicroscopeSettings, Vendor, WrittenFrame

QUICK = MicroscopeSettings(shape=(96, 128), interval_s=0.0, write_s=0.0)


def test_the_same_seed_gives_the_same_pixels_in_any_order() -> None:
    one, other = Microscope(QUICK), Microscope(QUICK)
    later = one.frame(3)
    other.frame(0)
    assert np.array_equal(later.pixels, other.frame(3).pixels)
    assert not np.array_equal(later.pixels, Microscope(replace(QUICK, seed=1)).frame(3).pixels)


def test_twelve_frames_are_a_third_sharp_a_half_in_part_and_the_rest_wholly_out_of_focus() -> None:
    frames = [Microscope(QUICK).frame(index) for index in range(12)]
    counts = Counter(frame.condition for frame in frames)
    assert counts == {"sharp": 4, "step": 2, "tilt": 2, "corner": 2, "blurred": 1, "beyond_repair": 1}
    for frame in frames:
        radius = frame.radius_map_px
        if frame.condition == "sharp":
            assert radius.max() < 0.5
        elif frame.condition == "beyond_repair":
            assert radius.min() > 28
        elif frame.condition == "blurred":
            assert 3 < radius.min() <= radius.max() < 7.1
        else:
            assert (radius < 1).mean() > 0.25
            assert (radius > 3).mean() > 0.1


def test_truth_is_what_the_same_beam_shows_in_focus_and_without_noise() -> None:
    frame = Microscope(replace(QUICK, electrons_per_px=1e6, bits=16)).frame(0)
    assert frame.condition == "sharp"
    assert frame.truth.dtype == np.float32
    assert np.abs(frame.pixels / 65535 - frame.truth).mean() < 0.01


def test_drift_takes_the_run_out_of_focus_frame_by_frame() -> None:
    microscope = Microscope(replace(QUICK, drift_m=4e-6))
    radii = [float(microscope.frame(index).radius_map_px.mean()) for index in range(0, 12, 3)]
    assert radii[0] < 1
    assert radii == sorted(radii)
    assert radii[-1] == pytest.approx(9 * 4e-6 * 5e-3 / 20e-9 + 0.5, rel=0.1)


@pytest.mark.parametrize("vendor", ["zeiss", "fei", "tescan", "jeol", "none"])
def test_frames_and_sidecars_are_written_and_read_back(tmp_path: Path, vendor: Vendor) -> None:
    microscope = Microscope(replace(QUICK, vendor=vendor))
    written: list[WrittenFrame] = []
    assert microscope.write_frames(tmp_path, 2, on_frame=written.append) == 2
    assert [one.path.name for one in written] == ["frame_00000.tif", "frame_00001.tif"]
    for one in written:
        pixels = tifffile.imread(one.path)
        assert np.array_equal(pixels[:96], one.frame.pixels)
        assert one.path.stat().st_size == one.bytes
    suffix = {"tescan": ".hdr", "jeol": ".txt"}.get(vendor)
    assert {path.suffix for path in tmp_path.iterdir()} == ({".tif", suffix} if suffix else {".tif"})


def test_numbering_goes_on_after_what_is_there(tmp_path: Path) -> None:
    Microscope(QUICK).write_frames(tmp_path, 2)
    before = (tmp_path / "frame_00001.tif").read_bytes()
    Microscope(QUICK).write_frames(tmp_path, 1)
    assert sorted(path.name for path in tmp_path.iterdir())[-1] == "frame_00002.tif"
    assert (tmp_path / "frame_00001.tif").read_bytes() == before


def test_without_a_number_frames_come_until_stop(tmp_path: Path) -> None:
    stop = threading.Event()

    def enough(one: WrittenFrame) -> None:
        if one.frame.index == 2:
            stop.set()

    count = Microscope(replace(QUICK, interval_s=0.01)).write_frames(
        tmp_path, None, on_frame=enough, stop=stop
    )
    assert count == 3
    assert len(list(tmp_path.iterdir())) == 3


def test_the_interval_is_from_start_to_start(tmp_path: Path) -> None:
    began = time.monotonic()
    Microscope(replace(QUICK, interval_s=0.6, write_s=0.1)).write_frames(tmp_path, 3)
    assert 1.2 <= time.monotonic() - began < 4


def test_truth_stands_in_its_own_folder(tmp_path: Path) -> None:
    watched, truth = tmp_path / "watched", tmp_path / "truth"
    Microscope(QUICK).write_frames(watched, 2, truth=truth)
    assert [path.name for path in sorted(watched.iterdir())] == ["frame_00000.tif", "frame_00001.tif"]
    facts = json.loads((truth / "frame_00001.truth.json").read_text(encoding="utf-8"))
    assert facts["file"] == "frame_00001.tif"
    assert facts["condition"] == "step"
    assert facts["radius_px"]["most"] > 3
    assert tifffile.imread(truth / "frame_00001.truth.tif").dtype == np.float32
    radius = tifffile.imread(truth / "frame_00001.radius_px.tif")
    assert radius.max() == pytest.approx(facts["radius_px"]["most"])


@pytest.mark.parametrize("below", [".", "truth"])
def test_truth_inside_the_watched_folder_is_refused(tmp_path: Path, below: str) -> None:
    with pytest.raises(SemdaemonError) as caught:
        Microscope(QUICK).write_frames(tmp_path, 1, truth=tmp_path / below)
    assert caught.value.code == "truth_in_folder"


def test_real_frames_take_the_place_of_scenes_and_keep_their_size(tmp_path: Path) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        PillowImage.fromarray(rng.integers(0, 255, (90, 110)).astype(np.uint8)).save(scenes / f"{name}.png")
    microscope = Microscope(replace(QUICK, scenes=scenes, shape=None))
    assert microscope.frame(0).pixels.shape == (90, 110)
    assert [microscope.frame(index).kind for index in range(3)] == ["a.png", "b.png", "a.png"]
    assert microscope.probe.sigma0_px == 0  # they were taken through a probe already
    assert Microscope(replace(QUICK, scenes=scenes, shape=(64, 64))).frame(1).pixels.shape == (64, 64)


@pytest.mark.parametrize(
    "wrong",
    [{"kinds": ("soup",)}, {"kinds": ()}, {"bits": 12}, {"electrons_per_px": 0.0}, {"shape": (10, 10)},
     {"pixel_size_m": 0.0}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_told(wrong: dict[str, object]) -> None:
    with pytest.raises(SemdaemonError) as caught:
        Microscope(replace(QUICK, **wrong))
    assert caught.value.code == "simulator_settings"
