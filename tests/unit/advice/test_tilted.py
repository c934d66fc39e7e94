"""A tilted sample in a run: an alarm that two frames raise and two frames end."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from test_follower import focus, frame

from semdaemon.advice import Advice, Follower, advice_header
from semdaemon.focus import BLURRED, SHARP
from semdaemon.focus.plane import Plane, fit_plane
from semdaemon.focus.step import Step
from semdaemon.focus.survey import Survey
from semdaemon.settings import Advice as Advising
from semdaemon.settings import Settings
from semdaemon.wire.headers import TiltDescription

TILTED = Plane(6.0, 0.8, 15.0, 0.0, 0.5, 1.0, 0.7, True, False, 24)
LEVEL = replace(TILTED, tilt_px=0.4, tilt_sd_px=0.5, tilted=False)
UNCLEAR = replace(TILTED, tilt_px=5.0, tilt_sd_px=4.0, tilted=False)
STEPPED = replace(UNCLEAR, step=Step(0.8, 3.0, 0.0, 0.0, 9.0))


class Run:
    """Frames in focus but for their planes."""

    def __init__(self, **settings: object) -> None:
        self.follower, self.number, self.memories = Follower(), 0, list[object]()
        self.settings = Settings(advice=Advising.model_validate(settings))

    def see(self, plane: Plane | None, *, blurred: int = 6, sigma_px: float | None = 0.9) -> Advice | None:
        self.number += 1
        map_ = replace(focus(sigma_px), survey=Survey(plane=plane))
        map_.verdict[:] = SHARP
        map_.verdict.flat[:blurred] = BLURRED
        followed = self.follower.follow(
            frame(5.0), map_, self.settings, number=self.number, seen_at=float(self.number)
        )
        self.memories.append(json.loads(json.dumps(followed.memory, allow_nan=False)))
        return followed.advice


def told(run: Run, *planes: Plane | None) -> list[str | None]:
    """What is said about each frame: nothing, its reasons, or that all is well."""
    said = [run.see(plane, blurred=0 if plane is LEVEL else 6) for plane in planes]
    return [advice and (",".join(advice.reasons) or advice.state) for advice in said]


def test_a_tilted_sample_is_told_at_its_second_frame_with_figures() -> None:
    run = Run(aperture_mrad=10.0)
    assert told(run, LEVEL, TILTED) == [None, None]
    advice = run.see(TILTED)
    assert advice is not None
    header = advice_header(advice, (5e-9, 5e-9))
    assert header["reasons"] == ["sample_tilted"]
    assert header["tilt"]["tilt_deg"] == pytest.approx(50.19, abs=0.01)  # tan = 2 * 0.006 / 0.01
    assert TiltDescription.model_validate(header["tilt"]).tilt_sd_px == 0.8
    assert not header["retake"]


def test_the_alarm_of_a_tilt_ends_after_two_level_frames_and_is_said_once() -> None:
    run = Run()
    assert told(run, TILTED, TILTED, LEVEL, TILTED) == [None, *["sample_tilted"] * 3]
    assert told(run, LEVEL, LEVEL, LEVEL) == ["sample_tilted", "well", None]


@pytest.mark.parametrize("unclear", [UNCLEAR, STEPPED, None])
def test_a_frame_that_tells_no_tilt_neither_alarms_nor_calms(unclear: Plane | None) -> None:
    run = Run()
    assert told(run, unclear, unclear, TILTED, unclear, TILTED) == [None] * 5
    told(run, TILTED, TILTED)
    run.see(unclear)
    assert told(run, LEVEL) == ["sample_tilted"]
    assert told(run, LEVEL) == ["well"]


def test_one_tilted_frame_between_level_ones_is_no_alarm() -> None:
    assert told(Run(), *[TILTED, LEVEL] * 20) == [None] * 40


def test_a_tilt_that_blurs_no_tile_is_no_alarm() -> None:
    run = Run()
    assert [run.see(TILTED, blurred=0) for _ in range(5)] == [None] * 5


def test_a_sample_that_is_meant_to_be_tilted_is_left_alone() -> None:
    assert told(Run(tilt=False), *[TILTED] * 5) == [None] * 5


def test_a_restart_remembers_a_tilt_that_was_told() -> None:
    before, after = Run(), Run()
    told(before, TILTED, TILTED)
    assert after.follower.recall(before.memories, Advising()) == 2
    after.number = before.number
    assert told(after, UNCLEAR, UNCLEAR, LEVEL, LEVEL)[-1] == "well"


@pytest.mark.parametrize("memory", ["text", True, [1], None])
def test_a_memory_that_cannot_be_read_is_no_alarm(memory: object) -> None:
    before, after = Run(), Run()
    told(before, TILTED, TILTED)
    after.follower.recall([{**before.memories[-1], "tilted_px": memory}], Advising())  # type: ignore[dict-item]
    after.number = before.number
    assert told(after, TILTED) == ["well"]


@pytest.mark.parametrize(
    "frames", [30, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_steady_noisy_level_frames_raise_no_alarm_of_a_tilt(frames: int) -> None:
    run, rng = Run(), np.random.default_rng(7)
    y, x = (at.ravel() * 128.0 for at in np.mgrid[-2.5:3, -3.5:4])
    sd = np.full(x.size, 0.15)
    for _ in range(frames):
        sigma_px = 2.0 * np.exp(0.15 * rng.standard_normal(x.size))
        assert run.see(fit_plane(x, y, sigma_px, sd)) is None
