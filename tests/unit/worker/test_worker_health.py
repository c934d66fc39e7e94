"""Pauses that grow and are capped, and when a worker counts as degraded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from semdaemon.errors import FrameError
from semdaemon.worker import memory
from semdaemon.worker.health import LONGEST_PAUSE_S, Health
from semdaemon.worker.memory import TileCost, job_bytes


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def health(now: list[float]) -> Health:
    return Health(1.0, 3, clock=lambda: now[0])


def test_pauses_double_up_to_a_minute_and_the_state_becomes_degraded(health: Health) -> None:
    seen = [(health.failed("worker_died", "it died"), health.state) for _ in range(9)]
    assert seen == [
        (1.0, "restarting"),
        (2.0, "restarting"),
        (4.0, "restarting"),
        *[(LONGEST_PAUSE_S, "degraded")] * 6,
    ]
    assert health.restarts == 9


def test_a_pause_ends_by_itself(health: Health, now: list[float]) -> None:
    health.failed("worker_died", "it died")
    assert health.pausing
    assert health.as_dict()["retry_in_s"] == 1.0
    now[0] += 1.0
    assert not health.pausing
    assert health.as_dict()["retry_in_s"] is None


def test_missing_weights_are_degraded_at_once(health: Health) -> None:
    assert health.failed("weights_missing", "no weights", lasting=True) == 1.0
    assert health.state == "degraded"


@pytest.mark.parametrize("code", ["weights_missing", "worker_died", "probe_failed"])
def test_a_start_that_works_ends_degraded_where_starting_was_the_trouble(health: Health, code: str) -> None:
    for _ in range(4):
        health.failed(code, "it does not come up")
    assert health.state == "degraded"
    health.started()
    assert (health.state, health.failures_in_a_row) == ("ready", 0)


@pytest.mark.parametrize("over", [Health.served, Health.recovered])
def test_where_frames_kill_it_only_a_job_or_a_probe_when_idle_ends_degraded(
    health: Health, over: Callable[[Health], None]
) -> None:
    for _ in range(4):
        health.failed("worker_died", "it died", in_job=True)
    health.started()
    assert health.state == "degraded"
    over(health)
    assert (health.state, health.failures_in_a_row) == ("ready", 0)


def test_other_settings_are_tried_at_once_and_degraded_stays_until_they_work(health: Health) -> None:
    health.failed("weights_missing", "no weights", lasting=True)
    health.begin_anew(1.0, 3)
    assert not health.pausing
    assert health.degraded
    health.started()
    assert not health.degraded


def test_a_jobs_memory_is_a_bound_that_grows_with_frame_and_tile() -> None:
    light, published = TileCost(32.0, 39), TileCost(256.0, 70)
    frame = job_bytes(1_000_000, 512, light, on_host=False)
    assert frame == 60_000_000
    assert job_bytes(1_000_000, 64, light, on_host=True) > frame
    assert published.bytes(512) == 12 * 256 * (512 + 140) ** 2
    assert published.bytes(64) < published.bytes(512) / 10


def test_a_frame_that_does_not_fit_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(FrameError) as caught:
        memory.require_shared(2**50)
    assert caught.value.code == "out_of_memory"
    assert "MiB are free" in caught.value.message
    memory.require_shared(2**20)


def test_a_full_shared_memory_is_seen_before_linux_kills_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(memory, "_SHM", Path.cwd())
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(FrameError, match="0 MiB free"):
        memory.require_shared(2000)


def test_the_room_of_a_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("4000000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 500000\n")
    assert memory._room(tmp_path) == 1_500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._room(tmp_path) is None
    assert memory._room(tmp_path / "nowhere") is None


@pytest.mark.parametrize("code", ["worker_sick", "worker_gone", "worker_died"])
def test_one_job_after_the_other_that_fails_makes_the_pauses_grow_though_each_start_works(
    health: Health, code: str
) -> None:
    pauses = []
    for _ in range(5):
        pauses.append(health.failed(code, "it failed", in_job=True))
        health.started()
    assert pauses == [1.0, 2.0, 4.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert health.state == "degraded"
    health.served()
    assert health.failed(code, "it failed") == 1.0
