"""Foreign text on a terminal: file names and messages that carry them may hold control sequences."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with everything that is no printable character written out, e.g. ``\\x1b``."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode()
