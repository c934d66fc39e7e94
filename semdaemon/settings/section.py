"""What every section shares, and the platform's folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict

FILE_NAME = "semdaemon.toml"


def default_settings_path() -> Path:
    """The platform's place for ``semdaemon.toml``."""
    return Path(platformdirs.user_config_dir("semdaemon", appauthor=False)) / FILE_NAME


def default_keys_dir() -> Path:
    """Where ``semdaemon keys`` keeps key pairs unless told otherwise."""
    return default_settings_path().parent / "keys"


def default_state_dir() -> Path:
    """The platform's place for the journal and the replay store (local disk)."""
    return Path(platformdirs.user_state_dir("semdaemon", appauthor=False))


def default_output_dir() -> Path:
    """Where refocused frames go unless told otherwise: never inside an acquisition folder."""
    return Path(platformdirs.user_data_dir("semdaemon", appauthor=False)) / "output"


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: there is no such user's home") from error


HomePath = Annotated[Path, AfterValidator(_at_home)]
"""A path in which ``~`` is the user's home."""


@dataclass(frozen=True)
class Curve:
    """Where a server's own key and the keys that it lets in are."""

    secret_file: Path
    allowed: Path


class Section(BaseModel):
    """One table of the settings file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def backlog(value: str) -> str:
    """'all', 'new', or a time with its zone; else ValueError."""
    if value in ("all", "new"):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, e.g. 2026-03-01T18:00:00Z; or 'all' or 'new'")
    return value


def is_local_endpoint(endpoint: str) -> bool:
    """True for endpoints that only this machine can reach."""
    return not endpoint.startswith("tcp://") or endpoint.startswith(
        ("tcp://127.", "tcp://localhost:", "tcp://[::1]:")
    )


def curve_of(secret_file: str, allowed: str) -> Curve | None:
    """Both keys or neither; ValueError where one is missing."""
    if not secret_file and not allowed:
        return None
    if not (secret_file and allowed):
        raise ValueError(
            "CURVE needs both: curve_secret_file (the server's key) and curve_allowed (the keys let in)"
        )
    return Curve(Path(secret_file).expanduser(), Path(allowed).expanduser())


def require_guarded(endpoints: Sequence[str], curve: Curve | None, insecure: bool) -> None:
    """ValueError for an address that other machines reach without a key and without being told to."""
    for endpoint in endpoints:
        if curve is None and not insecure and not is_local_endpoint(endpoint):
            raise ValueError(
                f"{endpoint} can be reached from other machines; keep to 127.0.0.1, or set curve_secret_file "
                "and curve_allowed ('semdaemon keys'), or set insecure = true"
            )


def is_loopback(host: str) -> bool:
    """True for hosts that only this machine reaches."""
    return host in ("127.0.0.1", "::1", "localhost")
