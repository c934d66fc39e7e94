"""Runs after a restart, from the journal that the daemon before wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from test_follower import focus, frame

from semdaemon.advice import Follower
from semdaemon.cli.listen import describe
from semdaemon.daemon.parts import follower_of
from semdaemon.journal import Journal
from semdaemon.metrics import Metrics
from semdaemon.settings import Settings
from semdaemon.sources import Sighting
from semdaemon.wire.messages import decode

FLOOR_PX, K = 0.9, 0.66


def test_a_daemon_takes_up_the_runs_that_the_journal_knows(tmp_path: Path) -> None:
    journal, before, settings = Journal(tmp_path / "journal.sqlite3"), Follower(), Settings()
    for number, z in enumerate([*np.arange(-8.0, 9.0, 2.0), 5.0, 5.0], start=1):
        path = tmp_path / f"{number}.tif"
        journal.see([Sighting("ndtiff", path.as_uri(), path, Path(path.name), 1, number)])
        row = journal.rows(limit=1)[0]
        seen, map_ = frame(float(z), content_sha256=str(number)), focus(math.hypot(FLOOR_PX, K * z))
        followed = before.follow(seen, map_, settings, number=row.key, seen_at=float(number))
        journal.settle(row.key, seen, "fingerprint")
        journal.scored(row.key, b"", followed.noted(seen), needs_refocus=False, reason="blurred")
    journal.close()
    with Journal(tmp_path / "journal.sqlite3") as reopened:
        after = follower_of(settings, reopened, Metrics())
    told = after.follow(frame(5.0), focus(math.hypot(FLOOR_PX, K * 5)), settings, number=99, seen_at=99.0)
    assert told.advice is not None
    correction = told.advice.focus.correction_um
    assert correction is not None
    assert abs(correction.mean + 5.0) < 2 * correction.sd < 5.0


def test_runs_that_cannot_be_taken_up_keep_no_daemon_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake in advice")

    monkeypatch.setattr(Follower, "recall", broken)
    metrics, settings = Metrics(), Settings()
    with Journal(tmp_path / "journal.sqlite3") as journal:
        after = follower_of(settings, journal, metrics)
    assert metrics.registry.get_sample_value("semdaemon_faults_total", {"code": "advice_failed"}) == 1
    assert after.follow(frame(1.0), focus(1.0), settings, number=1, seen_at=1.0).memory


def test_a_run_in_which_something_failed_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What half of a step left in it would fail with every later frame."""
    follower, settings = Follower(), Settings()
    for number in range(3):
        follower.follow(frame(1.0), focus(1.0), settings, number=number, seen_at=float(number))
    with monkeypatch.context() as patched:
        patched.setattr("semdaemon.advice.runs.Run.look", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            follower.follow(frame(1.0), focus(1.0), settings, number=3, seen_at=3.0)
    assert follower.follow(frame(1.0), focus(1.0), settings, number=4, seen_at=4.0).memory
    (run,) = follower._runs.values()
    assert run.frames == 1


def test_a_frame_that_is_scored_again_counts_once() -> None:
    follower, settings = Follower(), Settings()
    for _ in range(3):
        follower.follow(frame(1.0), focus(1.0), settings, number=7, seen_at=1.0)
    (run,) = follower._runs.values()
    assert (len(run._samples), run.frames) == (1, 1)


def test_one_frame_that_is_scored_again_and_again_raises_no_alarm() -> None:
    """Two frames in a row must speak against a run; a reload that sends one back is no second frame."""
    follower, settings = Follower(), Settings()
    z = [*np.arange(-8.0, 9.0, 2.0), 0.0, 0.0]
    for number, um in enumerate(z, start=1):
        blur = focus(math.hypot(FLOOR_PX, K * um))
        follower.follow(frame(float(um)), blur, settings, number=number, seen_at=float(number))
    last = len(z) + 1
    for _ in range(4):
        far = follower.follow(frame(5.0), focus(3.4), settings, number=last, seen_at=float(last))
        assert far.advice is None or "out_of_focus" not in far.advice.reasons
    another = follower.follow(frame(5.0), focus(3.4), settings, number=last + 1, seen_at=float(last + 1))
    assert another.advice is not None
    assert "out_of_focus" in another.advice.reasons


def test_the_listener_tells_the_golden_advice_in_one_line() -> None:
    vector = json.loads((Path(__file__).parents[2] / "data" / "wire" / "advice.json").read_text())
    said = describe(decode([bytes.fromhex(part) for part in vector["parts_hex"]]))
    assert said.endswith(
        "lath_0001.tif: out of focus, and it drifts, blur 3.2 px (16.2 nm): stage Z -2.50 ± 0.50 µm; "
        "a region is beyond repair, take it again"
    )
