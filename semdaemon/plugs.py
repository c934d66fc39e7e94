"""Parts that other distributions bring: found by entry point, named in settings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

from semdaemon.errors import SemdaemonError, SettingsError

SINK_GROUP = "semdaemon.sinks"
SOURCE_GROUP = "semdaemon.sources"


class Sink(Protocol):
    """Gets every result; plug point ``semdaemon.sinks``.

    A sink is made once, without arguments, when the daemon starts.
    `scored` is called from the scoring thread, `refocused` and `failed` from either working thread,
    `close` once at the end.
    Whatever a sink raises is logged and counted, and hinders no frame; what it takes in time, a frame waits.
    """

    def scored(self, header: dict[str, Any], focus: Any) -> None:
        """After the score was published; ``focus`` is a `semdaemon.focus.FocusMap`."""

    def refocused(self, header: dict[str, Any], path: str) -> None:
        """After the output file was written."""

    def failed(self, header: dict[str, Any], code: str, message: str) -> None:
        """After a fault was recorded."""

    def close(self) -> None:
        """The daemon ends."""


def load_plug(group: str, name: str, setting: str, *, built_in: Sequence[str] = ()) -> Any:
    """What the entry point ``name`` of a group names.

    Parameters
    ----------
    setting
        Key that named it, and ``built_in`` the names that need no distribution: for the error's text.

    Raises
    ------
    SettingsError
        ``unknown_plug`` where nothing of that name is installed.
    SemdaemonError
        ``plug_broken`` where it is installed and cannot be imported.
    """
    found = {point.name: point for point in entry_points(group=group)}
    if name not in found:
        known = ", ".join(sorted({*found, *built_in})) or "none"
        raise SettingsError(
            "unknown_plug",
            f"{setting} names {name!r}; installed of {group}: {known}.",
            remedy="Install the distribution that provides it beside semdaemon, or take the name out.",
        )
    try:
        return found[name].load()
    except (ImportError, AttributeError) as error:
        raise SemdaemonError(
            "plug_broken",
            f"{found[name].value} ({setting} = {name!r}) cannot be imported: {error}.",
            remedy="Reinstall the distribution that provides it, or take the name out.",
        ) from error


def load_sinks(names: tuple[str, ...]) -> list[Sink]:
    """Sinks by their entry point's name; raises as `load_plug`."""
    return [load_plug(SINK_GROUP, name, "daemon.sinks")() for name in names]
