"""``semdaemon doctor``: everything that commonly is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from semdaemon.cli.options import config_option, json_option, settings_from, state_option
from semdaemon.doctor import examine, repaired
from semdaemon.finding import Finding

_MARKS = {"ok": ("ok", "green"), "warn": ("look", "yellow"), "wrong": ("wrong", "bold red")}


@click.command("doctor")
@config_option
@state_option
@click.option("--repair", is_flag=True, help="Save what can be read of a damaged journal into a new one.")
@json_option
def command(config: Path | None, state: Path | None, repair: bool, as_json: bool) -> int:
    """Check packages, folders, ports, disk, journal, device and weights; each finding with its remedy."""
    settings = settings_from(config, state=state)
    if repair:
        done = repaired(settings)
        click.echo(
            json.dumps(asdict(done)) if as_json else f"{done.check}: {done.detail}\n{done.remedy}".strip()
        )
        return 0
    found = []
    with Console(stderr=True).status("examining"):
        for finding in examine(settings):
            found.append(finding)
            if as_json:
                click.echo(json.dumps(asdict(finding)))
    if not as_json:
        Console().print(_table(found))
    return 1 if any(finding.state == "wrong" for finding in found) else 0


def _table(found: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", "check", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in found:
        mark, style = _MARKS[finding.state]
        table.add_row(Text(mark, style), Text(finding.check), Text(finding.detail), Text(finding.remedy))
    return table
