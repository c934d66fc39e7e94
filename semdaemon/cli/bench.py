"""``semdaemon bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from semdaemon.cli.options import json_option

if TYPE_CHECKING:
    from semdaemon.bench.run import Bench


@click.command("bench")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of the engine.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where files are written and read (and removed again): the disk of the output, say.",
)
@click.option(
    "--page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Markdown page whose section 'bench' is written anew.",
)
@json_option
def command(threads: int, folder: Path | None, page: Path | None, as_json: bool) -> None:
    """Measure this machine: networks, focus, moving and storing frames, beside what it can do at best."""
    import json

    from semdaemon.bench.run import as_markdown, bench
    from semdaemon.training.pages import write_section

    found = bench(threads=threads, folder=folder, tell=lambda line: click.echo(line, err=True))
    if page:
        write_section(page, "bench", as_markdown(found))
    if as_json:
        click.echo(json.dumps(found.as_dict()))
    else:
        _show(found)


def _show(found: Bench) -> None:
    from rich.console import Console
    from rich.table import Table

    from semdaemon.bench.run import row, said_at_best

    machine, side = found.machine, found.frame_px
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{machine.processor}, {machine.processors} processors, torch {machine.torch}")
    console.print(f"At best: {said_at_best(found.ceilings)} (threads: {found.ceilings.threads})\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what", no_wrap=True)
    for name in ("here", "at best", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("limited by", no_wrap=True)
    for one in found.figures:
        table.add_row(*row(one))
    console.print(table)
    console.print(f"\nFrames of {side} x {side} px, 16 bits; the best of several runs each.")
    if machine.busy:
        load = f"load {machine.load_per_processor:g} a processor"
        warning = f"Other programs are at work ({load}): times to move and store are too long."
        console.print(warning, style="yellow")
