"""Each way in which a job can go wrong: what becomes of the process, and who is blamed. Real processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy_worker as fake
import psutil
import pytest
import tifffile
from click.testing import CliRunner

from semdaemon import doctor
from semdaemon.cli import refocus as cli_refocus
from semdaemon.errors import FrameError, WorkerError
from semdaemon.focus import BLURRED, FocusMap
from semdaemon.frame import Area, Frame
from semdaemon.settings import Settings
from semdaemon.worker import Worker


def settings_with(*, weights: str = "light", **worker: object) -> Settings:
    known = {"device": "cpu", "backoff_s": 0.01, "silence_s": 1.0, **worker}
    return Settings(worker=known, refocus={"weights": weights, "audit": False})  # type: ignore[arg-type]


def a_frame(height: int, width: int = 256) -> tuple[Frame, bytes]:
    pixels = (np.random.default_rng(0).random((height, width)) * 200 + 20).astype(np.uint16)
    frame = Frame(f"{height:016}", "folder", "file:///x.tif", pixels, "0" * 64, Area.whole(pixels.shape))
    verdict = np.full((height // 64, width // 64), BLURRED, np.uint8)
    like = np.full(verdict.shape, 2.0, np.float32)
    return frame, FocusMap(64, frame.image_area, like, like, like, verdict, "test").to_bytes()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One worker for the whole module: a process that is lost is replaced, as in the daemon."""
    made = Worker(settings_with(max_restarts=1000), target=fake.serve)
    yield made
    made.stop()


@pytest.fixture
def up(worker: Worker) -> Worker:
    worker.wait_available()
    worker.start()
    assert worker.describe()["state"] == "ready"
    return worker


def pid_of(worker: Worker) -> int:
    return int(worker.describe()["pid"])


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def works(worker: Worker) -> bool:
    worker.wait_available()
    return bool(worker.refocus(*a_frame(256)).mask.all())


def when_busy(worker: Worker, act: Callable[[int], None]) -> threading.Thread:
    """Do something to the process once it reports progress on a frame."""

    def wait_and_act() -> None:
        deadline = time.monotonic() + 20
        while not (worker.describe()["job"] or {}).get("tiles_done") and time.monotonic() < deadline:
            time.sleep(0.02)
        act(pid_of(worker))

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("height", "code"), [(fake.DIES, "worker_died"), (fake.CUDA_FAULT, "accelerator_fault")]
)
def test_a_death_and_a_cuda_fault_end_the_process_and_the_next_frame_gets_a_fresh_one(
    up: Worker, height: int, code: str
) -> None:
    pid = pid_of(up)
    with pytest.raises(WorkerError) as caught:
        up.refocus(*a_frame(height))
    assert caught.value.code == code
    assert gone(pid)
    assert up.describe()["state"] == "restarting"
    assert works(up)
    assert pid_of(up) != pid


def test_a_hang_is_found_by_silence_and_killed(up: Worker) -> None:
    pid, began = pid_of(up), time.monotonic()
    with pytest.raises(WorkerError) as caught:
        up.refocus(*a_frame(fake.HANGS))
    assert caught.value.code == "worker_silent"
    assert 1.0 <= time.monotonic() - began < 10
    assert gone(pid)
    assert works(up)


def test_a_long_job_that_goes_on_is_no_hang_and_tells_how_far_it_is(up: Worker) -> None:
    seen: list[dict[str, object]] = []
    thread = when_busy(up, lambda _: seen.append(up.describe()))
    answer = up.refocus(*a_frame(fake.SLOW))  # 1.5 seconds of work, 1 second of silence allowed
    thread.join()
    assert answer.seconds > 1.2
    job = seen[0]["job"]
    assert isinstance(job, dict)
    assert job["frame"] == f"{fake.SLOW:016}"
    assert 0 < job["tiles_done"] < job["tiles_total"] == fake.STEPS
    assert seen[0]["state"] == "busy"
    assert up.describe()["job"] is None


def test_a_worker_killed_in_the_middle_of_a_job_died_over_that_frame(up: Worker) -> None:
    thread = when_busy(up, lambda pid: psutil.Process(pid).kill())
    with pytest.raises(WorkerError) as caught:
        up.refocus(*a_frame(fake.SLOW))
    thread.join()
    assert caught.value.code == "worker_died"
    assert works(up)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot suspend a process by signal")
def test_sigstop_of_the_worker_in_the_middle_of_a_job_is_a_hang(up: Worker) -> None:
    pid = pid_of(up)
    thread = when_busy(up, lambda pid: os.kill(pid, signal.SIGSTOP))
    with pytest.raises(WorkerError) as caught:
        up.refocus(*a_frame(fake.SLOW))
    thread.join()
    assert caught.value.code == "worker_silent"
    assert gone(pid)
    assert works(up)


def test_a_worker_killed_while_idle_is_replaced_and_nothing_is_counted(up: Worker) -> None:
    psutil.Process(pid_of(up)).kill()
    answered = None
    while answered is None:
        try:
            answered = up.refocus(*a_frame(256))
        except WorkerError as error:
            assert error.code == "worker_gone"  # noqa: PT017 - only where the end was not noticed before
    assert up.describe()["failures_in_a_row"] == 0


def test_an_exception_with_a_worker_that_is_well_is_the_frames_fault(up: Worker) -> None:
    pid = pid_of(up)
    with pytest.raises(FrameError) as caught:
        up.refocus(*a_frame(fake.RAISES))
    assert caught.value.code == "worker_exception"
    assert "dislikes this frame" in caught.value.message
    assert up.describe()["probe"]["passed"]
    assert pid_of(up) == pid
    assert works(up)


def test_an_exception_with_a_worker_that_fails_the_probe_is_the_workers_fault(up: Worker) -> None:
    pid = pid_of(up)
    with pytest.raises(WorkerError) as caught:
        up.refocus(*a_frame(fake.FALLS_ILL))
    assert caught.value.code == "worker_sick"
    assert not up.describe()["probe"]["passed"]
    assert gone(pid)
    assert works(up)


def test_nan_from_the_network_is_never_an_answer(up: Worker) -> None:
    with pytest.raises(FrameError) as caught:
        up.refocus(*a_frame(fake.NAN))
    assert caught.value.code == "not_finite"
    assert works(up)


@pytest.mark.parametrize(
    ("shape", "name", "tile_px"),
    [((fake.SMALLER_TILES, 256), "smaller_tiles", 128), ((fake.WINDOWS, fake.WINDOWS), "windows", 64)],
)
def test_where_memory_runs_out_the_frame_is_served_with_less_and_says_so(
    up: Worker, shape: tuple[int, int], name: str, tile_px: int
) -> None:
    answer = up.refocus(*a_frame(*shape))
    assert answer.stepped_down
    assert answer.rung == {"name": name, "tile_px": tile_px, "device": "fake-gpu"}
    assert answer.mask.any()


def test_on_the_cpu_where_that_is_allowed_and_not_where_it_is_not(up: Worker) -> None:
    answer = up.refocus(*a_frame(fake.ON_CPU))
    assert (answer.rung["name"], answer.device) == ("on_cpu", "cpu")
    refused = Worker(settings_with(cpu_fallback=False), target=fake.serve)
    try:
        with pytest.raises(FrameError) as caught:
            refused.refocus(*a_frame(fake.ON_CPU))
        assert caught.value.code == "out_of_memory"
        assert "window by window" in caught.value.message
    finally:
        refused.stop()


def test_no_memory_at_all_for_one_frame_is_that_frames_fault(up: Worker) -> None:
    pid = pid_of(up)
    with pytest.raises(FrameError) as caught:
        up.refocus(*a_frame(fake.NO_MEMORY))
    assert caught.value.code == "out_of_memory"
    assert pid_of(up) == pid
    assert works(up)


def test_the_probe_is_cheap_and_never_disturbs_a_job(up: Worker) -> None:
    before = up.describe()["probed_at"]
    began = time.monotonic()
    assert up.probe(10.0)
    assert time.monotonic() - began < 1.0
    assert up.describe()["probed_at"] >= before
    verdicts: list[bool] = []
    thread = when_busy(up, lambda _: verdicts.append(up.probe(10.0)))
    began = time.monotonic()
    up.refocus(*a_frame(fake.SLOW))
    thread.join()
    assert verdicts == [True]


def test_a_probe_finds_an_idle_worker_dead_and_the_next_start_heals(up: Worker) -> None:
    psutil.Process(pid_of(up)).kill()
    assert not up.probe(10.0)
    assert up.describe()["state"] == "restarting"
    assert works(up)
    assert up.probe(10.0)


def test_a_worker_whose_probe_is_wrong_never_becomes_ready_and_recovers_by_itself(tmp_path: Path) -> None:
    healed = tmp_path / "healed"
    settings = settings_with(weights=str(healed), max_restarts=1)
    worker = Worker(settings, target=fake.serve_wrongly)
    try:
        for state in ("restarting", "degraded"):
            worker.wait_available()
            with pytest.raises(WorkerError) as caught:
                worker.start()
            assert caught.value.code == "probe_failed"
            assert worker.describe()["state"] == state
        assert not worker.available
        with pytest.raises(WorkerError) as caught:
            worker.refocus(*a_frame(256))
        assert caught.value.code == "worker_degraded"
        healed.touch()
        worker.configure(settings_with(weights=str(healed), max_restarts=2))
        assert worker.degraded
        worker.start()
        assert not worker.degraded
        assert worker.describe()["state"] == "ready"
    finally:
        worker.stop()


def test_weights_without_a_stored_answer_are_compared_with_their_first_one() -> None:
    worker = Worker(settings_with(), target=fake.serve_without_answer)
    try:
        worker.start()
        assert worker.describe()["probe"]["against"] == "plausible"
        assert worker.probe(10.0)
        assert worker.describe()["probe"]["against"] == "first"
        with pytest.raises(WorkerError) as caught:
            worker.refocus(*a_frame(fake.FALLS_ILL))
        assert caught.value.code == "worker_sick"
    finally:
        worker.stop()


def test_doctor_says_whether_device_and_weights_give_the_stored_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    healed = tmp_path / "healed"
    settings = settings_with(weights=str(healed))
    monkeypatch.setattr(doctor, "Worker", partial(Worker, target=fake.serve_wrongly))
    (found,) = doctor._worker(settings)
    assert (found.check, found.state) == ("worker", "wrong")
    assert "off by" in found.detail
    assert found.remedy
    healed.touch()
    ok = {each.check: each for each in doctor._worker(settings)}
    # The stand-in has no model card: that is told of its weights, and of nothing else.
    assert {check: each.state for check, each in ok.items()} == {
        "worker": "ok",
        "refocusing": "ok",
        "weights": "wrong",
    }
    assert "stored answer" in ok["refocusing"].detail


def test_refocus_of_many_files_goes_on_after_a_file_that_kills_the_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = {"dies": fake.DIES, "raises": fake.RAISES, "smaller": fake.SMALLER_TILES, "good": 256}
    for name, height in names.items():
        frame, _ = a_frame(height)
        tifffile.imwrite(tmp_path / f"{name}.tif", frame.pixels)
    config = tmp_path / "semdaemon.toml"
    config.write_text('[worker]\ndevice = "cpu"\nbackoff_s = 0.01\n', encoding="utf-8")
    monkeypatch.setattr(cli_refocus, "Worker", partial(Worker, target=fake.serve))
    files = [str(tmp_path / f"{name}.tif") for name in names]
    arguments = [*files, "-o", str(tmp_path / "out"), "-c", str(config), "--everywhere", "--json"]
    done = CliRunner().invoke(cli_refocus.command, arguments, standalone_mode=False)
    # The command's group sends the log elsewhere; called alone, it shares standard output with the answers.
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    said = {Path(each["file"]).stem: each for each in answers}
    assert done.return_value == 1
    assert said["dies"]["code"] == "quarantined"
    assert "2 worker processes" in said["dies"]["error"]
    assert said["raises"]["code"] == "worker_exception"
    assert said["smaller"]["rung"]["name"] == "smaller_tiles"
    assert said["good"]["reason"] == said["smaller"]["reason"] == "refocused"
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tif")) == [
        "good.refocused.tif",
        "smaller.refocused.tif",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot suspend a process by signal")
def test_sigstop_of_an_idle_worker_is_no_fault_of_the_frame_that_comes_next(up: Worker) -> None:
    pid = pid_of(up)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(WorkerError) as caught:
        up.refocus(*a_frame(256))
    assert caught.value.code == "worker_gone"
    assert gone(pid)
    assert works(up)


@pytest.mark.slow
def test_a_process_that_goes_away_again_and_again_gets_pauses_too() -> None:
    worker = Worker(settings_with(backoff_s=5.0), target=fake.serve_one_job)
    codes = []
    try:
        while not worker.describe()["retry_in_s"] and len(codes) < 9:
            with pytest.raises(WorkerError) as caught:
                worker.refocus(*a_frame(256))
            codes.append(caught.value.code)
        assert codes == ["worker_gone"] * 3
    finally:
        worker.stop()
