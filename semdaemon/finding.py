"""What one check of ``semdaemon doctor`` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result; ``remedy`` is empty where nothing is to be done."""

    check: str
    state: State
    detail: str
    remedy: str = ""
