"""What the child process looks through: one small Protocol, two cameras (bridge, owned)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt


@dataclass(frozen=True)
class Image:
    """An image with its tags, as Micro-Manager gave them.

    ``identity`` differs between any two images: Micro-Manager counts from 0 again whenever live mode starts.
    ``number`` is the image's number in its sequence, None where the tags have none.
    """

    tags: Mapping[str, Any]
    pixels: npt.NDArray[Any]
    identity: str
    number: int | None


@dataclass(frozen=True)
class Look:
    """One look: whether a sequence runs, and the image if it is another one than last time."""

    running: bool
    image: Image | None


class CameraFault(Exception):  # noqa: N818 - not every fault is an error: Micro-Manager may just be closed
    """No image can be had now.

    Attributes
    ----------
    code
        ``not_running``, ``no_answer``, ``lost``, or one that no waiting heals (``unusable``).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Camera(Protocol):
    """Used by one thread: `open` until it holds, `look` until it raises, `close` at an orderly end."""

    def open(self) -> None: ...

    def look(self) -> Look: ...

    def close(self) -> None: ...


def identity_of(tags: Mapping[str, Any]) -> str:
    """What tells one image from the next; empty where the tags have nothing that would."""
    keys = ("ImageNumber", "ElapsedTime-ms", "ReceivedTime", "TimeReceivedByCore")
    told = [str(tags.get(key, "")) for key in keys]
    return "|".join([str(tags.get("Camera", "")), *told]) if any(told) else ""


def number_of(tags: Mapping[str, Any]) -> int | None:
    """``ImageNumber``, which Micro-Manager gives as a text."""
    try:
        return int(tags["ImageNumber"])
    except (KeyError, TypeError, ValueError):
        return None
