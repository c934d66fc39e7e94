"""``frames``, ``why`` and ``requeue`` as a person runs them, beside a running daemon and without one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from semdaemon.cli import cli, main
from semdaemon.focus.artefacts import Artefact
from semdaemon.focus.astigmatism import Astigmatism
from semdaemon.focus.survey import Survey
from semdaemon.frame import Area, Frame, frame_id
from semdaemon.journal import Journal, find_journal
from semdaemon.refocus.judging import RegionReport
from semdaemon.sources import Sighting


def sighting(name: str) -> Sighting:
    path = Path("/acquired") / name
    return Sighting("folder", path.as_uri(), path, Path(name), 10, 5)


SUMMARY: dict[str, object] = {
    "verdicts": {"sharp": 3, "blurred": 1},
    **Survey(artefacts=(Artefact("lettering", 1),), astigmatism=Astigmatism("cannot_tell")).as_json(),
    "advice": {"reasons": ["beyond_repair"], "regions": [{}], "retake": True},
}

REGION = RegionReport(
    number=1, tiles=3, area=[0, 0, 40, 50], sigma_px=2.0, scales=[1], unexplained=0.1, accepted=False,
    rejected="low_confidence", confidence=0.42, expected_error=0.031, error_bound=0.052, novelty=0.3,
).as_dict()  # fmt: skip


def filled(state_dir: Path) -> Journal:
    """Frame 1 published, 2 failed with a remedy, 3 held, 4 overwrites 1's file."""
    journal, later = Journal(find_journal(state_dir)), time.time() + 3600
    journal.see([sighting(name) for name in ("run 1/a.tif", "run 1/b.tif", "[c].tif")])
    uri = journal.row(1).uri
    pixels = np.zeros((40, 50), np.uint16)
    area, content = Area.whole(pixels.shape), "c" * 64
    frame = Frame(frame_id(content, uri), "folder", uri, pixels, content, area, (2e-9, 2e-9))
    journal.settle(1, frame, "abcdef012345")
    journal.scored(1, b"map", SUMMARY, needs_refocus=True)
    journal.refocused(1, Path("/out/a.refocused.tif"), {"regions": [REGION]})
    journal.finish(1, "published", "refocused")
    journal.hold(2, "truncated", later, "half of it is missing")
    journal.finish(2, "failed", "truncated", "run 1/b.tif is not complete", "Copy the file again.")
    journal.hold(3, "still_changing", later)
    return journal


@pytest.fixture(params=["daemon runs", "no daemon"])
def state_dir(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    journal = filled(tmp_path)
    if request.param == "no daemon":
        journal.close()
    yield tmp_path
    journal.close()


def run(state_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--state", str(state_dir)], catch_exceptions=False)


def exit_code(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


def test_frames_lists_the_journal(state_dir: Path) -> None:
    listed = run(state_dir, "frames").stdout
    lines = listed.splitlines()
    assert lines[0].split() == ["number", "id", "state", "reason", "age", "file"]
    assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1"]
    assert "[c].tif" in lines[1]
    assert "failed" in lines[2]
    assert "run 1/b.tif" in lines[2]


def test_frames_can_be_narrowed_and_counted(state_dir: Path) -> None:
    assert len(run(state_dir, "frames", "--only", "failed").stdout.splitlines()) == 2
    result = run(state_dir, "frames", "--limit", "1")
    assert len(result.stdout.splitlines()) == 2
    assert "newest 1 of 3" in result.stderr
    assert "1 published" in result.stderr


def test_frames_as_json_is_one_object_a_line_and_nothing_else(state_dir: Path) -> None:
    rows = [json.loads(line) for line in run(state_dir, "frames", "--json").stdout.splitlines()]
    assert [row["key"] for row in rows] == [3, 2, 1]
    assert rows[2]["shape"] == [40, 50]
    assert rows[2]["output"] == str(Path("/out/a.refocused.tif"))
    assert rows[2]["seen_at"].endswith("Z")
    assert rows[0]["finished_at"] is None


def test_why_tells_the_history_with_the_remedy(state_dir: Path) -> None:
    told = run(state_dir, "why", "2").stdout
    assert "Frame 2 is failed" in told
    assert "Copy the file again." in told
    assert [word for word in ("seen", "held", "failed") if word in told] == ["seen", "held", "failed"]
    assert "half of it is missing" in told


def test_why_tells_what_was_found_in_sentences(state_dir: Path) -> None:
    told = run(state_dir, "why", "1").stdout
    assert "  focus     letters, a scale bar" in told
    assert "  refocus   region 1, 3 tiles: the original stands, a gain is only 42% likely" in told
    assert "off by about 3.1 % of the range (90 %: below 5.2 %)" in told
    assert "  advice    a region is beyond repair, take it again" in told
    assert "None" not in told
    assert "cannot_tell" not in told


@pytest.mark.parametrize("text", ["1", "run 1/a.tif", "a.tif", "/acquired/run 1/a.tif"])
def test_why_takes_number_and_path(state_dir: Path, text: str) -> None:
    assert "Frame 1 is published" in run(state_dir, "why", text).stdout


def test_why_takes_the_first_digits_of_an_identity(state_dir: Path) -> None:
    identity = json.loads(run(state_dir, "why", "1", "--json").stdout)["frame_id"]
    told = run(state_dir, "why", identity[:8]).stdout
    assert identity in told
    assert "2 nm a pixel" in told


def test_why_as_json_has_the_history(state_dir: Path) -> None:
    told = json.loads(run(state_dir, "why", "2", "--json").stdout)
    assert [step["state"] for step in told["history"]] == ["seen", "held", "failed"]


def test_unknown_and_ambiguous_frames_are_errors_with_a_remedy(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("why", "nothing.tif", "--state", str(state_dir)) == 1
    assert "no_such_frame" in capsys.readouterr().err


def test_requeue_starts_frames_again_and_tells_which_it_could_not(state_dir: Path) -> None:
    result = run(state_dir, "requeue", "b.tif", "3", "99")
    assert result.stdout.splitlines() == [f"Frame 2 waits again: {Path('/acquired/run 1/b.tif')}"]
    assert "still_on_its_way" in result.stderr
    assert "no_such_frame" in result.stderr
    with Journal(find_journal(state_dir), read_only=True) as journal:
        assert (journal.row(2).state, journal.row(2).requeues) == ("seen", 1)
    assert exit_code("requeue", "99", "--state", str(state_dir)) == 1


def test_a_running_daemon_sees_at_once_what_was_requeued(tmp_path: Path) -> None:
    with filled(tmp_path) as journal:
        assert journal.next_to_settle() is None
        run(tmp_path, "requeue", "1")
        found = journal.next_to_settle()
        assert found is not None
        assert found.key == 1


def test_the_newest_content_of_a_file_is_meant(tmp_path: Path) -> None:
    with filled(tmp_path) as journal:
        changed = sighting("run 1/a.tif")
        journal.see([Sighting("folder", changed.uri, changed.path, changed.relative, 99, 99)])
        assert "Frame 4 is seen" in run(tmp_path, "why", "a.tif").stdout
        assert "Frame 1 is published" in run(tmp_path, "why", "1").stdout


def test_without_a_journal_the_remedy_says_how_to_name_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["frames"], ["why", "1"], ["requeue", "1"]):
        assert exit_code(*command, "--state", str(tmp_path / "nowhere")) == 1
        assert "--state" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows names are text")
def test_a_name_that_is_no_text_is_printed_safely(tmp_path: Path) -> None:
    path = Path(os.fsdecode(b"/acquired/caf\xe9.tif"))
    with Journal(find_journal(tmp_path)) as journal:
        journal.see([Sighting("folder", path.as_uri(), path, Path(path.name), 1, 1)])
        for command in (["frames"], ["frames", "--json"], ["why", "1"], ["why", "1", "--json"]):
            result = run(tmp_path, *command)
            assert result.exit_code == 0
            assert "caf" in result.stdout
