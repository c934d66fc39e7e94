"""``semdaemon service``: run under systemd, for the system or for one user."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from semdaemon.errors import SemdaemonError
from semdaemon.service import install as installing
from semdaemon.service.unit import Wanted, this_program, unit_text
from semdaemon.settings import load_settings

_FOLDER = click.Path(path_type=Path, file_okay=False, resolve_path=True)
_FILE = click.Path(path_type=Path, dir_okay=False, resolve_path=True)


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--user", is_flag=True, help="For your own account alone, without root."),
        click.option("--instance", help="One of several microscopes: a name, also of its settings file."),
        click.option("--unit-dir", type=_FOLDER, help="Where unit files lie, if not at systemd's own place."),
        click.option("--dry-run", is_flag=True, help="Only say what would be done."),
        click.option("--force", is_flag=True, help="Also where somebody changed the unit file."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group("service")
def command() -> None:
    """Install as a service that starts with the machine, or remove it."""


@command.command("install")
@_shared
@click.option("-c", "--config", "settings", type=_FILE, help="Settings file of the service.")
@click.option("--state", type=_FOLDER, help="State folder (journal); the unit's own without.")
@click.option("--output", type=_FOLDER, help="Where refocused frames go; the unit's own without.")
@click.option("--run-as", default="semdaemon", show_default=True, help="User of the system service.")
def install(
    user: bool, instance: str | None, unit_dir: Path | None, dry_run: bool, force: bool,
    settings: Path | None, state: Path | None, output: Path | None, run_as: str,
) -> None:  # fmt: skip
    """Write the unit file, and enable it where systemd runs."""
    _require_linux()
    _require_name(instance, settings)
    wanted = Wanted(
        user=user, template=instance is not None, program=this_program(),
        settings=settings, state=state, output=output, run_as=run_as,
    )  # fmt: skip
    path = (unit_dir or installing.unit_folder(user=user)) / wanted.file_name
    if dry_run:
        click.echo(f"# {path}\n{installing.signed(unit_text(wanted))}", nl=False)
        return
    if settings is not None:
        load_settings(settings)
    new = installing.write_unit(path, unit_text(wanted), force=force)
    click.echo(f"{path} {'written' if new else 'is there already'}.")
    if not user and not installing.user_exists(run_as):
        shell = "/usr/sbin/nologin"
        click.echo(f"There is no user {run_as} here yet, and without one it does not start:", err=True)
        click.echo(f"  useradd --system --home-dir /var/lib/semdaemon --shell {shell} {run_as}", err=True)
    _enable(path, instance, user=user, elsewhere=unit_dir is not None)


@command.command("uninstall")
@_shared
def uninstall(user: bool, instance: str | None, unit_dir: Path | None, dry_run: bool, force: bool) -> None:
    """Disable it and remove what install wrote, nothing else."""
    _require_linux()
    _require_name(instance, None)
    wanted = Wanted(user=user, template=instance is not None)
    folder = unit_dir or installing.unit_folder(user=user)
    path = folder / wanted.file_name
    others = [] if instance is None else [name for name in installing.instances(folder) if name != instance]
    if dry_run:
        click.echo(f"{_unit_name(instance)} would be disabled; {path} {'kept' if others else 'removed'}.")
        return
    installing.require_ours(path, force=force)
    runs = unit_dir is None and installing.systemd_runs(user=user)
    if runs:
        installing.systemctl(["disable", "--now", _unit_name(instance)], user=user)
    if others:
        click.echo(f"{path} is kept: {', '.join(others)} still use it.")
        return
    gone = installing.remove_unit(path)
    click.echo(f"{path} {'removed' if gone else 'was not there'}; settings, state and output stay.")
    if runs:
        installing.systemctl(["daemon-reload"], user=user)


def _enable(path: Path, instance: str | None, *, user: bool, elsewhere: bool) -> None:
    name, flag = _unit_name(instance), " --user" if user else ""
    if elsewhere or not installing.systemd_runs(user=user):
        why = "it lies outside systemd's own places" if elsewhere else "systemd does not run here"
        click.echo(f"Not enabled: {why}. Where it does:")
        click.echo(f"  systemctl{flag} daemon-reload && systemctl{flag} enable --now {name}")
        return
    installing.systemctl(["daemon-reload"], user=user)
    installing.systemctl(["enable", name], user=user)
    click.echo(f"Enabled. Start it now: systemctl{flag} start {name}; see it: systemctl{flag} status {name}")


def _unit_name(instance: str | None) -> str:
    return "semdaemon.service" if instance is None else f"semdaemon@{instance}.service"


def _require_linux() -> None:
    if sys.platform != "linux":
        raise SemdaemonError(
            "no_systemd",
            f"'semdaemon service' writes units for systemd, which {sys.platform} does not have.",
            remedy="docs/service.md has the counterparts for Windows and macOS.",
        )


def _require_name(instance: str | None, settings: Path | None) -> None:
    if instance is None:
        return
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", instance):
        raise click.UsageError(f"--instance {instance!r}: expected letters, digits, '_', '.' and '-'.")
    if settings is not None:
        raise click.UsageError("An instance's settings file has its name (docs/service.md): leave -c out.")
