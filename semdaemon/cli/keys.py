"""``semdaemon keys``: CURVE key pairs for daemon and clients, and the page's token."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from semdaemon.cli.options import json_option
from semdaemon.errors import SemdaemonError
from semdaemon.page.access import new_token
from semdaemon.settings import default_keys_dir
from semdaemon.wire.keys import PUBLIC, make_pair, write_secret

ALLOWED = "allowed"
_NAME = click.STRING
_folder = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the keys are kept; by default 'keys' beside the platform's settings file.",
)


@click.group("keys")
def command() -> None:
    """Make CURVE key pairs and the page's token: with them other machines may listen, push, or look.

    A secret key (NAME.key_secret) never leaves the machine on which it was made.
    """


@command.command("server")
@_folder
@json_option
def server(folder: Path | None, as_json: bool) -> None:
    """Make the daemon's own pair, and the folder for the public keys that it lets in."""
    chosen = folder or default_keys_dir()
    public, secret = make_pair(chosen, "server")
    allowed = chosen / ALLOWED
    allowed.mkdir(exist_ok=True)
    if as_json:
        _say_json(public, secret, allowed=str(allowed))
        return
    click.echo(f"Made {secret} (stays here) and {public}.")
    click.echo("What to do next:")
    click.echo("1. In the settings file, and the same two keys under [pushed] for frames that are pushed:")
    click.echo("     [publish]")
    click.echo(f"     curve_secret_file = {json.dumps(str(secret))}")
    click.echo(f"     curve_allowed = {json.dumps(str(allowed))}")
    click.echo("2. On each client's machine: semdaemon keys client NAME")
    click.echo(f"3. Copy its NAME{PUBLIC} into {allowed} and {public.name} from here to the client.")
    click.echo("4. Start the daemon anew. Keys that come or go later count at once.")


@command.command("client")
@click.argument("name", type=_NAME)
@_folder
@click.option("--allow", is_flag=True, help="Let it in too: for a daemon whose keys are in the same folder.")
@json_option
def client(name: str, folder: Path | None, allow: bool, as_json: bool) -> None:
    """Make a client's pair, NAME."""
    _require_name(name)
    chosen = folder or default_keys_dir()
    allowed = chosen / ALLOWED / f"{name}{PUBLIC}"
    if allow and allowed.exists():
        raise SemdaemonError("key_exists", f"{allowed} is there already.", remedy="Choose another name.")
    public, secret = make_pair(chosen, name)
    if allow:
        allowed.parent.mkdir(exist_ok=True)
        shutil.copyfile(public, allowed)
    if as_json:
        _say_json(public, secret, allowed=str(allowed) if allow else None)
        return
    click.echo(f"Made {secret} (stays here) and {public}.")
    click.echo("What to do next:")
    if allow:
        click.echo(f"1. {allowed} lets it in already; taking that file away shuts it out.")
    else:
        click.echo(f"1. Copy {public.name} into the folder publish.curve_allowed of the daemon.")
    click.echo("2. Have the daemon's server.key here.")
    click.echo(f"3. semdaemon listen tcp://DAEMON:5570 --key {secret} --server-key server.key")


@command.command("token")
@_folder
@json_option
def token(folder: Path | None, as_json: bool) -> None:
    """Make the token with which the page may be opened from other machines."""
    file = (folder or default_keys_dir()) / "page.token"
    write_secret(file, new_token() + "\n")
    if as_json:
        click.echo(json.dumps({"token_file": str(file)}))
        return
    click.echo(f"Made {file}.")
    click.echo("What to do next:")
    click.echo("1. In the settings file:")
    click.echo("     [page]")
    click.echo('     host = "0.0.0.0"')
    click.echo(f"     token_file = {json.dumps(str(file))}")
    click.echo("2. Start the daemon anew; open the page elsewhere and give it what is in that file.")
    click.echo(
        "The way there is not encrypted: in a network that you do not trust use ssh -L or a TLS proxy."
    )


def _require_name(name: str) -> None:
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or name == "server":
        raise click.UsageError(f"{name!r} cannot name a key: letters, digits, '-' and '_', and not 'server'.")


def _say_json(public: Path, secret: Path, **more: str | None) -> None:
    click.echo(json.dumps({"public": str(public), "secret": str(secret), **more}))
