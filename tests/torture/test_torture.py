"""The harness itself: in small by default, in full with ``-m soak``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from . import results, table
from .__main__ import main
from .fuzz.runner import Runner
from .lab import Lab
from .oracle import Verdict, judge
from .scenario import Plan
from .scenarios import SCENARIOS

# Settings that let one daemon live through all of them: none needs a worker, and waits are short.
SMALL = Plan(minutes=0.0, scale=0.002)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", [*SCENARIOS, "fuzz"])
def test_in_full(name: str, tmp_path: Path) -> None:
    if name in SCENARIOS and (why := SCENARIOS[name].lacks()):
        pytest.skip(why)
    assert main(["--scenario", name, "--json", str(tmp_path / "results.json")]) == 0


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Verdict, list[str]]]:
    """Scenarios in small, one after the other in one laboratory; those with mounts where these can be."""
    names = ["poison", "noise", "stop", "burst", "kill"]
    mounted = [name for name in ("disk", "share", "clock") if not SCENARIOS[name].lacks()]
    environment = SCENARIOS["clock"].environment() if "clock" in mounted else {}
    home = tmp_path_factory.mktemp("torture")
    with Lab(1, {"refocus": {"enabled": False}}, environment=environment, home=home, pace=0.05) as lab:
        for name in mounted:
            SCENARIOS[name].prepare(lab)
        lab.start()
        for name in [*mounted, *names]:
            SCENARIOS[name].act(lab, SMALL)
            if not lab.running:
                lab.start()
        lab.finish(60)
        yield lab, judge(lab), [*mounted, *names]


def test_every_scenario_in_small_loses_nothing(played: tuple[Lab, Verdict, list[str]]) -> None:
    lab, verdict, names = played
    assert verdict.ok, (verdict.problems, lab.notes)
    assert not [note for note in lab.notes if note.startswith("waited")]
    assert lab.did["kill -9 of the daemon"] >= 1
    assert lab.did["poison files"] >= 1
    if "share" in names:
        assert lab.did["server of the share killed (ENOTCONN), unmounted, mounted again"] == 1
    if "disk" in names:
        assert lab.did["state disk filled and freed"] == 1


def test_the_judge_sees_what_is_wrong(played: tuple[Lab, Verdict, list[str]]) -> None:
    """One that never finds fault proves nothing."""
    lab, before, _ = played
    good = next(each for each in lab.written.values() if each.kind == "sharp")
    other = next(each for each in lab.written.values() if each.kind == "blurred")
    lab.written[good.path] = replace(good, sha256="0" * 64)
    lab.store.joinpath(other.path.relative_to(lab.roots[0])).write_bytes(b"overwritten")
    lab.written[lab.roots[0] / "never.tif"] = good
    (lab.output / "x.refocused.tif").write_bytes(b"no output")
    lab.recorder.caught_up.pop()
    verdict = judge(lab)
    said = "; ".join(verdict.problems)
    for expected in (
        "without a row",
        "other bytes",
        "not what was written",
        "no row tells of",
        "verify",
        "catches up",
    ):
        assert expected in said, said
    assert (before.lost, verdict.lost) == (0, 1)


def test_fuzzing_in_small_finds_nothing(tmp_path: Path) -> None:
    runner = Runner(1, tmp_path / "findings")
    try:
        tallies = runner.run(files=400, parsers=400)
    finally:
        runner.close()
    assert {name: tally.findings for name, tally in tallies.items() if tally.findings} == {}
    assert all(tally.executions for tally in tallies.values())


def test_figures_become_tables(tmp_path: Path) -> None:
    run = results.Run(
        "kill", "kill -9", "killed | often", "nothing", {"kill -9 of the daemon": 400},
        {"files written": 1000.0}, 0, [], 60.0, 1, "python", "abc", "2026-03-01T18:00:00+00:00",
        {"load at the end (1 min)": "1.0"},
    )  # fmt: skip
    path, page = tmp_path / "results.json", tmp_path / "page.md"
    for _ in range(2):
        results.append(path, run)
    page.write_text(f"before\n{table.BEGIN}\nstale words\n{table.END}\nafter\n")
    table.write_page(page, results.read(path))
    text = page.read_text()
    assert "800 kill -9 of the daemon" in text
    assert "2,000" in text
    assert "stale words" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
