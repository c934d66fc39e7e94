"""The command line: one short module a command, loaded when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from semdaemon import __version__
from semdaemon.errors import SemdaemonError, SettingsError
from semdaemon.logs import configure_logging

COMMANDS = {
    "demo": "Simulated microscope, daemon and page in one.",
    "run": "The daemon.",
    "status": "Ask the running daemon how it is.",
    "frames": "List the journal.",
    "why": "Tell one frame's history.",
    "requeue": "Hand finished frames to the daemon again.",
    "listen": "Print what is published; report gaps.",
    "score": "Where files are out of focus, and by how much.",
    "calibrate": "The beam's half angle from a through-focus series.",
    "refocus": "Refocus files, once, the way the daemon does.",
    "verify": "Prove that output, mask and original hold together.",
    "simulate": "Write frames as a microscope does.",
    "train": "Train a network on sharp frames.",
    "evaluate": "Measure a network beside the classical methods.",
    "export": "Weights as a bioimage.io model package.",
    "explain": "What a network does to pictures: scales, frequencies, noise.",
    "config": "Check, show or print an example of the settings.",
    "service": "Install as a service of systemd, or remove it.",
    "doctor": "Check everything that commonly is wrong.",
    "compare": "Two weights on your own frames.",
    "bench": "This machine's figures beside its ceilings.",
    "keys": "CURVE key pairs for daemon and clients.",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"semdaemon.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # Listing help from the table keeps `semdaemon --help` from importing every command.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="semdaemon")
def cli() -> None:
    """Live focus maps and refocusing for scanning electron microscopes."""
    # Standard output belongs to results; what parts log goes to standard error from the first moment.
    configure_logging("warning")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: exit code 0 fine, 1 the work found something wrong, 2 wrong usage or configuration."""
    try:
        code = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except SemdaemonError as error:
        click.echo(f"semdaemon: {error.message} [{error.code}]", err=True)
        if error.remedy:
            click.echo(f"  What to do: {error.remedy}", err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)
    sys.exit(code if isinstance(code, int) else 0)
