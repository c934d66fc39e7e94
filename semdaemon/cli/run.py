"""``semdaemon run``: the daemon."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType

import click

from semdaemon.cli.options import config_option, settings_from, state_option
from semdaemon.daemon import Daemon
from semdaemon.errors import SettingsError
from semdaemon.logs import configure_logging
from semdaemon.settings import Settings, default_settings_path

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("run")
@config_option
@click.option("--folder", "folders", type=_FOLDER, multiple=True, help="Acquisition folder; may be repeated.")
@click.option("--output", type=_FOLDER, help="Where refocused frames go.")
@state_option
@click.option("--micromanager", type=int, is_flag=False, flag_value=4827, help="Live mode; the port is 4827.")
@click.option(
    "--ndtiff",
    type=_FOLDER,
    multiple=True,
    help="NDTiff dataset, or folder in which datasets appear; may be repeated.",
)
def command(
    config: Path | None,
    folders: tuple[Path, ...],
    output: Path | None,
    state: Path | None,
    micromanager: int | None,
    ndtiff: tuple[Path, ...],
) -> None:
    """Watch acquisition folders, score every frame, refocus what is blurred, publish both."""
    standard = default_settings_path()
    # A file that was there at the start and is gone at a reload is a mistake, not a wish for the defaults.
    file = config or (standard if standard.is_file() else None)

    def load() -> Settings:
        settings = settings_from(
            file,
            state=state,
            folder={"folders": folders or None},
            ndtiff={"folders": ndtiff or None},
            micromanager={} if micromanager is None else {"enabled": True, "port": micromanager},
            output={"folder": output},
        )
        require_sources(settings)
        return settings

    settings = load()
    configure_logging(settings.daemon.log_level)
    run_until_stopped(Daemon(settings, load))


def require_sources(settings: Settings) -> None:
    """A daemon that watches nothing is a mistake; a folder that is not there yet may still be mounted."""
    live = settings.micromanager.enabled or settings.micromanager.python_backend
    pushed = bool(settings.pushed.endpoint and settings.pushed.model_fields_set)  # asked for, not by default
    if not (settings.folder.folders or settings.ndtiff.folders or settings.daemon.sources or live or pushed):
        raise SettingsError(
            "no_source",
            "There is nothing to watch: no acquisition folder is set.",
            remedy="Give one with --folder DIR, --ndtiff DIR or --micromanager, "
            "or set folder.folders or pushed.endpoint in the settings file.",
        )


def run_until_stopped(daemon: Daemon) -> None:
    """Run until SIGINT or SIGTERM, then drain; SIGHUP reads the settings anew."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        daemon.request_stop()

    at_terminal = _has_terminal()

    def reload(_number: int, _frame: FrameType | None) -> None:
        if at_terminal and not _has_terminal():
            daemon.request_stop()  # the window that it ran in was closed
        else:
            daemon.request_reload()

    if hasattr(signal, "SIGHUP"):  # Windows has none: there a restart takes settings over
        signal.signal(signal.SIGHUP, reload)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with daemon:
        daemon.wait()


def _has_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False
