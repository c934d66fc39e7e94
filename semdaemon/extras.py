"""What only some commands need, and is installed as an extra of the package."""

from __future__ import annotations

from importlib import import_module

from semdaemon.errors import SemdaemonError


def need(extra: str, *modules: str, why: str) -> None:
    """Find out that an extra is there, before minutes are spent on what cannot be finished without it.

    Parameters
    ----------
    extra
        The extra's name in pyproject.toml.
    modules
        What of it will be imported.
    why
        A sentence's beginning: ``The figure is drawn by``.

    Raises
    ------
    SemdaemonError
        ``extra_missing`` where one cannot be imported.
    """
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise SemdaemonError(
                "extra_missing",
                f"{why} {module}, which is not installed: {error}",
                remedy=f"Install the extra that has it: pip install 'semdaemon[{extra}]'.",
            ) from error
