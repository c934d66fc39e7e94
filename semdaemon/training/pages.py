"""Sections of a markdown page that a command writes: between two marks that name section and command."""

from __future__ import annotations

import re
from pathlib import Path

from semdaemon.errors import SemdaemonError


def write_section(page: Path, name: str, markdown: str) -> None:
    """Replace one section of a page, and nothing else in it.

    Parameters
    ----------
    page
        A page that holds ``<!-- NAME: written by COMMAND -->`` and, below it, ``<!-- end of NAME -->``.
    name
        The section's name.
    markdown
        What stands between the marks from now on.

    Raises
    ------
    SemdaemonError
        ``page_without_section`` where the page is missing or lacks the marks.
    """
    text, marks = _text_and_marks(page, name)
    body = f"\n{markdown.strip()}\n"
    page.write_text(marks.sub(lambda found: found[1] + body + found[2], text, count=1), encoding="utf-8")


def check_section(page: Path, name: str) -> None:
    """Raise what `write_section` would, before there is anything to write."""
    _text_and_marks(page, name)


def _text_and_marks(page: Path, name: str) -> tuple[str, re.Pattern[str]]:
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise _without(page, name, str(error)) from error
    marks = re.compile(
        rf"(<!-- {re.escape(name)}: [^\n]*-->\n).*?(\n<!-- end of {re.escape(name)} -->)", re.S
    )
    if not marks.search(text):
        raise _without(page, name, "its marks are not there")
    return text, marks


def _without(page: Path, name: str, why: str) -> SemdaemonError:
    return SemdaemonError(
        "page_without_section",
        f"{page} has no section '{name}' to write: {why}.",
        remedy=f"Put '<!-- {name}: written by ... -->' and '<!-- end of {name} -->' on lines of their own.",
    )
