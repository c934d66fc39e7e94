"""``semdaemon bench``: each figure and the ceiling beside it."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from semdaemon.bench import files, focus, moving, network, run
from semdaemon.bench.ceilings import Ceilings
from semdaemon.bench.figures import Figure, best_s, frame_pixels, processor_clock
from semdaemon.bench.machine import this_machine
from semdaemon.bench.network import multiply_adds_per_px, side_px
from semdaemon.cli.bench import command
from semdaemon.refocus.networks import LIGHT, PUBLISHED, NetworkSpec, build

CEILINGS = Ceilings(1, 100.0, 300.0, 10e9)


def counted(spec: NetworkSpec, side: int = 64) -> float:
    """Multiply-adds a pixel, counted at every convolution of a run."""
    total = 0

    def count(module: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += out[0].numel() * module.weight[0].numel()

    net = build(spec)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        net(torch.zeros(1, 1, side, side))
    return total / side**2


@pytest.mark.parametrize(
    "spec", [LIGHT, NetworkSpec(filters=8, blocks=2, kernel=5)], ids=["light", "as published"]
)
def test_the_work_of_a_network_is_that_of_its_convolutions(spec: NetworkSpec) -> None:
    assert multiply_adds_per_px(spec) == pytest.approx(counted(spec))


def test_the_published_network_costs_what_is_known_of_it() -> None:
    assert multiply_adds_per_px(PUBLISHED) == pytest.approx(4.44e6, rel=0.002)


def test_a_costly_network_is_measured_on_a_smaller_picture() -> None:
    cheap, costly = 2e-8, 1e-4
    assert side_px(cheap) == 512
    assert side_px(costly) == 64
    assert all(side_px(cost) % 32 == 0 for cost in np.geomspace(cheap, costly, 20))


def test_the_best_of_several_runs_counts_and_the_first_does_not() -> None:
    times = iter([0.0, 3.0, 3.0, 4.0, 4.0, 9.0])
    runs = []
    best = best_s(lambda: runs.append(1), budget_s=0, at_least=3, clock=lambda: next(times))
    assert best == 1.0
    assert len(runs) == 4


def test_a_share_is_what_is_reached_of_the_ceiling() -> None:
    assert Figure("files", "read", 20.0, "ms", 5.0, "bytes alone").share == 0.25


def test_several_threads_are_timed_by_the_clock_on_the_wall() -> None:
    assert processor_clock(2) is time.perf_counter


def test_a_frame_arrives_in_another_process_by_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "_BUDGET_S", 0.02)
    found = list(moving.moving_figures(frame_pixels(128), CEILINGS))
    assert [one.what for one in found][:1] == ["frame by shared memory"]
    assert found[-1].what == "frame by ZeroMQ, tcp"
    assert all(0 < one.value < 5000 and one.unit == "ms" for one in found)
    assert found[0].ceiling == pytest.approx(1e3 * 128 * 128 * 2 / 10e9)


def test_files_are_read_and_written_where_asked_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BUDGET_S", 0.02)
    frame = run._frame(256)
    settings = focus.Focus()
    scored = focus.focus_map(frame, settings, focus.load_scorer("sigma", settings))
    seen: list[str] = []
    for one in files.file_figures(frame, scored, tmp_path):
        seen.append(one.what)
        assert one.value > 0 < one.ceiling
        assert list(tmp_path.iterdir())  # it is this folder's disk that is measured
    assert seen == [
        "read a frame, uncompressed",
        "read a frame, zstd",
        "write an output, uncompressed",
        "write an output, zstd",
    ]
    assert list(tmp_path.iterdir()) == []


def test_the_machine_names_its_processor_and_what_else_it_does() -> None:
    machine = this_machine()
    assert machine.processor
    assert machine.processors >= 1
    assert machine.load_per_processor >= 0
    assert machine.torch == torch.__version__


PAGE = "# Performance\n\n<!-- bench: written by semdaemon bench -->\nx\n<!-- end of bench -->\n"


def test_the_command_prints_one_object_or_a_table_and_writes_its_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (moving, "_BUDGET_S", 0.02),
        (files, "_BUDGET_S", 0.02),
        (network, "_SLOWEST_S", 0.1),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(run, "bench", partial(run.bench, frame_px=256))
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    said = CliRunner().invoke(command, ["--json", "--folder", str(tmp_path), "--page", str(page)])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)
    assert {one["part"] for one in told["figures"]} == {"network", "focus", "moving", "files"}
    assert all(
        one["share"] == pytest.approx(one["ceiling"] / one["value"], rel=0.01) for one in told["figures"]
    )
    assert told["ceilings"]["fp32_gflop_per_s"] > 0.1
    assert "| refocus by 'light'" in page.read_text("utf-8")
    monkeypatch.setattr(run, "bench", lambda **_: _found())
    shown = CliRunner().invoke(command, [])
    assert shown.exit_code == 0, shown.output
    assert "100 GFLOP/s in float32, 300 in bfloat16, 10.0 GB/s copied" in shown.stdout
    assert "25 %" in shown.stdout
    assert "Other programs are at work (load 2 a processor)" in shown.stdout


def _found() -> run.Bench:
    figure = Figure("network", "refocus by 'light', 512 px", 4.0, "s/MP", 1.0, "fp32 arithmetic")
    return run.Bench(run.Machine("A", 2, 2.0, "Linux", "3.11", "2.2"), CEILINGS, 2048, (figure,))
