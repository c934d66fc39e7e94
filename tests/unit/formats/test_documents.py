"""The documents list what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from semdaemon.formats.output import PAGES, PROVENANCE_TAG, SCHEMA
from semdaemon.formats.vendors import READERS

ROOT = Path(__file__).resolve().parents[3]


def test_every_fault_is_documented_and_no_other() -> None:
    source = (ROOT / "semdaemon/formats/faults.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'FrameError\(\s*"([a-z_]+)"', source))
    text = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert codes == documented
    healing = set(re.findall(r"^\| `([a-z_]+)` \|.*\| yes \|$", text, re.MULTILINE))
    healing_in_code = set(
        re.findall(r'FrameError\(\s*"([a-z_]+)"(?:(?!FrameError).)*may_heal=True', source, re.DOTALL)
    )
    assert healing == healing_in_code


def test_every_vendor_is_documented() -> None:
    text = (ROOT / "docs/formats.md").read_text(encoding="utf-8").lower().replace("-", "")
    assert [vendor for vendor in READERS if vendor not in text] == []


def test_the_output_is_documented() -> None:
    text = (ROOT / "docs/output.md").read_text(encoding="utf-8")
    assert [name for name in PAGES if f"`{name}`" not in text] == []
    assert str(PROVENANCE_TAG) in text
    assert SCHEMA in text
