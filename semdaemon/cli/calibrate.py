"""``semdaemon calibrate``: the beam's half angle from a through-focus series."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from semdaemon.cli.calibrationplot import draw
from semdaemon.cli.options import config_option, json_option, settings_from
from semdaemon.cli.picturefile import PicturePath, writing
from semdaemon.cli.printable import printable
from semdaemon.errors import SemdaemonError
from semdaemon.focus import focus_map, load_scorer
from semdaemon.focus.calibration import SYSTEMATIC, Calibration, calibrate
from semdaemon.formats import read_frames
from semdaemon.formats.stage import stage_position
from semdaemon.frame import Frame
from semdaemon.settings import Settings

_MOST_PX = 8.0
"""Near its upper end a scorer reads every blur as about the same: such frames are left out."""


@dataclass(frozen=True)
class Step:
    """One frame of the series."""

    name: str
    z_um: float
    sigma_px: float
    relative_sd: float
    pixel_size_m: float | None


@click.command("calibrate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--z", "given", help="Micrometres, one a frame: '0,2,4.5', or a CSV file (file,z_um).")
@click.option("--pixel-nm", type=click.FloatRange(min=0, min_open=True), help="Where the files do not say.")
@click.option("--plot", type=PicturePath(), help="Picture of series and fit, PNG or JPEG.")
@config_option
@json_option
def command(
    files: tuple[Path, ...],
    given: str | None,
    pixel_nm: float | None,
    plot: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Fit blur against working distance or stage height of FILES, one field through focus.

    The coordinates come from the files' own metadata unless --z gives them.
    """
    settings = settings_from(config)
    steps, left_out = _measure(files, given, settings)
    pixel_size_m = pixel_nm * 1e-9 if pixel_nm else _pixel_size_m(steps)
    z_um, sigma_px, relative_sd = (
        np.array([getattr(step, name) for step in steps]) for name in ("z_um", "sigma_px", "relative_sd")
    )
    found = calibrate(z_um, sigma_px, relative_sd, pixel_size_m)
    if plot is not None:
        with writing(plot):
            draw(plot, found, pixel_size_m)
    if as_json:
        click.echo(json.dumps(as_record(found, steps, left_out), allow_nan=False))
    else:
        _show(found, steps, left_out)


def as_record(found: Calibration, steps: list[Step], left_out: list[str]) -> dict[str, object]:
    """What ``--json`` says."""
    return {
        "aperture_mrad": found.aperture_rad * 1e3,
        "aperture_sd_mrad": found.aperture_sd_rad * 1e3,
        "focus_um": found.focus_um,
        "focus_sd_um": found.focus_sd_um,
        "sigma0_px": found.sigma0_px,
        "sigma0_sd_px": found.sigma0_sd_px,
        "crossed": found.crossed,
        "frames": [
            {"file": step.name, "z_um": step.z_um, "sigma_px": step.sigma_px, "fitted_px": float(fitted)}
            for step, fitted in zip(steps, found.fitted_px, strict=True)
        ],
        "left_out": left_out,
    }


def _measure(files: tuple[Path, ...], given: str | None, settings: Settings) -> tuple[list[Step], list[str]]:
    """Blur and coordinate of every frame; names of those whose blur is unknown or beyond what is told."""
    frames = [
        frame
        for file in files
        for frame in read_frames(file, limits=settings.limits, sidecar=settings.folder.sidecar)
    ]
    coordinates = _coordinates(given, files, frames)
    scorer = load_scorer(settings.focus.scorer, settings.focus)
    steps, left_out = [], []
    for frame, z_um in zip(frames, coordinates, strict=True):
        blur = focus_map(frame, settings.focus, scorer).blur
        name = frame.uri.rsplit("/", 1)[-1]
        if blur is None or blur.sigma_px > _MOST_PX:
            left_out.append(name)
            continue
        pixel = frame.pixel_size_m[1] if frame.pixel_size_m else None
        steps.append(Step(name, z_um, blur.sigma_px, blur.relative_sd, pixel))
    return steps, left_out


def _coordinates(given: str | None, files: tuple[Path, ...], frames: list[Frame]) -> list[float]:
    if given is None:
        return _from_metadata(frames)
    if given.lower().endswith(".csv"):
        return _from_csv(Path(given), files)
    try:
        values = [float(text) for text in given.split(",")]
    except ValueError as error:
        raise click.UsageError(
            f"--z takes numbers with commas between, or a CSV file, not {given!r}."
        ) from error
    if len(values) != len(frames):
        raise click.UsageError(f"--z gives {len(values)} coordinates for {len(frames)} frames.")
    return values


def _from_metadata(frames: list[Frame]) -> list[float]:
    """The lens' working distance where it changes, else the stage's height."""
    places = [stage_position(frame.vendor, frame.metadata) for frame in frames]
    for name in ("working_distance_um", "z_um"):
        values = [getattr(place, name) for place in places]
        if all(value is not None for value in values) and len(set(values)) > 1:
            return [float(value) for value in values]
    raise SemdaemonError(
        "series_without_z",
        "The files tell neither working distances nor stage heights that change.",
        remedy="Give them: --z 0,2,4,6 or --z FILE.csv with columns file and z_um.",
    )


def _from_csv(path: Path, files: tuple[Path, ...]) -> list[float]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            rows = {row["file"]: float(row["z_um"]) for row in csv.DictReader(text)}
        return [rows[file.name] for file in files]
    except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
        raise SemdaemonError("series_without_z", f"{path} cannot be read: {error}.") from error
    except KeyError as error:
        raise SemdaemonError(
            "series_without_z",
            f"{path} lacks {error}; expected columns file and z_um and a row for every file.",
        ) from error


def _pixel_size_m(steps: list[Step]) -> float:
    sizes = {step.pixel_size_m for step in steps}
    if len(sizes) == 1 and (size := sizes.pop()) is not None:
        return size
    raise SemdaemonError(
        "series_without_pixel_size",
        "The frames have no pixel size, or not the same one.",
        remedy="Take one field at one magnification, or give --pixel-nm.",
    )


def _show(found: Calibration, steps: list[Step], left_out: list[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{'file':<36}{'z, µm':>12}{'blur, px':>12}{'fit, px':>12}", style="bold")
    for step, fitted in sorted(zip(steps, found.fitted_px, strict=True), key=lambda pair: pair[0].z_um):
        line = f"{printable(step.name)[-34:]:<36}{step.z_um:>12.2f}{step.sigma_px:>12.2f}{fitted:>12.2f}"
        console.print(line, markup=False)
    for name in left_out:
        console.print(
            f"{printable(name)[-34:]:<36}  left out: its blur cannot be told", style="dim", markup=False
        )
    share = found.aperture_sd_rad / found.aperture_rad
    console.print(f"\nhalf angle   {found.aperture_rad * 1e3:.2f} ± {found.aperture_sd_rad * 1e3:.2f} mrad")
    console.print(f"focus at     {found.focus_um:.2f} ± {found.focus_sd_um:.2f} µm")
    console.print(f"in focus     {found.sigma0_px:.2f} ± {found.sigma0_sd_px:.2f} px of blur")
    if not found.crossed:
        console.print("Focus lies outside the series: take frames on both sides of it.", style="bold yellow")
    console.print(f"(the blur's own error, {SYSTEMATIC:.0%}, is in the half angle's)", style="dim")
    console.print("\nFor the settings file:\n", style="bold")
    click.echo(
        f"[advice]\naperture_mrad = {found.aperture_rad * 1e3:.3g}\naperture_relative_sd = {share:.2g}"
    )
