"""When the watchdog is fed: frames advance, wait with an excuse, or none waits and the probe passes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from semdaemon.daemon.watchdog import PROBE_EVERY_S, Half, Watchdog

PATIENCE_S = 100.0
IDLE = Half("score", still_for_s=0.1, advances=0, waiting=False, patience_s=PATIENCE_S)
BUSY = replace(IDLE, waiting=True)


@dataclass
class Bench:
    """A clock that tests turn, and a probe that answers as told."""

    now_s: float = 0.0
    passes: bool = True
    probes: int = 0

    def probe(self) -> bool:
        self.probes += 1
        return self.passes


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def watchdog(bench: Bench) -> Watchdog:
    return Watchdog(bench.probe, clock=lambda: bench.now_s)


def test_idle_is_well_while_the_probe_passes(bench: Bench, watchdog: Watchdog) -> None:
    for _ in range(10):
        bench.now_s += PATIENCE_S
        assert watchdog.judge([IDLE]).well
    bench.passes, bench.now_s = False, bench.now_s + PROBE_EVERY_S
    verdict = watchdog.judge([IDLE])
    assert not verdict.well
    assert "probe" in verdict.why


def test_an_idle_worker_is_probed_once_a_minute_and_again_at_once_after_it_failed(
    bench: Bench, watchdog: Watchdog
) -> None:
    for _ in range(int(PROBE_EVERY_S)):
        watchdog.judge([IDLE])
        bench.now_s += 1.0
    assert bench.probes == 1
    bench.passes = False
    assert not watchdog.judge([IDLE]).well
    bench.passes = True
    assert watchdog.judge([IDLE]).well


def test_frames_that_advance_are_well_and_need_no_probe(bench: Bench, watchdog: Watchdog) -> None:
    for advances in range(20):
        bench.now_s += PATIENCE_S / 2
        assert watchdog.judge([replace(BUSY, advances=advances)]).well
    assert bench.probes == 0


def test_frames_that_wait_and_none_advances_are_not(bench: Bench, watchdog: Watchdog) -> None:
    assert watchdog.judge([BUSY]).well
    bench.now_s = PATIENCE_S + 1
    verdict = watchdog.judge([BUSY])
    assert not verdict.well
    assert "none advanced for 101 s" in verdict.why
    assert watchdog.judge([replace(BUSY, advances=1)]).well


def test_a_frame_that_comes_after_an_hour_of_quiet_has_its_whole_time(
    bench: Bench, watchdog: Watchdog
) -> None:
    for bench.now_s in range(0, 3600, 60):
        watchdog.judge([IDLE])
    bench.now_s += PATIENCE_S - 1
    assert watchdog.judge([BUSY]).well


def test_a_thread_at_one_step_for_too_long_is_not_well(watchdog: Watchdog) -> None:
    assert watchdog.judge([replace(IDLE, still_for_s=PATIENCE_S - 1)]).well
    verdict = watchdog.judge([replace(IDLE, still_for_s=PATIENCE_S + 1)])
    assert not verdict.well
    assert "thread score is at one step" in verdict.why


@pytest.mark.parametrize(
    "excuse", ["/data is not there", "the state folder's disk is full", "the worker is degraded"]
)
def test_a_wait_that_a_restart_cannot_cure_is_told_and_fed(
    bench: Bench, watchdog: Watchdog, excuse: str
) -> None:
    watchdog.judge([BUSY])
    bench.now_s = PATIENCE_S * 10
    verdict = watchdog.judge([replace(BUSY, excuse=excuse), replace(IDLE, name="refocus")])
    assert verdict.well
    assert excuse in verdict.why


def test_an_excuse_of_one_half_does_not_excuse_the_other(bench: Bench, watchdog: Watchdog) -> None:
    refocus = replace(BUSY, name="refocus", excuse="the worker is degraded")
    watchdog.judge([BUSY, refocus])
    bench.now_s = PATIENCE_S + 1
    assert watchdog.judge([replace(BUSY, advances=1), refocus]).well
    bench.now_s += PATIENCE_S + 1
    assert not watchdog.judge([replace(BUSY, advances=1), refocus]).well


def test_a_thread_that_ended_is_not_well(watchdog: Watchdog) -> None:
    assert not watchdog.judge([IDLE], ["the publisher's thread has ended"]).well
