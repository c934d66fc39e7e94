"""``semdaemon verify``: the proof that an output holds together."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from semdaemon.formats.verify import Verification, verify


@click.command("verify")
@click.argument("outputs", nargs=-1, required=True, metavar="OUTPUT.tif...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file on standard output.")
def command(outputs: tuple[Path, ...], as_json: bool) -> None:
    """Prove from the file alone that nothing outside the mask was changed.

    Compares pages, hashes, provenance and, where it can be reached, the original file.
    Exit code 1 when something does not hold.
    """
    good = True
    for path in outputs:
        found = verify(path)
        good &= found.ok
        if as_json:
            click.echo(json.dumps(found.as_json(), ensure_ascii=False))
        else:
            _show(found)
    sys.exit(0 if good else 1)


def _show(found: Verification) -> None:
    word = "[green]holds[/green]" if found.ok else "[red]DOES NOT HOLD[/red]"
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in found.checks:
        mark = "[green]ok[/green]" if check.ok else "[red]NO[/red]"
        table.add_row(mark, check.name, escape(check.detail))
    console = Console()
    console.print(f"{escape(str(found.path))}: {word}", soft_wrap=True)
    console.print(table)
