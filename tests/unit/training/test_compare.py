"""Two weights compared: on a truth, and on frames as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from semdaemon.focus import BLURRED, FocusMap
from semdaemon.focus.estimate import Estimate
from semdaemon.frame import Area, Frame
from semdaemon.training.evaluation import agreement as agree
from semdaemon.training.evaluation import compare, comparison_picture
from semdaemon.training.evaluation.case import Degraded
from semdaemon.training.evaluation.conditions import Blur, Defocus
from semdaemon.training.evaluation.pairing import paired_difference
from semdaemon.training.evaluation.scenes import Scene
from semdaemon.training.evaluation.verdict import verdict

# -- paired differences ------------------------------------------------------------------------------------


def test_pairing_takes_the_frames_own_difficulty_out() -> None:
    rng = np.random.default_rng(0)
    hard_and_easy = rng.normal(25, 5, 12)
    found = paired_difference(hard_and_easy, hard_and_easy + 0.1 + rng.normal(0, 0.02, 12))
    assert found.sign == 1
    assert 0.05 < found.low < found.mean < found.high < 0.15
    assert paired_difference(hard_and_easy + 0.1, hard_and_easy).sign == -1


def test_a_95_percent_interval_holds_the_true_mean_about_that_often() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        found = paired_difference(np.zeros(25), rng.normal(0.3, 1.0, 25))
        held += found.low <= 0.3 <= found.high
    assert 0.88 <= held / 100 <= 0.99


def test_no_difference_is_claimed_from_chance_or_from_a_handful_of_frames() -> None:
    even = np.array([0.3, -0.3, 0.2, -0.25, 0.1, -0.05])
    assert paired_difference(np.zeros(6), even).sign == 0
    assert paired_difference(np.zeros(4), np.ones(4)).sign == 0
    assert paired_difference(np.zeros(5), np.ones(5)).sign == 1


def test_figures_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError):
        paired_difference([], [])
    with pytest.raises(ValueError):
        paired_difference([1.0, 2.0], [1.0])


# -- on a truth --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    rng = np.random.default_rng(0)
    fields = [ndimage.gaussian_filter(rng.standard_normal((96, 96)), 3) for _ in range(6)]
    return [Scene(f"f{i}.png", np.where(f > 0, 0.8, 0.2).astype(np.float32)) for i, f in enumerate(fields)]


def disc(radius_px: float, electrons_per_px: float) -> Defocus:
    return Defocus(Blur("disc", radius_px), electrons_per_px)


def smoother(sigma_px: float) -> Any:
    return lambda case: ndimage.gaussian_filter(case.seen, sigma_px)


def test_the_better_of_two_is_named_and_the_worse_is_not(scenes: list[Scene]) -> None:
    result = compare.compare(
        scenes, smoother(0), smoother(1.0), conditions=(disc(0, 20), disc(3, 20)), crop_px=64
    )
    assert [row.psnr_difference_db.sign for row in result.rows] == [1, 1]
    assert result.overall_db.sign == 1
    said = verdict(result, "plain", "smooth")
    assert said[0].startswith("Over all conditions smooth is better on these 6 frames")
    assert any(line.startswith("smooth is better at disc R 0, 20 e/px") for line in said)
    assert not any("plain is better" in line for line in said)


def test_the_same_method_twice_is_no_difference(scenes: list[Scene]) -> None:
    result = compare.compare(scenes, smoother(1), smoother(1), conditions=(disc(2, 50),), crop_px=64)
    assert result.overall_db.mean == 0
    assert "these 6 frames can show no difference" in verdict(result, "a", "b")[0]


def test_each_may_be_better_somewhere(scenes: list[Scene]) -> None:
    result = compare.compare(
        scenes, smoother(0), smoother(1.5), conditions=(disc(0, 5), disc(0, 1e6)), crop_px=64
    )
    said = "\n".join(verdict(result, "plain", "smooth"))
    assert "smooth is better at disc R 0, 5 e/px" in said
    assert "plain is better at disc R 0, 1e+06 e/px" in said


def test_harm_to_sharp_frames_is_told_with_the_worst_frame(scenes: list[Scene]) -> None:
    result = compare.compare(scenes, smoother(0), smoother(2), conditions=(disc(0, 1e6),), crop_px=64)
    assert result.harm[0].rms_grey == 0
    assert result.harm[1].worst_rms_grey >= result.harm[1].rms_grey > 5
    plain, smooth = verdict(result, "plain", "smooth")[-2:]
    assert "no crop came out worse" in plain
    assert (
        f"6 of 6 crops came out worse than they went in, most of all {result.rows[0].worst_frame[1]}"
        in smooth
    )


def test_few_frames_give_figures_and_no_verdict(scenes: list[Scene]) -> None:
    result = compare.compare(scenes[:2], smoother(0), smoother(1), conditions=(disc(0, 20),), crop_px=64)
    said = verdict(result, "a", "b")
    assert said[0].startswith("2 frames cannot show which is better")
    assert not any("better at" in line for line in said)


def test_both_see_the_same_crops_and_the_comparison_repeats(scenes: list[Scene]) -> None:
    shown: list[list[bytes]] = [[], []]

    def watcher(side: int) -> Any:
        def method(case: Degraded) -> Any:
            shown[side].append(case.seen.tobytes())
            return case.seen

        return method

    first = compare.compare(scenes, watcher(0), watcher(1), conditions=(disc(2, 50),), crop_px=64, seed=3)
    again = compare.compare(scenes, watcher(0), watcher(1), conditions=(disc(2, 50),), crop_px=64, seed=3)
    assert shown[0] == shown[1]
    assert first == again


def test_frames_that_cannot_be_read_are_told_and_left_out(tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "good.tif", np.full((32, 32), 7, np.uint8))
    tifffile.imwrite(tmp_path / "nan.tif", np.full((32, 32), np.nan, np.float32))
    (tmp_path / "text.png").write_text("no picture")
    names = ("good.tif", "nan.tif", "text.png")
    scenes, faults = compare.readable_scenes(tmp_path, [tmp_path / name for name in names])
    assert [scene.name for scene in scenes] == ["good.tif"]
    assert [fault.code for fault in faults] == ["unreadable_frame"] * 2
    assert "nan.tif" in faults[0].message
    assert "text.png" in faults[1].message


# -- frames as they are ------------------------------------------------------------------------------------


@dataclass
class Answer:
    pixels: Any
    mask: Any
    regions: Sequence[Mapping[str, Any]]
    seconds: float = 0.5


class HalfOfSpread:
    """A scorer for the test: the larger a tile's spread, the less blurred."""

    name = "spread"

    def estimate(self, tiles: Any) -> Estimate:
        sigma = np.float32(10) / (1 + tiles.std(axis=(1, 2)))
        return Estimate(sigma.astype(np.float32), np.full(len(tiles), 0.1, np.float32))


AREA = Area(0, 0, 64, 128)


@pytest.fixture
def frame() -> Frame:
    pixels = np.random.default_rng(0).integers(100, 120, (72, 128)).astype(np.uint8)
    return Frame("id", "folder", "file:///f.tif", pixels, "0" * 64, AREA)


def way(change: int, *, blurred: bool = True, accepted: bool = True, unexplained: float = 0.1) -> agree.Way:
    """Adds a checkerboard of ``change`` grey levels to the right half."""
    verdicts = np.array([[0, BLURRED if blurred else 0]], np.uint8)
    like = np.full((1, 2), 2.0, np.float32)
    focus = FocusMap(64, AREA, like, like, like, verdicts, "spread")

    def refocuses(frame: Frame, _: FocusMap) -> Answer:
        mask = np.zeros(frame.shape, bool)
        mask[:64, 64:] = accepted
        board = change * (np.indices(frame.shape).sum(0) % 2)
        pixels = np.where(mask, frame.pixels + board, frame.pixels).astype(np.uint8)
        return Answer(pixels, mask, [{"unexplained": unexplained, "accepted": accepted}])

    return agree.Way(lambda _: focus, refocuses, HalfOfSpread())


def test_a_side_tells_what_audit_and_estimator_said(frame: Frame) -> None:
    found = agree.side(frame, way(60))
    assert (found.regions, found.accepted, found.unexplained, found.changed) == (1, 1, 0.1, 0.5)
    assert found.sigma_before_px is not None
    assert found.sigma_after_px is not None
    assert found.sigma_after_px < found.sigma_before_px
    rejected = agree.side(frame, way(60, accepted=False))
    assert (rejected.regions, rejected.accepted, rejected.changed) == (1, 0, 0.0)
    assert rejected.sigma_after_px is None


def test_a_sharp_frame_is_not_refocused_at_all(frame: Frame) -> None:
    found = agree.side(frame, way(60, blurred=False))
    assert found.regions == 0
    np.testing.assert_array_equal(found.pixels, frame.pixels)


def test_disagreement_is_measured_in_the_frames_own_noise(frame: Frame) -> None:
    a, b = agree.side(frame, way(0)), agree.side(frame, way(60))
    found = agree.agreement(frame, a, b)
    assert found.noise_grey == pytest.approx(20 / np.sqrt(12), rel=0.2)
    assert found.rms_over_noise == pytest.approx(60 / np.sqrt(2) / found.noise_grey, rel=1e-3)
    assert found.beyond_noise == pytest.approx(0.5)
    assert (found.only_a, found.only_b) == (0.0, 0.0)
    json.dumps(found.as_dict())


def test_what_one_alone_changed_is_told_apart(frame: Frame) -> None:
    a, b = agree.side(frame, way(60, accepted=False)), agree.side(frame, way(60))
    found = agree.agreement(frame, a, b)
    assert (found.only_a, found.only_b, found.rms_over_noise) == (0.0, 0.5, None)


def test_the_place_of_largest_disagreement_lies_in_the_image_area_and_on_it() -> None:
    pixels = np.random.default_rng(0).integers(100, 120, (600, 700)).astype(np.uint8)
    frame = Frame("id", "folder", "file:///f.tif", pixels, "0" * 64, Area(10, 20, 580, 700))
    other = pixels.copy()
    other[300:340, 500:560] += 90
    mask = np.ones(pixels.shape, bool)
    a = agree.Side(pixels, mask, 1, 1, 0.0, 1.0, 3.0, 2.0, 0.1)
    place = agree.agreement(frame, a, replace(a, pixels=other)).place
    assert place is not None
    assert place.shape == (agree.WINDOW_PX, agree.WINDOW_PX)
    assert place.top <= 300 < 340 <= place.bottom
    assert place.left <= 500 < 560 <= place.right
    assert 10 <= place.top < place.bottom <= 580
    assert agree.agreement(frame, a, a).place is None


def test_the_picture_shows_both_rows_and_colours_only_where_they_differ(frame: Frame) -> None:
    a, b = agree.side(frame, way(0)), agree.side(frame, way(40))
    both = agree.agreement(frame, a, b)
    named = [comparison_picture.Named(n, n * 64, s) for n, s in (("a", a), ("b", b))]
    drawn = np.asarray(comparison_picture.draw(frame, *named, both.place)).astype(int)
    difference = drawn[60:200, -400:]  # upper right cell, below its badge
    coloured = np.abs(difference[..., 0] - difference[..., 2]) > 30
    assert coloured[:, 230:].mean() > 0.2
    assert coloured[:, :160].mean() < 0.05


def test_frames_without_noise_or_blur_make_a_picture_too(frame: Frame) -> None:
    flat = replace(frame, pixels=np.full((72, 128), 90, np.uint8))
    side = agree.side(flat, way(0, blurred=False))
    named = comparison_picture.Named("a", "0" * 64, side)
    assert agree.agreement(flat, side, side).noise_grey == pytest.approx(1 / np.sqrt(12))
    assert comparison_picture.draw(flat, named, named, None).width > 1000


def test_only_what_a_network_changed_is_called_its_output(
    frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    badge = comparison_picture.badge
    monkeypatch.setattr(
        comparison_picture, "badge", lambda cell, text: said.append(text) or badge(cell, text)
    )
    a, b = agree.side(frame, way(40)), agree.side(frame, way(40, accepted=False))
    comparison_picture.draw(
        frame, *(comparison_picture.Named(n, "0" * 64, s) for n, s in (("a", a), ("b", b))), None
    )
    assert said[:4] == ["original", "a · network output", "b · unchanged", "b - a"]
