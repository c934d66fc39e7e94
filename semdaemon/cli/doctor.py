"""``semdaemon doctor``: everything that commonly is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from semdaemon.cli.options import config_option, json_option, settings_from
from semdaemon.doctor import Finding, examine

_MARKS = {"ok": ("ok", "green"), "warn": ("look", "yellow"), "wrong": ("wrong", "bold red")}


@click.command("doctor")
@config_option
@json_option
def command(config: Path | None, as_json: bool) -> int:
    """Check packages, folders, ports, disk, device and weights; each finding with its remedy."""
    settings = settings_from(config)
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
