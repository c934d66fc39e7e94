"""``semdaemon score``: where files are out of focus, and by how much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from semdaemon.cli.options import config_option, json_option, scorer_option, settings_from
from semdaemon.cli.picturefile import PicturePath, writing
from semdaemon.cli.scorelines import heading, lines
from semdaemon.errors import FrameError
from semdaemon.focus import FocusMap, focus_map, load_scorer, picture
from semdaemon.formats import read_frames
from semdaemon.frame import Frame
from semdaemon.repairable import with_repair_limit

_MAP_PX = 2048


@click.command("score")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--map",
    "map_path",
    type=PicturePath(),
    help="Picture of the focus map, PNG or JPEG; of several frames each gets its own, numbered.",
)
@scorer_option
@config_option
@json_option
def command(
    files: tuple[Path, ...],
    map_path: Path | None,
    scorer_name: str | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Score the focus of FILES: verdicts and blur per tile."""
    settings = with_repair_limit(settings_from(config, focus={"scorer": scorer_name}))
    scorer = load_scorer(settings.focus.scorer, settings.focus)
    aperture_rad = settings.advice.aperture_rad
    shown, failed, console = 0, 0, Console(highlight=False, soft_wrap=True)
    for file in files:
        try:
            for frame in read_frames(file, limits=settings.limits, sidecar=settings.folder.sidecar):
                focus = focus_map(frame, settings.focus, scorer)
                if as_json:
                    click.echo(json.dumps(as_record(file, frame, focus, aperture_rad), allow_nan=False))
                else:
                    _show(console, file, frame, focus, aperture_rad, first=not shown)
                if map_path is not None:
                    draw_map(_numbered(map_path, shown), frame, focus, aperture_rad)
                shown += 1
        except FrameError as error:
            failed += 1
            _say_fault(file, error, as_json)
    return 1 if failed else 0


def as_record(file: Path, frame: Frame, focus: FocusMap, aperture_rad: float | None = None) -> dict[str, Any]:
    """What ``--json`` says of one frame."""
    return {
        "file": str(file),
        "page": frame.page,
        "shape": list(frame.shape),
        "pixel_size_m": list(frame.pixel_size_m) if frame.pixel_size_m else None,
        **focus.as_json(),
        "counts": focus.counts(),
        "median_sigma_px": focus.median_sigma_px(),
        **focus.survey.as_json(aperture_rad),
    }


def draw_map(path: Path, frame: Frame, focus: FocusMap, aperture_rad: float | None = None) -> None:
    """Write the frame with its focus map over it, as PNG (or JPEG by its suffix)."""
    small = picture.preview(frame.pixels, frame.image_area, _MAP_PX)
    pixel_size_m = frame.pixel_size_m[1] if frame.pixel_size_m else None
    drawn = picture.overlay(
        small, focus, small.shape[1] / frame.shape[1], pixel_size_m=pixel_size_m, aperture_rad=aperture_rad
    )
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    with writing(path):
        path.write_bytes(picture.encode(drawn, "jpeg" if jpeg else "png"))


def _numbered(path: Path, number: int) -> Path:
    return path if number == 0 else path.with_stem(f"{path.stem}-{number + 1}")


def _show(
    console: Console, file: Path, frame: Frame, focus: FocusMap, aperture_rad: float | None, *, first: bool
) -> None:
    if first:
        console.print(heading(), style="bold")
    name = f"{file.name} page {frame.page}" if frame.page else file.name
    pixel_size_m = frame.pixel_size_m[1] if frame.pixel_size_m else None
    text = Text()
    for part, style in lines(name, focus, pixel_size_m, aperture_rad):
        text.append(part, style)
    console.print(text, end="")


def _say_fault(file: Path, error: FrameError, as_json: bool) -> None:
    if as_json:
        said = {"file": str(file), "code": error.code, "error": error.message, "remedy": error.remedy}
        click.echo(json.dumps(said))
    else:
        click.echo(f"semdaemon: {error}", err=True)
