"""All figures of this machine, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semdaemon.bench import ceilings as tops
from semdaemon.bench.figures import FRAME_PX, Figure, frame_pixels
from semdaemon.bench.files import file_figures
from semdaemon.bench.focus import focus_figure
from semdaemon.bench.machine import Machine, this_machine
from semdaemon.bench.moving import moving_figures
from semdaemon.bench.network import engine_figures
from semdaemon.focus import focus_map, load_scorer
from semdaemon.frame import Area, Frame, frame_id, pixels_sha256
from semdaemon.settings import Focus


@dataclass(frozen=True)
class Bench:
    """Machine, its ceilings, and the figures beside them."""

    machine: Machine
    ceilings: tops.Ceilings
    frame_px: int
    figures: tuple[Figure, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values of four digits, with each figure's share of its ceiling."""
        return {
            "machine": asdict(self.machine),
            "ceilings": {key: _short(value) for key, value in asdict(self.ceilings).items()},
            "frame_px": self.frame_px,
            "figures": [
                {**{k: _short(v) for k, v in asdict(one).items()}, "share": _short(one.share)}
                for one in self.figures
            ],
        }


def as_markdown(found: Bench) -> str:
    """The section of a page: machine, ceilings, and a table."""
    machine, threads = found.machine, found.ceilings.threads
    load = f"load {machine.load_per_processor:g} a processor while it was measured"
    lines = [
        f"{machine.processor}, {machine.processors} processors, {load}.",
        f"torch {machine.torch}, threads {threads}.",
        f"At best: {said_at_best(found.ceilings)}.",
        "",
        "| what | here | at best | share | limited by |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row(one))} |" for one in found.figures)])


def said_at_best(ceilings: tops.Ceilings) -> str:
    """The ceilings in words."""
    return (
        f"{ceilings.fp32_gflop_per_s:.0f} GFLOP/s in float32, {ceilings.bf16_gflop_per_s:.0f} in bfloat16, "
        f"{ceilings.copy_bytes_per_s / 1e9:.1f} GB/s copied"
    )


def row(one: Figure) -> tuple[str, str, str, str, str]:
    """A figure as a row: what, here, at best, share, limited by."""
    here, best = (f"{value:.3g} {one.unit}" for value in (one.value, one.ceiling))
    return one.what, here, best, f"{100 * one.share:.2g} %", one.limited_by


def bench(
    *,
    threads: int = 1,
    folder: Path | None = None,
    frame_px: int = FRAME_PX,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Measure everything; less than a minute on an idle machine of two processors.

    Parameters
    ----------
    threads
        Of the matrix products and of the engine.
    folder
        On whose disk files are written and read; None is the system's for temporary files.
    """
    machine = this_machine()
    tell("ceilings")
    ceilings = tops.measure(threads)
    figures = []
    for figure in _figures(ceilings, folder, frame_px):
        tell(figure.what)
        figures.append(figure)
    return Bench(machine, ceilings, frame_px, tuple(figures))


def _figures(ceilings: tops.Ceilings, folder: Path | None, frame_px: int) -> Iterator[Figure]:
    frame = _frame(frame_px)
    yield from engine_figures(ceilings)
    yield focus_figure(frame, ceilings)
    yield from moving_figures(frame.pixels, ceilings)
    settings = Focus()
    focus = focus_map(frame, settings, load_scorer(settings.scorer, settings))
    yield from file_figures(frame, focus, folder)


def _frame(side_px: int) -> Frame:
    pixels = frame_pixels(side_px)
    pixels.setflags(write=False)
    sha256, uri = pixels_sha256(pixels), "file:///bench.tif"
    return Frame(frame_id(sha256, uri), "bench", uri, pixels, sha256, Area.whole(pixels.shape))


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
