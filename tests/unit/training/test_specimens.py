"""Specimen groups on their way through what `semdaemon evaluate` and `compare` tell, and frames by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.weights import WeightsCard, load_card
from semdaemon.training import degrade
from semdaemon.training.evaluation import compare, conditions, publishing, scenes, stored
from semdaemon.training.evaluation.conditions import Blur, Defocus
from semdaemon.training.evaluation.halves import HALVES
from semdaemon.training.evaluation.headline import headlines
from semdaemon.training.evaluation.headline_table import verdict_table
from semdaemon.training.evaluation.measuring import INPUT, NETWORK, Outcome
from semdaemon.training.evaluation.pairing import paired_difference
from semdaemon.training.evaluation.report import report
from semdaemon.training.evaluation.results import Results
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.evaluation.verdict import verdict
from semdaemon.training.listing import specimen_groups
from semdaemon.training.reading import load_frames

IN_FOCUS, BLURRED, HALF = conditions.IN_FOCUS[2].name, conditions.HEADLINE[0].name, HALVES[2].name
GROUPS = ("a", "a", "a", "a", "b", "b", "c", "c")
SOFT = (True, False, False, False, True, False, None, False)
FACTS = {"weights": "light", "frames": 8, "of": "lab", "crop_px": 64, "seed": 0}


def measured_scenes() -> list[Scene]:
    flat = np.zeros((8, 8), np.float32)
    return [
        Scene(f"f{n}", flat, group, soft) for n, (group, soft) in enumerate(zip(GROUPS, SOFT, strict=True))
    ]


def outcomes(condition: str, method: str, psnr_db: list[float], rms: float | None = None) -> list[Outcome]:
    return [
        Outcome(condition, method, f"f{number}", value, 0.5 + value / 1000, (1.0,), rms and rms * value)
        for number, value in enumerate(psnr_db)
    ]


@pytest.fixture
def results() -> Results:
    """Frames 0, 4 and 6 lose in focus; frame 4 above its noise; frames of one specimen are alike."""
    by_specimen = [30.0, 30.1, 30.2, 30.1, 24.0, 24.1, 27.0, 27.1]
    focus = [28.0, 31, 31, 31, 28.5, 31, 29.9, 31]
    everything = [
        *outcomes(IN_FOCUS, INPUT, [30.0] * 8),
        *outcomes(IN_FOCUS, "oracle denoiser", [31.0] * 8),
        *outcomes(IN_FOCUS, NETWORK, focus),
        *outcomes(BLURRED, INPUT, [20.0] * 8),
        *outcomes(BLURRED, "oracle Wiener", [22.0] * 8),
        *outcomes(BLURRED, NETWORK, by_specimen),
        *outcomes(HALF, INPUT, [25.0] * 8, 0.002),
        *outcomes(HALF, NETWORK, [20.0, 20, 20, 20, 50, 20, 20, 20], 0.002),
    ]
    return Results(everything, measured_scenes())


def headline_of(results: Results, name: str) -> stored.Headline:
    return next(h for h in headlines(results, "light") if h.name == name)


# -- intervals over specimens ------------------------------------------------------------------------------


def test_the_interval_of_a_figure_is_over_specimens_and_its_mean_is_untouched(results: Results) -> None:
    over_specimens = headline_of(results, BLURRED).found
    over_frames = headline_of(Results(results.outcomes), BLURRED).found
    assert over_specimens.mean == over_frames.mean
    assert over_specimens.high - over_specimens.low > 1.3 * (over_frames.high - over_frames.low)


def test_the_page_says_what_was_drawn(results: Results) -> None:
    said = report(results, FACTS, "light")
    assert "95 % bootstrap interval over specimens (2000 resamples, percentiles)" in said
    assert "whole specimen groups, each with all its frames: 3 groups of 8 frames." in said
    blind = report(Results(results.outcomes), FACTS, "light")
    assert "95 % bootstrap interval over frames (2000 resamples, percentiles)" in blind
    assert "their specimens are not known" in blind


def test_results_as_json_tell_each_frames_specimen_and_whether_it_is_soft(results: Results) -> None:
    told = json.loads(json.dumps(publishing.as_json(results, load_card("light"), FACTS)))
    assert told["drawn"] == "8 frames of 3 specimen groups"
    assert told["frames"][4] == {"frame": "f4", "group": "b", "soft": True}
    (lost,) = (h for h in told["headline"] if h["name"] == "worse than their input, 400 e/px")
    assert [one["frame"] for one in lost["frames"]] == ["f0", "f4", "f6"]
    assert lost["mean"] == 3
    assert not lost["met"]


def card_with(results: Results) -> WeightsCard:
    card = load_card("light")
    kept = stored.held_out(results, measured_scenes(), card, FACTS)
    return replace(card, held_out=json.loads(json.dumps(kept)))


def test_a_card_says_what_its_intervals_are_over(results: Results) -> None:
    card = card_with(results)
    assert card.held_out["drawn"] == "8 frames of 3 specimen groups"
    made = stored.checks(results, measured_scenes(), card, FACTS)
    assert all(check.within for check in made)
    assert "intervals over 8 frames of 3 specimen groups." in stored.check_table(made)


def test_a_card_of_before_specimens_is_read_and_called_so(results: Results) -> None:
    card = card_with(results)
    for entry in card.held_out["quick"]:
        del entry["drawn"]
        for figure in entry["headline"]:
            figure.pop("frames", None)
    made = stored.checks(results, measured_scenes(), card, FACTS)
    assert made
    assert all(check.within for check in made)
    assert "over frames one by one: the card is of before specimens were drawn" in stored.check_table(made)


# -- frames by name ----------------------------------------------------------------------------------------


def test_frames_that_lost_are_named_beneath_with_their_loss_and_whether_they_are_soft(
    results: Results,
) -> None:
    table = verdict_table(headlines(results, "light"))
    assert "| worse than their input, 400 e/px | 3 frames | none | **not met** |" in table
    (line,) = (part for part in table.splitlines() if part.startswith("- worse than their input, 400 e/px"))
    assert line == (
        "- worse than their input, 400 e/px (2 of 3 soft, 1 not known): f0 (-2.00 dB, soft), "
        "f4 (-1.50 dB, soft), f6 (-0.10 dB, not known whether soft)."
    )
    (line,) = (part for part in table.splitlines() if "by SSIM" in part and part.startswith("-"))
    assert "f0 (-0.0020 SSIM, -2.00 dB, soft)" in line
    assert table.count("such frames count like all others") == 1
    assert "Counted there: 3 different frames, 2 of 3 soft, 1 not known." in table


def test_half_sharp_frames_above_their_noise_are_named_too(results: Results) -> None:
    table = verdict_table(headlines(results, "light"))
    assert "| above the noise, 400 e/px | 1 frames | none | **not met** |" in table
    assert "- above the noise, 400 e/px (1 of 1 soft): f4 (-6.02 dB, soft)." in table


def test_softness_excuses_nothing(results: Results) -> None:
    sharp = Results(results.outcomes, [replace(scene, soft=False) for scene in measured_scenes()])
    for soft, plain in zip(headlines(results, "light"), headlines(sharp, "light"), strict=True):
        assert (soft.found, soft.wanted, soft.met) == (plain.found, plain.wanted, plain.met)


def test_where_nothing_lost_nothing_is_named(results: Results) -> None:
    good = Results([o for o in results.outcomes if o.condition == BLURRED], measured_scenes())
    assert "soft" not in verdict_table(headlines(good, "light"))


def sharp_blobs(seed: int) -> np.ndarray:
    field = degrade.blur(
        np.random.default_rng(seed).random((256, 256), dtype=np.float32), degrade.gaussian_kernel(3)
    )
    noise = np.random.default_rng(seed).normal(0, 3, field.shape)
    return np.where(field > 0.5, 190.0, 60.0) + noise


def test_softness_is_by_the_index_or_else_by_the_blur_estimator(tmp_path: Path) -> None:
    for name, sigma_px in (("crisp_1", 0.0), ("dull_1", 2.5)):
        pixels = ndimage.gaussian_filter(sharp_blobs(0), sigma_px)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    by_estimator = {scene.name: scene.soft for scene in scenes.scenes_of_folder(tmp_path)}
    assert by_estimator == {"crisp_1.png": False, "dull_1.png": True}
    (tmp_path / "index.csv").write_text("file,group,cutoff\ncrisp_1.png,g,0.19\ndull_1.png,g,0.2\n")
    by_index = scenes.scenes_of_folder(tmp_path)
    assert {scene.name: scene.soft for scene in by_index} == {"crisp_1.png": True, "dull_1.png": False}
    assert {scene.specimen for scene in by_index} == {"/g"}
    assert by_index[0].around(64).group == "/g"


# -- compare -----------------------------------------------------------------------------------------------


def test_groups_are_those_of_the_index_else_of_names(tmp_path: Path) -> None:
    files = [tmp_path / "heldout" / name for name in ("a_1.png", "a_2.png", "b_1.png")]
    assert specimen_groups(tmp_path / "heldout", files) == ["a_", "a_", "b_"]
    assert specimen_groups(tmp_path / "heldout", files[:2]) == ["a_1", "a_2"]
    (tmp_path / "index.csv").write_text("file,group,source\na_1.png,x,lab\nb_1.png,x,lab\n")
    for folder in (tmp_path, tmp_path / "heldout"):
        first, alone, last = specimen_groups(folder, files)
        assert first == last == "lab/x"
        assert alone.endswith("a_2.png")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"name,where\na.png,lab\n", "no column 'file'"),
        (b"file,group,cutoff\na.png,g,high\n", "'high'"),
        (b"group,file\ng\n", "None"),
        (b"file,group\n\xff\xfe,g\n", "decode"),
    ],
)
def test_an_index_of_something_else_is_a_clear_error(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "index.csv").write_bytes(content)
    folder = tmp_path / "frames"
    for read in (lambda: specimen_groups(folder, [folder / "a.png"]), lambda: load_frames(folder)):
        with pytest.raises(SemdaemonError) as caught:
            read()
        assert caught.value.code == "index_unreadable"
        assert str(tmp_path / "index.csv") in caught.value.message
        assert why in caught.value.message


def test_an_index_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes("file,group\na.png,x\n".encode("utf-8-sig"))
    assert specimen_groups(tmp_path, [tmp_path / "a.png"]) == ["/x"]


def test_twenty_frames_of_four_specimens_are_not_twenty_witnesses() -> None:
    gain = np.linspace(0.9, 1.1, 20)
    assert paired_difference(np.zeros(20), gain).sign == 1
    assert paired_difference(np.zeros(20), gain, np.arange(20) // 5).sign == 0
    assert paired_difference(np.zeros(20), gain, np.arange(20) // 4).sign == 1
    with pytest.raises(ValueError):
        paired_difference(np.zeros(3), np.ones(3), ["a", "b"])


@pytest.mark.parametrize(("specimens", "said"), [(2, "cannot show which is better"), (6, "smooth is better")])
def test_a_comparison_asks_for_enough_specimens(specimens: int, said: str) -> None:
    shown = [
        Scene(f"f{n}", (sharp_blobs(n)[:96, :96] / 255).astype(np.float32), f"s{n % specimens}")
        for n in range(12)
    ]
    found = compare.compare(
        shown,
        lambda case: case.seen,
        lambda case: ndimage.gaussian_filter(case.seen, 1.0),
        conditions=(Defocus(Blur("disc", 2), 20),),
        crop_px=64,
    )
    first = verdict(found, "plain", "smooth")[0]
    assert said in first
    assert f"12 frames of {specimens} specimen groups" in first
    assert "95 % interval over specimens" in first
    assert json.loads(json.dumps(found.as_dict()))["drawn"] == f"12 frames of {specimens} specimen groups"
