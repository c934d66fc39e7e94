"""``semdaemon requeue``: finished frames go through the daemon again."""

from __future__ import annotations

import json
from pathlib import Path

import click
import psutil

from semdaemon.cli.lookup import as_json as plain_values
from semdaemon.cli.lookup import frames_meant, open_journal, shown
from semdaemon.cli.options import config_option, json_option, settings_from, state_option
from semdaemon.errors import SemdaemonError
from semdaemon.journal import Journal, Row
from semdaemon.journal.lock import owner_pid


@click.command("requeue")
@click.argument("frames", nargs=-1, required=True)
@config_option
@state_option
@json_option
def command(frames: tuple[str, ...], config: Path | None, state: Path | None, as_json: bool) -> int:
    """Hand FRAMES to the daemon again: numbers, identities (or their first digits), paths or file names.

    A running daemon takes them up within a second, another one at its next start.
    """
    failed = 0
    with open_journal(settings_from(config, state=state), beside=True) as journal:
        for text in frames:
            try:
                rows = [journal.requeue(row.key) for row in frames_meant(journal, text)]
            except SemdaemonError as error:
                failed += 1
                click.echo(f"semdaemon: {error.message} [{error.code}]", err=True)
                click.echo(f"  What to do: {error.remedy}", err=True)
            else:
                _tell(rows, as_json)
        if not as_json and failed < len(frames) and not _daemon_runs(journal):
            click.echo("No daemon runs on this journal; the next one takes them up.", err=True)
    return 1 if failed else 0


def _tell(rows: list[Row], as_json: bool) -> None:
    for row in rows:
        told = json.dumps(plain_values(row)) if as_json else f"Frame {row.key} waits again: {shown(row.path)}"
        click.echo(told)


def _daemon_runs(journal: Journal) -> bool:
    pid = owner_pid(journal.path.parent)
    return pid is not None and psutil.pid_exists(pid)
