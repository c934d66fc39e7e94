"""A worker process that cannot be started, or is gone before it said a word."""

from __future__ import annotations

import os
import threading
import time
from multiprocessing.connection import Connection

import pytest

from semdaemon.errors import WorkerError
from semdaemon.refocus import probe
from semdaemon.settings import Settings
from semdaemon.worker import Worker
from semdaemon.worker.child import Child


def say_nothing(pipe: Connection, settings_json: str) -> None:
    """Lives until it is killed."""
    time.sleep(60)


def say_nothing_and_die(pipe: Connection, settings_json: str) -> None:
    os._exit(3)


def test_a_start_that_fails_when_a_frame_is_there_already_is_no_loss_over_that_frame() -> None:
    """The process was up when it was last asked, and died in between."""
    frame, focus = probe.picture()
    worker = Worker(Settings(worker={"device": "cpu"}), target=say_nothing_and_die)  # type: ignore[arg-type]
    try:
        with pytest.raises(WorkerError) as told:
            worker.refocus(frame, focus.to_bytes())
    finally:
        worker.stop()
    assert told.value.code == "worker_gone"
    assert worker.describe()["last_code"] == "worker_died"


def test_a_pipe_that_breaks_while_the_process_starts_is_a_worker_that_died() -> None:
    """As on Windows, where looking at the pipe of a dead process raises."""
    child = Child(say_nothing, "{}", threading.Event())
    try:
        child._pipe.close()
        with pytest.raises(WorkerError) as told:
            child.ready(30.0)
    finally:
        child.kill()
    assert told.value.code == "worker_died"


@pytest.mark.skipif(os.name == "nt", reason="no limit on open files to lower")
def test_a_machine_without_a_free_descriptor_pauses_the_worker_and_blames_no_frame() -> None:
    import resource

    worker = Worker(Settings(worker={"backoff_s": 0.01, "device": "cpu"}), target=say_nothing)  # type: ignore[arg-type]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        with pytest.raises(WorkerError) as told:
            worker.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        worker.stop()
    assert told.value.code == "worker_died"
    assert worker.describe()["restarts"] == 1
