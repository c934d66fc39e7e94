"""One message of the event ``advice``; its format is in semdaemon's docs/wire-format.md."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_BYTES = 2**20


@dataclass(frozen=True)
class Advised:
    """One advice (semdaemon's docs/wire-format.md, event ``advice``); None where the daemon does not know.

    Attributes
    ----------
    state
        ``attention`` or ``well``.
    reasons
        Codes such as ``out_of_focus``.
    retake
        Whether the frame should be taken again.
    at_um, correction_um, correction_sd_um
        The frame's focus coordinate, what to add to it, and how sure that is.
    magnitude_um, magnitude_sd_um
        How far off it is, whichever way, and how sure that is.
    candidates_um
        The two possible corrections, the likelier first, where the daemon does not know the side.
    uri
        Of the frame.
    header
        Everything that was said.
    age_s
        Seconds since it came; see also `Advice`'s ``max_age_s``.
    """

    state: str
    reasons: tuple[str, ...]
    retake: bool
    at_um: float | None
    correction_um: float | None
    correction_sd_um: float | None
    magnitude_um: float | None
    magnitude_sd_um: float | None
    candidates_um: tuple[float, ...]
    uri: str
    header: Mapping[str, Any] = field(repr=False)
    received_at: float = field(default_factory=time.monotonic, repr=False)

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.received_at


def parse(parts: list[bytes]) -> Advised | None:
    """A message of the event ``advice``; None where it is none."""
    try:
        header = json.loads(parts[1]) if len(parts) == 2 and len(parts[1]) <= MOST_BYTES else None
        if not str(header["schema"]).startswith("semdaemon-1.") or header["event"] != "advice":
            return None
        focus, state = header["focus"], header["state"]
        candidates = [_number(value) for value in focus.get("candidates_um") or ()]
        if state not in ("attention", "well") or not isinstance(header["run"], dict):
            return None
        return Advised(
            state=state,
            reasons=tuple(str(reason) for reason in header["reasons"]),
            retake=header["retake"] is True,
            at_um=_number(focus.get("at_um")),
            correction_um=_number(focus.get("correction_um")),
            correction_sd_um=_number(focus.get("correction_sd_um")),
            magnitude_um=_number(focus.get("magnitude_um")),
            magnitude_sd_um=_number(focus.get("magnitude_sd_um")),
            candidates_um=tuple(value for value in candidates if value is not None),
            uri=str(header["frame"]["uri"]),
            header=header,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _number(value: object) -> float | None:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]
