"""The text of a unit file, from a template and the paths of this installation."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

_SETTINGS, _VAR = "/etc/semdaemon", "/var/lib"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a unit is to run.

    Attributes
    ----------
    user
        A unit of one user's own manager instead of the system's.
    template
        ``semdaemon@.service``: one instance a microscope, its name is that of its settings file.
    settings, state, output
        None takes the unit's own places.
    """

    user: bool = False
    template: bool = False
    program: str = "/opt/semdaemon/bin/semdaemon"
    settings: Path | None = None
    state: Path | None = None
    output: Path | None = None
    run_as: str = "semdaemon"

    @property
    def file_name(self) -> str:
        return "semdaemon@.service" if self.template else "semdaemon.service"


def unit_text(wanted: Wanted) -> str:
    """The unit file, whole."""
    return (
        _filled("user.service", _of_user(wanted))
        if wanted.user
        else _filled("system.service", _of_system(wanted))
    )


def this_program() -> str:
    """How this installation's ``semdaemon`` is started, for ``ExecStart=``."""
    beside = Path(sys.executable).with_name("semdaemon")
    return quoted(beside) if beside.is_file() else f"{quoted(Path(sys.executable))} -m semdaemon"


def quoted(path: Path) -> str:
    """A path as one word of a command line in a unit file."""
    text = str(path).replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"' if any(letter.isspace() or letter in "\"';" for letter in text) else text


def _of_system(wanted: Wanted) -> dict[str, str]:
    folder = "semdaemon/%i" if wanted.template else "semdaemon"
    name = "%i" if wanted.template else "semdaemon"
    elsewhere = [path for path in (wanted.state, wanted.output) if path is not None]
    return {
        "title": "semdaemon for %i" if wanted.template else "semdaemon",
        "user": wanted.run_as,
        "program": wanted.program,
        "settings": f"{_SETTINGS}/{name}.toml" if wanted.settings is None else quoted(wanted.settings),
        "state": f"{_VAR}/{folder}/state" if wanted.state is None else quoted(wanted.state),
        "output": f"{_VAR}/{folder}/output" if wanted.output is None else quoted(wanted.output),
        "folder": folder,
        "writable": "".join(f"ReadWritePaths={quoted(path)}\n" for path in elsewhere),
    }


def _of_user(wanted: Wanted) -> dict[str, str]:
    at = "%E/semdaemon/%i.toml" if wanted.template else None
    settings = at if wanted.settings is None else quoted(wanted.settings)
    state = "%S/semdaemon/%i/state" if wanted.template and wanted.state is None else wanted.state
    output = "%S/semdaemon/%i/output" if wanted.template and wanted.output is None else wanted.output
    places = [(flag, place) for flag, place in (("--state", state), ("--output", output)) if place]
    said = [f" {flag} {quoted(place) if isinstance(place, Path) else place}" for flag, place in places]
    return {
        "title": "semdaemon for %i" if wanted.template else "semdaemon",
        "program": wanted.program,
        "settings": "" if settings is None else f" -c {settings}",
        "places": "".join(said),
    }


def _filled(name: str, values: dict[str, str]) -> str:
    text = files("semdaemon.service").joinpath("data", name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    return text
