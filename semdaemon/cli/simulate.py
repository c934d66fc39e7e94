"""``semdaemon simulate``: a microscope that is not there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import reduce
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from semdaemon.simulate import KINDS, MODES, VENDORS, Microscope, MicroscopeSettings, Probe, WrittenFrame
from semdaemon.simulate.run import SERIES_FRAMES

_FOLDER = click.Path(file_okay=False, path_type=Path)
_POSITIVE = click.FloatRange(0, min_open=True)


class _Size(click.ParamType):  # type: ignore[type-arg]  # generic only in newer click
    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Text like ``1024x768`` to (height, width)."""
        width, _, height = str(value).lower().partition("x")
        if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 64):
            self.fail(f"{value!r} is not a size like 1024x768, at least 64x64", param, ctx)
        return int(height), int(width)


# fmt: off
_SAMPLE = (
    click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS),
                 help="Kind of scene; given several times, they are taken in turn.  [default: all]"),
    click.option("--scenes", type=click.Path(exists=True, file_okay=False, path_type=Path),
                 help="A folder of real, sharp frames in place of procedural scenes."),
    click.option("--size", type=_Size(), default=None,
                 help="Picture without data bar.  [default: 1024x768, or the real frame's own]"),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
                 help="Same seed, same pixels."),
)
_BEAM = (
    click.option("--dose", type=_POSITIVE, default=100.0, show_default=True,
                 help="Electrons per pixel at full white."),
    click.option("--pixel-nm", type=_POSITIVE, default=20.0, show_default=True,
                 help="Pixel size, nanometres."),
    click.option("--drift", "drift_um", type=float, default=None,
                 help="Focus drift, micrometres per frame; without it a mix of sharp and blurred frames."),
    click.option("--through-focus", "through_focus_um", type=_POSITIVE, default=None,
                 help="One field through focus: step of the working distance, micrometres.  [11 frames]"),
    click.option("--astigmatism", type=click.FloatRange(1, 4), default=1.0, show_default=True,
                 help="Long over short axis of the defocused probe."),
)
_FILE = (
    click.option("--bits", type=click.Choice(["8", "16"]), default="8", show_default=True),
    click.option("--vendor", type=click.Choice(VENDORS), default="fei", show_default=True,
                 help="Whose metadata, sidecar and data bar."),
    click.option("--data-bar/--no-data-bar", default=True, show_default=True),
    click.option("--mode", type=click.Choice(MODES), default="pieces", show_default=True,
                 help="Growing file, full size first, or renamed when complete."),
    click.option("--interval", "interval_s", type=click.FloatRange(0), default=2.0, show_default=True,
                 help="Seconds from the start of one frame to the next."),
    click.option("--write-s", type=click.FloatRange(0), default=1.0, show_default=True,
                 help="Seconds that writing a file takes."),
)
# fmt: on


def _options(function: Callable[..., None]) -> Callable[..., None]:
    return reduce(lambda wrapped, option: option(wrapped), reversed(_SAMPLE + _BEAM + _FILE), function)


@click.command("simulate", short_help="Write frames as a microscope does.")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--frames", type=click.IntRange(1), help="How many; without it until Ctrl-C.")
@_options
@click.option("--truth", type=_FOLDER, help="Folder (elsewhere) for sharp picture, radius map and JSON.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a frame on standard output.")
def command(folder: Path, frames: int | None, truth: Path | None, as_json: bool, **chosen: Any) -> None:
    """Write frames into DIR as a microscope does: slowly, in pieces, with data bar, metadata and defocus.

    Each frame's truth (what it would be in focus) goes into the folder given by --truth.
    """
    if chosen["through_focus_um"] is not None:
        if chosen["drift_um"] is not None:
            raise click.UsageError("Give --through-focus or --drift, not both.")
        frames = frames or SERIES_FRAMES
    _run(
        Microscope(_settings(**chosen, series_frames=frames or SERIES_FRAMES)), folder, frames, truth, as_json
    )


def _settings(
    *,
    size: tuple[int, int] | None,
    kinds: tuple[str, ...],
    scenes: Path | None,
    bits: str,
    dose: float,
    pixel_nm: float,
    drift_um: float | None,
    through_focus_um: float | None,
    series_frames: int,
    astigmatism: float,
    **rest: Any,
) -> MicroscopeSettings:
    """Options in people's units to settings in metres."""
    # real frames bring their own in-focus probe
    sigma0_px = 0.0 if scenes else Probe().sigma0_px
    return MicroscopeSettings(
        shape=size or (None if scenes else (768, 1024)),
        kinds=kinds or KINDS,
        scenes=scenes,
        bits=int(bits),
        electrons_per_px=dose,
        pixel_size_m=pixel_nm * 1e-9,
        drift_m=None if drift_um is None else drift_um * 1e-6,
        through_focus_m=None if through_focus_um is None else through_focus_um * 1e-6,
        series_frames=series_frames,
        probe=Probe(ellipticity=astigmatism, sigma0_px=sigma0_px),
        **rest,
    )


def _run(microscope: Microscope, folder: Path, frames: int | None, truth: Path | None, as_json: bool) -> None:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"frames into {folder}", total=frames)

        def written(one: WrittenFrame) -> None:
            progress.advance(task)
            if as_json:
                click.echo(json.dumps(one.as_json()))
            else:
                console.print(_line(one), highlight=False, soft_wrap=True)

        _until_interrupted(microscope, folder, frames, written, truth)


def _until_interrupted(
    microscope: Microscope,
    folder: Path,
    frames: int | None,
    written: Callable[[WrittenFrame], None],
    truth: Path | None,
) -> None:
    """Ctrl-C ends the run after the frame at hand, which is completed at once."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(microscope.write_frames, folder, frames, on_frame=written, stop=stop, truth=truth)
        while not run.done():
            try:
                wait([run], timeout=0.2)
            except KeyboardInterrupt:
                stop.set()
        run.result()


def _line(one: WrittenFrame) -> str:
    radius = one.frame.radius_map_px
    return (
        f"{one.path.name}  {one.frame.kind}, {one.frame.condition.replace('_', ' ')}, "
        f"disc radius {radius.min():.1f} to {radius.max():.1f} px"
    )
