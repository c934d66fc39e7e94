"""CURVE key pairs: files as pyzmq and czmq write them, read with clear errors.

``NAME.key`` holds the public key and may be shown to anybody; ``NAME.key_secret`` holds both and stays where
it was made.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq
from zmq.auth import load_certificate

from semdaemon.errors import SemdaemonError

PUBLIC, SECRET = ".key", ".key_secret"
KEY_CHARACTERS = 40
MOST_FILE_BYTES = 16 * 1024
_Z85 = re.compile(rb"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_MAKE = "'semdaemon keys' makes key pairs."


@dataclass(frozen=True)
class KeyPair:
    """One pair, Z85 text as bytes; the secret is never printed."""

    public: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class ClientKeys:
    """What a client needs: its own pair and the server's public key.

    See Also
    --------
    ClientKeys.load
    """

    own: KeyPair
    server: bytes

    @classmethod
    def load(cls, secret_file: Path | str, server_file: Path | str) -> ClientKeys:
        """Read ``NAME.key_secret`` and the server's ``server.key``.

        Raises
        ------
        SemdaemonError
            ``key_unreadable``, ``key_malformed`` or ``key_exposed``, naming the file.
        """
        return cls(load_pair(Path(secret_file)), load_public(Path(server_file)))

    def apply(self, socket: zmq.Socket[Any]) -> None:
        """Make a socket speak CURVE as this client; before it connects."""
        socket.curve_publickey = self.own.public
        socket.curve_secretkey = self.own.secret
        socket.curve_serverkey = self.server


def load_pair(file: Path) -> KeyPair:
    """The pair in a ``.key_secret`` file, which others of this machine must not be able to read."""
    public, secret = _load(file)
    if secret is None:
        raise SemdaemonError(
            "key_malformed", f"{file} holds no secret key.", remedy=f"Give the file NAME{SECRET}. {_MAKE}"
        )
    if os.name == "posix" and file.stat().st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise SemdaemonError(
            "key_exposed",
            f"{file} holds a secret key and is open to other users of this machine.",
            remedy=f"chmod 600 {file}; if others may have read it, make a new pair.",
        )
    return KeyPair(public, _checked(file, secret))


def load_public(file: Path) -> bytes:
    """The public key in a ``.key`` (or ``.key_secret``) file."""
    return _load(file)[0]


def make_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a new pair ``NAME.key`` and ``NAME.key_secret`` (mode 0600 where the platform has modes).

    Raises
    ------
    SemdaemonError
        ``key_exists`` where one of the files is there: a key is never overwritten.
    """
    public_file, secret_file = folder / f"{name}{PUBLIC}", folder / f"{name}{SECRET}"
    _require_free(public_file)
    public, secret = (key.decode() for key in zmq.curve_keypair())
    # The secret first: without it a public key is worth nothing.
    write_secret(secret_file, _text("Secret: never leaves this machine", public, secret))
    write_secret(public_file, _text("Public: may be shown to anybody", public, None), mode=0o644)
    return public_file, secret_file


def write_secret(file: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file that must not exist yet, for its owner alone where the platform has modes.

    Raises
    ------
    SemdaemonError
        ``key_exists`` or ``key_unwritable``.
    """
    _require_free(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise SemdaemonError(
            "key_unwritable", f"{file} cannot be written: {error}.", remedy="Choose another folder."
        ) from error


def _require_free(file: Path) -> None:
    if file.exists():
        raise SemdaemonError(
            "key_exists",
            f"{file} is there already; keys are never overwritten.",
            remedy="Choose another name or folder, or move the old one away first.",
        )


def _load(file: Path) -> tuple[bytes, bytes | None]:
    try:
        if file.stat().st_size > MOST_FILE_BYTES:
            raise ValueError(f"it is larger than {MOST_FILE_BYTES} bytes")
        public, secret = load_certificate(file)
    except OSError as error:
        raise SemdaemonError(
            "key_unreadable", f"The key file {file} cannot be read: {error}.", remedy=_MAKE
        ) from error
    except (ValueError, IndexError) as error:
        raise SemdaemonError(
            "key_malformed", f"{file} is no key file: no public key was found in it.", remedy=_MAKE
        ) from error
    return _checked(file, public), secret


def _checked(file: Path, key: bytes) -> bytes:
    # The key itself is never shown: it may be a secret in the wrong place.
    if not _Z85.fullmatch(key):
        raise SemdaemonError(
            "key_malformed",
            f"{file} is no key file: a key has {KEY_CHARACTERS} Z85 characters.",
            remedy=_MAKE,
        )
    return key


def _text(what: str, public: str, secret: str | None) -> str:
    lines = [f"# semdaemon CURVE key. {what}.", "", "metadata", "curve", f'    public-key = "{public}"']
    return "\n".join([*lines, *([] if secret is None else [f'    secret-key = "{secret}"']), ""])
