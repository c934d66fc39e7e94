"""What every section shares, and the platform's folders."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict

FILE_NAME = "semdaemon.toml"


def default_settings_path() -> Path:
    """The platform's place for ``semdaemon.toml``."""
    return Path(platformdirs.user_config_dir("semdaemon", appauthor=False)) / FILE_NAME


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
