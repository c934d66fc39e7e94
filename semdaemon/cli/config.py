"""``semdaemon config``: check, show and print an example of the settings."""

from __future__ import annotations

from pathlib import Path

import click

from semdaemon.cli.options import config_option
from semdaemon.fingerprint import fingerprint_of
from semdaemon.settings import default_settings_path, example_toml, load_settings, settings_toml


@click.group("config")
def command() -> None:
    """Check, show or print an example of the settings."""


@command.command("check")
@config_option
def check(config: Path | None) -> None:
    """Say whether the settings hold; errors name file, key and what was expected."""
    settings = load_settings(config)
    where = config or default_settings_path()
    found = "holds" if where.is_file() else "does not exist; the defaults hold"
    click.echo(f"{where} {found} (fingerprint {fingerprint_of(settings)}).")


@command.command("show")
@config_option
def show(config: Path | None) -> None:
    """Print the settings in force: file, environment and defaults together."""
    click.echo(settings_toml(load_settings(config)), nl=False)


@command.command("example")
def example() -> None:
    """Print a settings file with every key, its default and its meaning."""
    click.echo(example_toml(), nl=False)
