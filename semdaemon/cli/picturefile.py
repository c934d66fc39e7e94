"""Pictures that a command is asked to write: refused before the work, and told where the disk says no."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from semdaemon.errors import SemdaemonError

_SUFFIXES = (".png", ".jpg", ".jpeg")


class PicturePath(click.Path):
    """A file of a kind that we write, in a folder that is there: scoring takes long, its errors must not."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.suffix.lower() not in _SUFFIXES:
            self.fail(f"{path.name!r} is neither a .png nor a .jpg.", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"There is no folder {str(path.parent)!r}.", param, ctx)
        return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says about ``path`` as our error ``picture_unwritable``."""
    try:
        yield
    except OSError as error:
        raise SemdaemonError(
            "picture_unwritable",
            f"The picture {path} cannot be written: {error.strerror or error}.",
            remedy="Name a folder that may be written to and has room.",
        ) from error
