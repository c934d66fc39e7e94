"""``semdaemon frames``: the journal as a list."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from semdaemon.cli.lookup import as_json, open_journal, shown, span
from semdaemon.cli.options import config_option, json_option, settings_from, state_option
from semdaemon.journal import STATES, Journal, Row

_SHOWN = 50
_AT_ONCE = 500
_WIDTH_OF_A_PIPE = 240
_COLOUR = {"published": "green", "failed": "red", "skipped": "bright_black", "held": "yellow"}


@click.command("frames")
@config_option
@state_option
@click.option("--only", type=click.Choice(STATES), help="Frames in this state alone.")
@click.option("--limit", type=click.IntRange(min=1), help=f"Most frames listed ({_SHOWN}; with --json all).")
@json_option
def command(
    config: Path | None, state: Path | None, only: str | None, limit: int | None, as_json: bool
) -> None:
    """List the journal, newest first; works while the daemon runs and when it does not."""
    with open_journal(settings_from(config, state=state)) as journal:
        if as_json:
            _print_json(journal, only, limit)
            return
        rows = journal.rows(only, limit or _SHOWN)
        counts = journal.counts()
    console().print(table(rows))
    there = counts[only] if only else sum(counts.values())
    tally = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    listed = f"the newest {len(rows)} of {there}; " if there > len(rows) else ""
    click.echo(f"{listed}{tally or 'no frames yet'}", err=True)


def _print_json(journal: Journal, only: str | None, limit: int | None) -> None:
    left, beyond = limit, None
    while rows := journal.rows(only, _AT_ONCE if left is None else min(left, _AT_ONCE), beyond=beyond):
        for row in rows:
            click.echo(json.dumps(as_json(row)))
        beyond = rows[-1].key
        left = None if left is None else left - len(rows)
        if left == 0:
            return


def console() -> Console:
    """Standard output; a pipe gets whole paths."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDTH_OF_A_PIPE)


def table(rows: list[Row]) -> Table:
    """Frames as rows of a table."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("number", justify="right")
    made.add_column("id", no_wrap=True)
    made.add_column("state", no_wrap=True)
    made.add_column("reason", no_wrap=True)
    made.add_column("age", justify="right", no_wrap=True)
    made.add_column("file", overflow="fold")
    now = time.time()
    for row in rows:
        colour = _COLOUR.get(row.state, "")
        state = f"[{colour}]{row.state}[/]" if colour else row.state
        name = shown(row.relative) + (f" page {row.page}" if row.page else "")
        age = span(now - row.seen_at)
        made.add_row(str(row.key), row.frame_id or "-", state, row.reason, age, name.replace("[", "\\["))
    return made
