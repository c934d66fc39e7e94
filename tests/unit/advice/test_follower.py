"""Runs, hysteresis, memory: what is advised about frames that come one after the other."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from semdaemon.advice import Advice, Followed, Follower, advice_header
from semdaemon.advice.alarm import alarm_after
from semdaemon.advice.decide import lost_regions, should_retake
from semdaemon.advice.follower import MOST_RUNS
from semdaemon.advice.runs import WINDOW, first_belief, run_of
from semdaemon.advice.sentence import sentence
from semdaemon.focus import BEYOND_REPAIR, BLURRED, SHARP, Blur, FocusMap
from semdaemon.frame import Area, Frame
from semdaemon.settings import Advice as Advising
from semdaemon.settings import Focus, Settings
from semdaemon.wire.headers import AdviceHeader
from semdaemon.wire.messages import frame_header, now

PIXELS = np.zeros((256, 256), np.uint16)


def frame(z_um: float | None = None, **changed: Any) -> Frame:
    tags = {} if z_um is None else {"ZPosition_um_Intended": z_um}
    told = {"id": "0" * 16, "source": "ndtiff", "uri": "file:///data/run_1/x.tif#frame=1", "pixels": PIXELS,
            "content_sha256": "", "image_area": Area.whole(PIXELS.shape), "pixel_size_m": (1e-6, 1e-6),
            "vendor": "micromanager", "metadata": {"Stack": {"dataset": "run_1"}, **tags}}  # fmt: skip
    return Frame(**{**told, **changed})


def focus(sigma_px: float | None, lost: int = 0, relative_sd: float = 0.03) -> FocusMap:
    verdict = np.full((4, 4), BLURRED if sigma_px and sigma_px > 1.25 else SHARP, np.uint8)
    verdict.flat[:lost] = BEYOND_REPAIR
    maps = [np.full((4, 4), sigma_px or np.nan, np.float32)] * 3
    blur = None if sigma_px is None else Blur(sigma_px, relative_sd, 16)
    return FocusMap(64, Area.whole(PIXELS.shape), *maps, verdict, "test", blur)


class Run:
    """Frames one second apart."""

    def __init__(self, *, noise: float = 0.02, seed: int = 0, **settings: Any) -> None:
        self.follower, self.settings = Follower(), Settings(advice=Advising(**settings))
        self.rng, self.noise, self.number, self.memories = np.random.default_rng(seed), noise, 0, list[Any]()

    def see(self, sigma_px: float | None, z_um: float | None = None, **changed: Any) -> Advice | None:
        self.number += 1
        noisy = None if sigma_px is None else sigma_px * math.exp(self.rng.normal(0, self.noise))
        map_ = focus(noisy, changed.pop("lost", 0), max(self.noise, 0.01))
        followed = self.follower.follow(
            frame(z_um, **changed), map_, self.settings, number=self.number, seen_at=float(self.number)
        )
        if followed.memory:
            self.memories.append(json.loads(json.dumps(followed.memory)))
        return followed.advice

    def through_focus(self, k: float = 0.66, floor: float = 0.9) -> None:
        for z in np.arange(-8.0, 9.0, 2.0):
            self.see(math.hypot(floor, k * z), float(z))


def test_a_thousand_steady_noisy_frames_raise_no_alarm() -> None:
    run = Run(noise=0.15, seed=3)
    assert [advice for _ in range(1000) if (advice := run.see(1.0, 5.0)) is not None] == []


@pytest.mark.parametrize("seed", range(5))
def test_a_drift_of_a_fifth_of_a_pixel_a_frame_is_told_within_ten_frames(seed: int) -> None:
    run = Run(noise=0.05, seed=seed)
    for _ in range(30):
        assert run.see(0.8, 5.0) is None
    told = [run.see(math.hypot(0.8, 0.2 * n), 5.0) for n in range(1, 11)]
    assert any(advice is not None and "out_of_focus" in advice.reasons for advice in told)


def test_the_limit_in_nanometres_holds_for_alarms_too() -> None:
    """At 1 nm a pixel a blur of 4 px is sharp where 5 nm are all that is wanted."""
    run = Run()
    run.settings = Settings(focus=Focus(sharp_sigma_nm=5.0))
    assert [run.see(4.0, pixel_size_m=(1e-9, 1e-9)) for _ in range(6)] == [None] * 6
    assert [run.see(4.0, pixel_size_m=(5e-9, 5e-9)) for _ in range(6)][-1] is not None


def test_with_nothing_known_it_says_how_blurred_and_no_more() -> None:
    run = Run()
    told = [run.see(4.0) for _ in range(6)][-1]
    assert told is not None
    header = advice_header(told, (5e-9, 5e-9))
    assert header["reasons"] == ["out_of_focus", "nothing_known"]
    assert header["sigma_nm"] == pytest.approx(5 * header["sigma_px"], rel=1e-4)
    known = {key: value for key, value in header["focus"].items() if value not in (None, [])}
    assert known == {}
    assert header["retake"] is False


def test_with_the_aperture_known_it_says_how_far_and_both_ways() -> None:
    run = Run(aperture_mrad=1320.0)  # k = 0.66 px/um at 1 um a pixel
    told = [run.see(math.hypot(0.8, 0.66 * 0.5 * n), 20.0) for n in range(12)][-1]
    assert told is not None
    assert told.focus.correction_um is None
    assert told.focus.magnitude_um is not None
    assert told.focus.magnitude_um.mean == pytest.approx(5.5, abs=2 * told.focus.magnitude_um.sd)
    up, down = sorted(told.focus.candidates_um)
    assert up == pytest.approx(-down, rel=0.1)
    assert "side_unknown" in told.reasons


def test_with_the_aperture_known_and_no_stage_it_says_how_far() -> None:
    run = Run(aperture_mrad=1320.0)
    told = [run.see(math.hypot(0.8, 0.66 * 0.5 * n)) for n in range(12)][-1]
    assert told is not None
    assert told.focus.magnitude_um is not None
    assert told.focus.candidates_um == ()
    assert "position_unknown" in told.reasons


def test_a_series_through_focus_gives_a_signed_correction() -> None:
    run = Run()
    run.through_focus()
    told = [run.see(math.hypot(0.9, 0.66 * 5.0), 5.0) for _ in range(3)][-1]
    assert told is not None
    correction = told.focus.correction_um
    assert correction is not None
    assert correction.mean == pytest.approx(-5.0, abs=2 * correction.sd)
    assert "side_unknown" not in told.reasons


def test_all_is_well_is_said_once() -> None:
    run = Run()
    run.through_focus()
    for _ in range(4):
        run.see(math.hypot(0.9, 3.0), 4.5)
    told = [run.see(0.9, 0.0) for _ in range(6)]
    assert [advice.state for advice in told if advice is not None][-1] == "well"
    assert [advice.state for advice in told if advice is not None].count("well") == 1
    assert told[-1] is None


def test_an_alarm_needs_two_frames_in_a_row_and_so_does_its_end() -> None:
    alarm, streak, course = False, 0, []
    for now_ in ("out", "in", "out", "between", "out", "out", "in", "between", "in", "in"):
        alarm, streak = alarm_after(alarm, streak, now_)
        course.append(alarm)
    assert course == [False] * 5 + [True] * 4 + [False]


def test_regions_beyond_repair_are_named_and_the_frame_is_to_be_taken_again() -> None:
    map_ = focus(2.0)
    map_.verdict[0, 0] = map_.verdict[0, 1] = map_.verdict[3, 3] = BEYOND_REPAIR
    regions = lost_regions(map_)
    assert [(region.area.as_list(), region.tiles) for region in regions] == [
        ([0, 0, 64, 128], 2),
        ([192, 192, 256, 256], 1),
    ]
    assert should_retake(map_, 0.15)
    assert not should_retake(map_, 0.25)
    told = Run(retake_share=0.1).see(0.9, lost=2)
    assert told is not None
    assert told.retake
    assert told.reasons == ("beyond_repair",)


def test_a_frame_in_which_nothing_is_seen_neither_alarms_nor_calms() -> None:
    run = Run()
    for _ in range(4):
        run.see(4.0)
    assert run.see(None) is None
    again = run.see(4.0)
    assert again is not None
    assert again.state == "attention"


def test_switched_off_it_says_and_remembers_nothing() -> None:
    run = Run(enabled=False)
    assert [run.see(9.0, lost=16) for _ in range(4)] == [None] * 4
    assert run.memories == []


def test_other_magnifications_detectors_and_datasets_are_other_runs() -> None:
    keys = {
        run_of(each, each_position=False)[0]
        for each in (
            frame(1.0),
            frame(2.0, id="1" * 16),
            frame(1.0, pixel_size_m=(2e-6, 2e-6)),
            frame(1.0, metadata={"Stack": {"dataset": "run_2"}, "ZPosition_um": 1}),
            frame(
                1.0, metadata={"Stack": {"dataset": "run_1"}, "ZPosition_um": 1, "Axes": {"channel": "BSE"}}
            ),
            frame(None),
        )
    }
    assert len(keys) == 5


def test_positions_are_apart_only_where_that_is_asked_for() -> None:
    here, there = (frame(metadata={"ZPosition_um": 1, "Axes": {"position": n}}) for n in (0, 1))
    assert run_of(here, each_position=False)[0] == run_of(there, each_position=False)[0]
    assert run_of(here, each_position=True)[0] != run_of(there, each_position=True)[0]


@pytest.mark.parametrize("value", [1e300, -1e9, float("nan"), "text", None, [1], {"a": 1}])
def test_nonsense_in_the_tags_leaves_the_position_unknown(value: Any) -> None:
    key, at_um = run_of(frame(metadata={"ZPosition_um": value}), each_position=False)
    assert (key.axis, at_um) == ("", 0.0)


def test_the_aperture_becomes_blur_per_defocus() -> None:
    key = run_of(frame(1.0, pixel_size_m=(5e-9, 5e-9)), each_position=False)[0]
    belief = first_belief(key, 5.0, 0.2)
    assert math.exp(belief.ln_steepness.mean) == pytest.approx(
        0.5
    )  # R = 5e-3 * 1 um / 5 nm = 1 px, sigma = R / 2
    assert first_belief(key, 0.0, 0.2).ln_steepness.sd > 1


def test_what_was_learned_outlives_its_frames() -> None:
    run = Run()
    run.through_focus()
    for _ in range(5 * WINDOW):
        run.see(0.9, 0.0)
    told = [run.see(math.hypot(0.9, 0.66 * 0.5 * n), 0.0) for n in range(1, 9)][-1]
    assert told is not None
    assert told.focus.magnitude_um is not None
    assert told.focus.magnitude_um.mean == pytest.approx(4.0, abs=2 * told.focus.magnitude_um.sd)


def test_a_restart_takes_up_what_the_journal_remembers() -> None:
    before = Run()
    before.through_focus()
    for _ in range(3):
        before.see(math.hypot(0.9, 3.3), 5.0)
    after = Run()
    assert after.follower.recall(before.memories, Advising()) == len(before.memories)
    after.number = before.number
    told = after.see(math.hypot(0.9, 3.3), 5.0)
    assert told is not None
    assert told.focus.correction_um is not None
    assert told.focus.correction_um.mean == pytest.approx(-5.0, abs=2 * told.focus.correction_um.sd)


def test_memories_of_another_version_are_left_alone() -> None:
    run = Run()
    run.see(1.0, 2.0)
    good = run.memories[0]
    odd = [{**good["sample"], "sigma_px": value} for value in (0.0, -1.0, float("inf"), "x", None)]
    bad = [
        {},
        {**good, "key": {"new": 1}},
        {**good, "sample": None},
        {**good, "number": "x"},
        {**good, "key": 3},
    ]
    bad += [{**good, "sample": sample} for sample in odd]
    assert Run().follower.recall([*bad, good], Advising()) == 1


def test_a_frame_that_came_late_changes_no_alarm() -> None:
    run = Run()
    for _ in range(4):
        run.see(4.0)
    run.number = 1
    assert run.see(0.8) is None
    run.number = 10
    again = run.see(4.0)
    assert again is not None
    assert again.state == "attention"


def test_the_least_recent_run_is_forgotten() -> None:
    follower, settings = Follower(), Settings()
    for n in range(3 * MOST_RUNS):
        follower.follow(
            frame(metadata={"Stack": {"dataset": f"run_{n}"}}), focus(1.0), settings, number=n, seen_at=n
        )
    assert len(follower._runs) == MOST_RUNS


def test_every_advice_is_a_header_of_the_wire_and_a_sentence() -> None:
    run, followed = Run(aperture_mrad=1320.0), list[Advice]()
    for n in range(60):
        advice = run.see(math.hypot(0.9, 0.4 * (n % 20)), (n % 7) * 1.0, lost=n % 5)
        followed += [advice] if advice is not None else []
    assert followed
    first = {"event": "advice", "epoch": "e", "sequence": 0, "published_at": now()}
    for advice in followed:
        header = {**first, "frame": frame_header(frame()), **advice_header(advice, (5e-9, 5e-9))}
        AdviceHeader.model_validate(json.loads(json.dumps(header, allow_nan=False)))
        assert sentence(header)
    assert isinstance(Followed().memory, dict)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"state": "well"}, "all is well again"),
        ({"state": "attention"}, "needs attention"),
        (
            {"sigma_nm": 16.2, "focus": {"axis": "stage_z", "correction_um": -2.5, "correction_sd_um": 0.5}},
            "out of focus, blur 3.2 px (16.2 nm): stage Z -2.50 ± 0.50 µm",
        ),
        (
            {"focus": {"axis": "stage_z", "candidates_um": [2, -2.0]}},
            "out of focus, blur 3.2 px: stage Z +2.00 µm, or else -2.00 µm",
        ),
        (
            {"sigma_nm": 2.5e4, "focus": {"axis": "stage_z", "magnitude_um": 0.1, "magnitude_sd_um": 0.7}},
            "out of focus, blur 3.2 px (25 µm): stage Z is right to ± 0.70 µm",
        ),
        (
            {"reasons": ["beyond_repair"], "regions": [1, 2], "retake": True},
            "2 regions are beyond repair, take it again",
        ),
        (
            {
                "reasons": ["sample_tilted"],
                "tilt": {"tilt_px": 7.12, "tilt_sd_px": 1.4, "direction_deg": 3.0, "tilt_deg": 54.3},
            },
            "the sample is tilted by 54.3°: 7.1 ± 1.4 px of blur over 1000 px, rising to the right",
        ),
        (
            {"reasons": ["sample_tilted", "beyond_repair"], "regions": [1]},
            "the sample is tilted; a region is beyond repair",
        ),
    ],
)
def test_advice_is_one_sentence_for_people(header: dict[str, Any], said: str) -> None:
    blurred = {"reasons": ["out_of_focus"], "sigma_px": 3.24} if "focus" in header else {}
    assert sentence({**blurred, **header}) == said
