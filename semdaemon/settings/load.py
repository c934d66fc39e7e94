"""Settings from file, environment and command line, and what is wrong with them in words."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from semdaemon.errors import SettingsError
from semdaemon.settings import section
from semdaemon.settings.settings import Settings


def load_settings(path: Path | None = None, overrides: dict[str, dict[str, Any]] | None = None) -> Settings:
    """Settings from file, environment and command line.

    Parameters
    ----------
    path
        Settings file; None takes the platform's one where it exists.
    overrides
        ``{section: {key: value}}`` from the command line, above everything else.

    Raises
    ------
    SettingsError
        ``settings_missing``, ``settings_syntax`` or ``settings_invalid``; names file, key and expectation.
    """
    file, values = _read(path)
    overridden = overrides or {}
    merged = _over(_over(values, _environment()), overridden)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise SettingsError(
            "settings_invalid",
            _explain(error, file),
            remedy="'semdaemon config example' prints every key with its meaning.",
        ) from error


def _read(path: Path | None) -> tuple[str, dict[str, Any]]:
    file = path or section.default_settings_path()
    if not file.is_file():
        if path is None:
            return "defaults", {}
        raise SettingsError(
            "settings_missing",
            f"Settings file {file} does not exist.",
            remedy="'semdaemon config example > semdaemon.toml' writes one to start from.",
        )
    try:
        return str(file), tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(
            "settings_syntax",
            f"Settings file {file} cannot be read as TOML: {error}.",
            remedy="Strings need quotes, paths on Windows single ones: folder = 'D:\\frames'.",
        ) from error


def _environment() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in os.environ.items():
        section, mark, key = name.upper().removeprefix("SEMDAEMON_").partition("__")
        if name.upper().startswith("SEMDAEMON_") and mark and section.lower() in Settings.model_fields:
            found.setdefault(section.lower(), {})[key.lower()] = _json_or_text(value)
    return found


def _json_or_text(value: str) -> Any:
    # Lists come as JSON (["/data/a", "/data/b"]); everything else is read by its field.
    return json.loads(value) if value.startswith("[") else value


def _over(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = {**low}
    for name, values in high.items():
        below = merged.get(name)
        merged[name] = {**(below if isinstance(below, dict) else {}), **values}
    return merged


def _explain(error: ValidationError, file: str) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"] if part != "function-after") or "settings"
        if problem["type"] == "extra_forbidden":
            lines.append(f"{file}: {key} is not a setting{_nearest(problem['loc'])}")
        else:
            what = problem["msg"].removeprefix("Value error, ")
            given = (
                "" if isinstance(problem["input"], (dict, BaseModel)) else f" (given: {problem['input']!r})"
            )
            lines.append(f"{file}: {key}: {what}{given}")
    return "; ".join(lines)


def _nearest(location: tuple[int | str, ...]) -> str:
    found = Settings.model_fields.get(str(location[0]))
    model = found.annotation if found is not None and len(location) > 1 else Settings
    known = list(getattr(model, "model_fields", {}))
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"
