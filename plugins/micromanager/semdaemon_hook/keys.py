"""CURVE keys for a daemon on another machine, from the files that ``semdaemon keys`` makes."""

from __future__ import annotations

import os
from typing import Union

from zmq.auth import load_certificate

PathText = Union[str, "os.PathLike[str]"]


def curve_keys(server_key: PathText | None, key: PathText | None) -> tuple[bytes, bytes, bytes]:
    """The server's public key, and our own public and secret one.

    Raises
    ------
    ValueError
        One of the files is missing or holds no such key; the message names the file, never a key.
    """
    if server_key is None or key is None:
        raise ValueError("server_key (the daemon's server.key) and key (our NAME.key_secret) go together")
    server, _ = load_certificate(server_key)
    public, secret = load_certificate(key)
    if secret is None:
        raise ValueError(f"{os.fspath(key)} holds no secret key; give our own NAME.key_secret")
    return server, public, secret
