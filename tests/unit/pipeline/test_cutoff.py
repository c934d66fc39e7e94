"""Steps that an error cuts off: no frame is stuck, worn out, or sent twice without saying so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from semdaemon.advice import Followed, Follower
from semdaemon.clock import ClockWatch
from semdaemon.errors import SemdaemonError
from semdaemon.fingerprint import networks_of
from semdaemon.focus import load_scorer
from semdaemon.inforce import InForce, Live
from semdaemon.journal import Journal, find_journal
from semdaemon.metrics import Metrics
from semdaemon.outbound import Outbound
from semdaemon.pipeline import Journey, Pipeline, RecentFrames
from semdaemon.settings import Folder, Settings
from semdaemon.sources import Sighting
from semdaemon.sources.reader import FileReader

FULL = SemdaemonError("journal_write", "disk full")


class Sent:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []

    def publish(self, event: str, header: dict[str, Any], *_: object) -> None:
        self.messages.append((event, header))

    def scores(self) -> list[bool]:
        return [header["redelivered"] for event, header in self.messages if event == "score"]

    def faults(self) -> list[str]:
        return [header["code"] for event, header in self.messages if event == "fault"]


class Clock:
    now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(find_journal(tmp_path / "state")) as opened:
        yield opened


@pytest.fixture
def pipeline(tmp_path: Path, journal: Journal, sent: Sent) -> Pipeline:
    settings = Settings(folder=Folder(folders=(tmp_path,), settle_s=0.0, hold_s=0.0))
    files = FileReader(settings.folder, settings.limits)
    metrics = Metrics()
    scorer = load_scorer("sigma", settings.focus)
    in_force = InForce(settings, settings.focus, scorer, files, {}, networks_of(settings))
    outbound = Outbound(settings.publish, sent, [], metrics)
    made = Pipeline(Journey(Live(in_force), journal, outbound, metrics, RecentFrames()), Follower(), None)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.random.default_rng(1).integers(0, 255, (128, 128), np.uint8))
    about = path.stat()
    journal.see([Sighting("folder", path.as_uri(), path, Path("a.tif"), about.st_size, about.st_mtime_ns)])
    return made


def look_until_done(pipeline: Pipeline, turns: int = 20) -> list[str]:
    """As the daemon's thread does; returns what was raised."""
    raised = []
    for _ in range(turns):
        try:
            pipeline.look()
        except SemdaemonError as error:
            raised.append(error.code)
        except ValueError:
            raised.append("unexpected")
        if pipeline.journey.journal.rows()[0].final:
            break
    return raised


def failing(times: int, real: Any, error: Exception) -> Any:
    left = [times]

    def step(*arguments: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return real(*arguments, **options)

    return step


def test_a_journal_that_is_full_between_sending_and_noting_is_said(
    pipeline: Pipeline, journal: Journal, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "scored", failing(1, journal.scored, FULL))
    assert look_until_done(pipeline) == ["journal_write"]
    assert journal.rows()[0].state == "published"
    assert sent.scores() == [False, True]


def test_a_full_journal_never_wears_a_frame_out(
    pipeline: Pipeline, journal: Journal, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "settle", failing(12, journal.settle, FULL))
    assert look_until_done(pipeline) == ["journal_write"] * 12
    row = journal.rows()[0]
    assert (row.state, row.attempts) == ("published", 0)
    assert sent.faults() == []


@pytest.mark.parametrize("where", ["advice.Follower.follow", "outbound.Outbound.advice"])
def test_a_fault_in_advice_costs_no_frame_its_result_and_is_counted_under_its_name(
    pipeline: Pipeline, journal: Journal, sent: Sent, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake in advice")

    monkeypatch.setattr("semdaemon.advice.Follower.follow", lambda *_, **__: Followed(advice=object()))  # type: ignore[arg-type]
    monkeypatch.setattr(f"semdaemon.{where}", broken)
    assert look_until_done(pipeline) == []
    row = journal.rows()[0]
    assert (row.state, sent.scores(), sent.faults()) == ("published", [False], [])
    registry = pipeline.journey.metrics.registry
    assert registry.get_sample_value("semdaemon_faults_total", {"code": "advice_failed"}) == 1


def test_what_nobody_foresaw_ends_as_a_fault_of_the_frame_and_not_in_a_loop(
    pipeline: Pipeline, journal: Journal, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a plugin's mistake")

    monkeypatch.setattr("semdaemon.pipeline.scoring.focus_map", broken)
    assert look_until_done(pipeline) == ["unexpected"] * 3
    row = journal.rows()[0]
    assert (row.state, row.reason) == ("failed", "unexpected")
    assert "a plugin's mistake" in row.detail
    assert sent.faults() == ["unexpected"]
    monkeypatch.undo()  # the plugin is mended
    journal.requeue(row.key)
    assert look_until_done(pipeline) == []
    assert journal.row(row.key).state == "published"


def test_while_the_journal_cannot_be_written_nothing_is_read_or_sent(
    pipeline: Pipeline, journal: Journal, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = journal.scored
    large = lambda key, blob, *more, **options: scored(key, blob + bytes(100_000), *more, **options)  # noqa: E731
    monkeypatch.setattr(journal, "scored", large)
    with journal._database.write() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    assert look_until_done(pipeline, 30) == ["journal_write"]  # then it is not tried before its time
    assert sent.scores() == [False]
    assert journal.fault
    assert pipeline.look_due_at() is None  # so that the thread does not turn all the time
    with journal._database.write() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    deadline = time.monotonic() + 20
    while not journal.rows()[0].final:
        assert time.monotonic() < deadline
        pipeline.look()
        time.sleep(0.02)
    assert journal.fault == ""
    assert sent.scores() == [False, True]


def test_a_clock_that_is_set_moves_every_wait_with_it(pipeline: Pipeline, journal: Journal) -> None:
    wall, steady = Clock(), Clock()
    wall.now = time.time()
    pipeline.scoring.clock, journal._clock = ClockWatch(wall, steady), wall
    key = journal.rows()[0].key
    journal.hold(key, "truncated", time.time() + 1000.0)
    before = journal.row(key)
    for by_s in (3600.0, 1800.0, -5000.0):
        wall.now += by_s
        pipeline.look()
        after = journal.row(key)
        assert after.check_at == pytest.approx((before.check_at or 0) + by_s, abs=0.01)
        assert after.noticed_at == pytest.approx(before.noticed_at + by_s, abs=0.01)
        before = after


def test_time_that_passes_and_slow_corrections_are_no_jump() -> None:
    wall, steady = Clock(), Clock()
    watch = ClockWatch(wall, steady)
    for _ in range(100):
        steady.now += 600.0
        wall.now += 600.3  # 500 parts in a million, the most that a time server's client corrects
        assert watch.jump_s() == 0.0
    assert watch.set_by_s == pytest.approx(30.0)
    wall.now -= 5.0
    assert watch.jump_s() == pytest.approx(-5.0)
    assert watch.jump_s() == 0.0


def test_a_requeued_frame_says_that_it_was_sent_before(
    pipeline: Pipeline, journal: Journal, sent: Sent
) -> None:
    look_until_done(pipeline)
    journal.requeue(journal.rows()[0].key)
    look_until_done(pipeline)
    assert sent.scores() == [False, True]


def test_a_wait_does_not_make_a_cut_off_frame_forget_that_it_may_be_out(
    pipeline: Pipeline, journal: Journal, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "scored", failing(1, journal.scored, FULL))
    with pytest.raises(SemdaemonError):
        pipeline.look()
    journal.take_up("settled")
    row = journal.rows()[0]
    journal.hold(row.key, "source_gone", time.time())  # its share was gone for a moment
    look_until_done(pipeline)
    assert sent.scores() == [False, True]
