"""``semdaemon simulate``: a microscope that is not there."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from semdaemon.simulate import (
    KINDS,
    MODES,
    VENDORS,
    Microscope,
    MicroscopeSettings,
    Mode,
    Probe,
    Vendor,
    WrittenFrame,
)


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


@click.command("simulate", short_help="Write frames as a microscope does.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--frames", type=click.IntRange(1), help="How many; without it until Ctrl-C.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(0),
    default=2.0,
    show_default=True,
    help="Seconds from the start of one frame to the next.",
)
@click.option(
    "--write-s",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Seconds that writing a file takes.",
)
@click.option(
    "--scenes",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of real, sharp frames in place of procedural scenes.",
)
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Kind of scene; several in turn."
)
@click.option("--size", type=_Size(), default=None, help="Picture without data bar.  [default: 1024x768]")
@click.option("--bits", type=click.Choice(["8", "16"]), default="8", show_default=True)
@click.option(
    "--dose",
    type=click.FloatRange(0, min_open=True),
    default=100.0,
    show_default=True,
    help="Electrons per pixel at full white.",
)
@click.option(
    "--pixel-nm",
    type=click.FloatRange(0, min_open=True),
    default=20.0,
    show_default=True,
    help="Pixel size, nanometres.",
)
@click.option(
    "--vendor",
    type=click.Choice(VENDORS),
    default="fei",
    show_default=True,
    help="Whose metadata, sidecar and data bar.",
)
@click.option("--data-bar/--no-data-bar", default=True, show_default=True)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="pieces",
    show_default=True,
    help="Growing file, full size first, or renamed when complete.",
)
@click.option(
    "--drift",
    "drift_um",
    type=float,
    default=None,
    help="Focus drift per frame, micrometres; without it a mix of sharp, partly and wholly blurred.",
)
@click.option(
    "--astigmatism",
    type=click.FloatRange(1, 4),
    default=1.0,
    show_default=True,
    help="Long over short axis of the defocused probe.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same pixels.")
@click.option(
    "--truth",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder (elsewhere) for the sharp picture, the radius map and a JSON of each frame.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a frame on standard output.")
def command(
    folder: Path,
    frames: int | None,
    interval_s: float,
    write_s: float,
    scenes: Path | None,
    kinds: tuple[str, ...],
    size: tuple[int, int] | None,
    bits: str,
    dose: float,
    pixel_nm: float,
    vendor: Vendor,
    data_bar: bool,
    mode: Mode,
    drift_um: float | None,
    astigmatism: float,
    seed: int,
    truth: Path | None,
    as_json: bool,
) -> None:
    """Write frames into DIR as a microscope does: slowly, in pieces, with data bar, metadata and defocus.

    Each frame's truth (what it would be in focus) goes into the folder given by --truth.
    """
    settings = MicroscopeSettings(
        shape=size or (None if scenes else (768, 1024)),
        kinds=kinds or KINDS,
        scenes=scenes,
        seed=seed,
        bits=int(bits),
        electrons_per_px=dose,
        pixel_size_m=pixel_nm * 1e-9,
        probe=Probe(ellipticity=astigmatism, sigma0_px=0.0 if scenes else Probe().sigma0_px),
        drift_m=None if drift_um is None else drift_um * 1e-6,
        vendor=vendor,
        data_bar=data_bar,
        mode=mode,
        interval_s=interval_s,
        write_s=write_s,
    )
    _run(Microscope(settings), folder, frames, truth, as_json)


def _run(microscope: Microscope, folder: Path, frames: int | None, truth: Path | None, as_json: bool) -> None:
    console = Console(stderr=True)
    stop = threading.Event()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task(f"frames into {folder}", total=frames)

        def written(one: WrittenFrame) -> None:
            progress.advance(task)
            if as_json:
                click.echo(json.dumps(one.as_json()))
            else:
                console.print(_line(one), highlight=False)

        try:
            microscope.write_frames(folder, frames, on_frame=written, stop=stop, truth=truth)
        except KeyboardInterrupt:
            console.print("stopped")


def _line(one: WrittenFrame) -> str:
    radius = one.frame.radius_map_px
    return (
        f"{one.path.name}  {one.frame.kind}, {one.frame.condition}, "
        f"disc radius {radius.min():.1f} to {radius.max():.1f} px"
    )
