"""The harness itself: in small by default, in full with ``-m soak``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from . import results, table
from .__main__ import main
from .fuzz.runner import Runner
from .lab import Lab
from .oracle import judge
from .scenario import Plan, Scenario
from .scenarios import SCENARIOS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills, stops and mounts as POSIX has them")

# Settings that let one daemon live through all of them: none needs a worker, and waits are short.
SMALL = Plan(minutes=0.0, scale=0.002)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", [*SCENARIOS, "fuzz"])
def test_in_full(name: str, tmp_path: Path) -> None:
    if name in SCENARIOS and (why := SCENARIOS[name].lacks()):
        pytest.skip(why)
    assert main(["--scenario", name, "--json", str(tmp_path / "results.json")]) == 0


def test_every_scenario_in_small(tmp_path: Path) -> None:
    """One laboratory for all that can share a daemon; the rest differ in what is prepared for them."""
    with Lab(1, {"refocus": {"enabled": False}}, home=tmp_path, pace=0.05) as lab:
        lab.start()
        for name in ("poison", "noise", "stop", "kill", "burst"):
            SCENARIOS[name].act(lab, SMALL)
            if not lab.running:
                lab.start()
        lab.finish(30)
        verdict = judge(lab)
    assert verdict.ok, (verdict.problems, lab.notes)
    assert lab.did["kill -9 of the daemon"] >= 1
    assert lab.did["poison files"] >= 1
    assert not [note for note in lab.notes if note.startswith("waited")]


def test_every_scenario_with_mounts_in_small(tmp_path: Path) -> None:
    """Disks, shares and clock in one laboratory: the share stands in for the folder that is unmounted."""
    chosen: list[Scenario] = [SCENARIOS[name] for name in ("disk", "share", "clock")]
    if why := next((why for each in chosen if (why := each.lacks())), ""):
        pytest.skip(why)
    environment = SCENARIOS["clock"].environment()
    with Lab(1, {"refocus": {"enabled": False}}, environment=environment, home=tmp_path, pace=0.05) as lab:
        for each in chosen:
            each.prepare(lab)
        lab.start()
        for each in chosen:
            each.act(lab, SMALL)
        lab.finish(30)
        verdict = judge(lab)
    assert verdict.ok, (verdict.problems, lab.notes)
    assert lab.did["state disk filled and freed"] == 1
    assert lab.did["server of the share killed (ENOTCONN), unmounted, mounted again"] == 1
    assert not [note for note in lab.notes if note.startswith("waited")]


def test_fuzzing_in_small_finds_nothing(tmp_path: Path) -> None:
    runner = Runner(1, tmp_path / "findings")
    try:
        tallies = runner.run(files=400, parsers=400)
    finally:
        runner.close()
    assert {name: tally.findings for name, tally in tallies.items() if tally.findings} == {}
    assert all(tally.executions for tally in tallies.values())


def test_the_oracle_sees_what_is_wrong(tmp_path: Path) -> None:
    """A judge that never finds fault proves nothing."""
    with Lab(1, {"refocus": {"enabled": False}}, home=tmp_path) as lab:
        lab.start()
        good, other = lab.write("sharp"), lab.write("sharp")
        lab.finish(30)
        assert judge(lab).ok
        lab.written[good.path] = replace(good, sha256="0" * 64)
        other.path.write_bytes(b"overwritten")
        lab.written[lab.roots[0] / "never.tif"] = good
        (lab.output / "x.refocused.tif").write_bytes(b"no output")
        verdict = judge(lab)
    said = "; ".join(verdict.problems)
    for expected in ("without a row", "other bytes", "not what was written", "no row tells of", "verify"):
        assert expected in said, said
    assert verdict.lost == 1


def test_figures_become_tables(tmp_path: Path) -> None:
    run = results.Run(
        "kill", "kill -9", "killed | often", "nothing", {"kill -9 of the daemon": 400},
        {"files written": 1000.0}, 0, [], 60.0, 1, "python", "abc", "2026-03-01T18:00:00+00:00",
        {"load at the end (1 min)": "1.0"},
    )  # fmt: skip
    path, page = tmp_path / "results.json", tmp_path / "page.md"
    for _ in range(2):
        results.append(path, run)
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write_page(page, results.read(path))
    text = page.read_text()
    assert "800 kill -9 of the daemon" in text
    assert "2,000" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
