"""``semdaemon refocus``: one shot, the same path as the daemon."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from semdaemon.cli.options import config_option, json_option, settings_from
from semdaemon.errors import FrameError
from semdaemon.focus import load_scorer
from semdaemon.oneshot import Outcome, refocus_file
from semdaemon.refocus.sentences import objections
from semdaemon.worker import Worker


@click.command("refocus")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for the results."
)
@click.option("--everywhere", is_flag=True, help="Ignore verdicts and audit; the mask is the image area.")
@click.option("--weights", help="'auto', a shipped name, or a .safetensors file with its card.")
@click.option("--device", type=click.Choice(["auto", "cuda", "mps", "cpu"]))
@config_option
@json_option
def command(
    files: tuple[Path, ...],
    output: Path | None,
    everywhere: bool,
    weights: str | None,
    device: str | None,
    config: Path | None,
    as_json: bool,
) -> int:
    """Refocus the blurred regions of FILES; originals stay as they are."""
    settings = settings_from(
        config,
        output={"folder": output},
        refocus={"everywhere": everywhere or None, "weights": weights},
        worker={"device": device},
    )
    folder = settings.output.folder
    scorer = load_scorer(settings.focus.scorer, settings.focus)
    worker = Worker(settings)
    console, failed = Console(stderr=True), 0
    try:
        with _progress(console, hidden=as_json) as progress:
            task = progress.add_task("refocusing", total=len(files))
            for file in files:
                progress.update(task, description=file.name)
                try:
                    for outcome in refocus_file(
                        file, settings=settings, scorer=scorer, worker=worker, output=folder
                    ):
                        _say(outcome, file, progress.console, as_json)
                except FrameError as error:
                    failed += 1
                    _say_fault(error, file, progress.console, as_json)
                progress.advance(task)
    finally:
        worker.stop()
    return 1 if failed else 0


def _progress(console: Console, *, hidden: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=hidden,
        transient=True,
    )


def _say(outcome: Outcome, file: Path, console: Console, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome.as_json(file)))
        return
    kept = sum(bool(region["accepted"]) for region in outcome.regions)
    what = {
        "refocused": f"{kept} regions refocused in {outcome.seconds:.1f} s -> {outcome.output}",
        "sharp": "sharp: nothing to refocus",
        "beyond_repair": "too blurred to be refocused: take it again",
        "undecided": "sharp or blurred cannot be told: too little signal, or bad input",
        "audit_rejected": f"not refocused, the original stands: {objections(outcome.regions)}",
    }[outcome.reason]
    page = f" page {outcome.frame.page}" if outcome.frame.page else ""
    if outcome.rung.get("name", "as_set") != "as_set":
        what += f" (memory was short: {outcome.rung['name']}, tiles of {outcome.rung['tile_px']} px)"
    console.print(f"{file.name}{page}: {what}", highlight=False, soft_wrap=True, markup=False)


def _say_fault(error: FrameError, file: Path, console: Console, as_json: bool) -> None:
    if as_json:
        click.echo(
            json.dumps(
                {"file": str(file), "code": error.code, "error": error.message, "remedy": error.remedy}
            )
        )
    else:
        console.print(str(error), style="red", highlight=False, soft_wrap=True, markup=False)
