"""Settings as TOML text: the commented example, and the settings in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from semdaemon.settings.section import Section
from semdaemon.settings.settings import Settings

_HEAD = """\
# semdaemon settings. Every key is shown with its default, commented out; a line taken in replaces it.
# Environment variables SEMDAEMON_<SECTION>__<KEY> stand above this file, the command line above both.
# `semdaemon config check -c FILE` says whether a file holds.
"""


def example_toml() -> str:
    """Every key with its meaning and default, commented out (``config/semdaemon.toml``)."""
    parts = [_HEAD]
    for name, info in Settings.model_fields.items():
        model: type[Section] = info.annotation  # type: ignore[assignment]
        parts.append(f"\n[{name}]\n# {(model.__doc__ or '').strip()}\n")
        for key, field in model.model_fields.items():
            parts.append(_commented(key, field))
    return "".join(parts)


def settings_toml(settings: Settings) -> str:
    """The settings in force, one section after the other."""
    lines = []
    for name, values in settings.model_dump(mode="json").items():
        lines.append(f"[{name}]")
        lines.extend(f"{key} = {toml_value(value)}" for key, value in values.items())
        lines.append("")
    return "\n".join(lines)


def toml_value(value: Any) -> str:
    """One value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, (int, float)):
        return repr(value)
    # JSON's escapes are a subset of those of TOML's basic strings.
    return json.dumps(str(value), ensure_ascii=False)


def _commented(key: str, field: FieldInfo) -> str:
    meaning = f"# {field.description}\n" if field.description else ""
    return f"{meaning}# {key} = {_default(field)}\n"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        made = field.default_factory()  # type: ignore[call-arg]
        # The platform's folder differs from user to user: say where, not whose.
        return toml_value(_home_as_tilde(made)) if isinstance(made, Path) else toml_value(made)
    return toml_value(field.default)


def _home_as_tilde(path: Path) -> str:
    try:
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return path.as_posix()
