"""Parts that other distributions bring: found by entry point, named in settings."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, Protocol

from semdaemon.errors import SettingsError

SINK_GROUP = "semdaemon.sinks"


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


def load_sinks(names: tuple[str, ...]) -> list[Sink]:
    """Sinks by their entry point's name.

    Raises
    ------
    SettingsError
        ``unknown_sink``.
    """
    found = {point.name: point for point in entry_points(group=SINK_GROUP)}
    for name in names:
        if name not in found:
            raise SettingsError(
                "unknown_sink",
                f"daemon.sinks names {name!r}; installed here: {', '.join(sorted(found)) or 'none'}.",
                remedy="Install the distribution that provides it beside semdaemon, or take the name out.",
            )
    return [found[name].load()() for name in names]
