"""What a target of fuzzing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from semdaemon.settings import Limits

from .mutate import Mutator

LIMITS = Limits(max_pixels=4_000_000, max_file_bytes=2**24)

Run = Callable[[bytes], str]
"""Gives the input to the code; returns a word for what came of it, or raises what no input may raise."""


@dataclass(frozen=True)
class Target:
    """One reader or parser.

    Attributes
    ----------
    kind
        ``file`` for what reads whole files, ``parser`` for what is given bytes.
    weight
        Share of the executions among those of its kind.
    """

    name: str
    kind: str
    weight: float
    seeds: list[bytes]
    mutate: Mutator
    run: Run
