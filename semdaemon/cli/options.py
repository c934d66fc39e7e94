"""Options that several commands share, and what they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from semdaemon.settings import Settings, load_settings
from semdaemon.wire.keys import ClientKeys

config_option = click.option(
    "-c",
    "--config",
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file; without it the platform's own, where it exists.",
)
state_option = click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), help="State folder (journal)."
)
scorer_option = click.option(
    "--scorer",
    "scorer_name",
    help="In place of focus.scorer: sigma, siraf, f4n, or an installed one of semdaemon.scorers.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, nothing else.")

key_option = click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Our own key (NAME.key_secret), for a daemon that asks for one.",
)
server_key_option = click.option(
    "--server-key", type=click.Path(path_type=Path, dir_okay=False), help="The daemon's server.key."
)


def keys_from(key: Path | None, server_key: Path | None) -> ClientKeys | None:
    """Keys for a daemon that asks for them: both files or neither."""
    if key is None and server_key is None:
        return None
    if key is None or server_key is None:
        raise click.UsageError("--key (our own) and --server-key (the daemon's) go together.")
    return ClientKeys.load(key, server_key)


def settings_from(config: Path | None, *, state: Path | None = None, **sections: dict[str, Any]) -> Settings:
    """Settings with the command line's values above everything else; None values do not count."""
    given = {name: {k: v for k, v in values.items() if v is not None} for name, values in sections.items()}
    if state is not None:
        given.setdefault("daemon", {})["state_dir"] = state
    return load_settings(config, {name: values for name, values in given.items() if values})
