from __future__ import annotations

from pathlib import Path

import pytest

from semdaemon.errors import SemdaemonError
from semdaemon.training.pages import write_section

PAGE = """# A page
<!-- one: written by semdaemon x -->
old \\1
<!-- end of one -->
between
<!-- two: written by semdaemon y -->
<!-- end of two -->
"""


def test_a_section_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    write_section(page, "one", "new \\1 \\g<0>")
    once = page.read_text(encoding="utf-8")
    assert once == PAGE.replace("old \\1\n", "\nnew \\1 \\g<0>\n\n")
    write_section(page, "one", "new \\1 \\g<0>")
    assert page.read_text(encoding="utf-8") == once


def test_an_empty_section_can_be_filled(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("y -->\n<!-- end", "y -->\n\n<!-- end"), encoding="utf-8")
    write_section(page, "two", "| a |")
    assert "y -->\n\n| a |\n\n<!-- end of two" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [None, "# Nothing\n"])
def test_a_page_without_the_section_is_named(tmp_path: Path, text: str | None) -> None:
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text, encoding="utf-8")
    with pytest.raises(SemdaemonError, match=r"page\.md has no section 'one'"):
        write_section(page, "one", "x")
