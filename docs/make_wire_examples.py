"""Writes the byte-level examples into ``docs/wire-format.md`` from the golden vectors of the tests.

``python docs/make_wire_examples.py`` rewrites what stands between ``<!-- bytes: EVENT -->`` and
``<!-- end -->``.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE / "wire-format.md"
VECTORS = HERE.parent / "tests" / "data" / "wire"
BLOCK = re.compile(r"(<!-- bytes: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

REPLY = re.compile(r"(<!-- reply: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def hex_lines(data: bytes) -> list[str]:
    """Offset, sixteen bytes, and what of them is printable."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:04x}  {row.hex(' '):<47}  {text}")
    return lines


def example(event: str) -> str:
    """One message as a fenced block: topic, header as text, buffers as bytes."""
    vector = json.loads((VECTORS / f"{event}.json").read_text(encoding="utf-8"))
    topic, header, *buffers = (bytes.fromhex(part) for part in vector["parts_hex"])
    lines = [f"part 0, {len(topic)} bytes: the topic", *hex_lines(topic)]
    lines += ["", f"part 1, {len(header)} bytes: the header (below with spaces for reading)"]
    lines += [*hex_lines(header)[:2], "..."]
    lines += textwrap.wrap(
        json.dumps(json.loads(header)), 100, break_long_words=False, break_on_hyphens=False
    )
    described = [*vector["header"]["arrays"], *vector["header"]["blobs"]]
    for number, (what, buffer) in enumerate(zip(described, buffers, strict=True), start=2):
        kind = f"{what['type']} {what['shape']}" if "shape" in what else what["media_type"]
        lines += ["", f"part {number}, {len(buffer)} bytes: {what['name']}, {kind}", *hex_lines(buffer)]
    return "```text\n" + "\n".join(lines) + "\n```\n"


def reply(name: str) -> str:
    """A reply of the control socket: one part of JSON."""
    vector = json.loads((VECTORS / f"reply_{name}.json").read_text(encoding="utf-8"))
    head = bytes.fromhex(vector["parts_hex"][0])
    lines = [
        f"part 0, {len(head)} bytes: the reply (below with spaces for reading)",
        *hex_lines(head)[:2],
        "...",
    ]
    lines += textwrap.wrap(json.dumps(json.loads(head)), 100, break_long_words=False, break_on_hyphens=False)
    return "```text\n" + "\n".join(lines) + "\n```\n"


def filled(page: str) -> str:
    """The page with every example as the vectors have it."""
    page = BLOCK.sub(lambda found: found[1] + example(found[2]) + found[3], page)
    return REPLY.sub(lambda found: found[1] + reply(found[2]) + found[3], page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
