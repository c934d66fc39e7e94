"""Damage, reproducible from a seed: bytes, TIFF directories, JSON, texts, PNG chunks."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Mutator = Callable[[Random, bytes], bytes]

BYTES = (0, 1, 2, 0x0A, 0x20, 0x22, 0x41, 0x7F, 0x80, 0xFE, 0xFF)
NUMBERS = (
    0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 64, 127, 128, 255, 256, 257, 1000, 4095, 4096, 32767, 32768, 65535,
    65536, 99_999, 2**24, 2**28, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
WORDS = (
    "", "0", "-1", "NaN", "inf", "-inf", "1e999", "1e-999", "9" * 400, "0x10", "None", "true", "\x00",
    "\ufeff", "\ud7ff\U0010ffff", "µm", "pixel", "%s%n", "../../etc/passwd", "file:///dev/zero",
    "<!DOCTYPE a>", "&a;",
    "1 / 0", "$", "[", "]", "=", "{", "'", '"', "\r\n", "2026-13-45", "9999-12-31T23:59:60+99:99",
    "0001-01-01",
)  # fmt: skip
_HEAD = 1024
_LONGEST_LINE = 20_000


def damaged(rng: Random, data: bytes, head_bytes: int = _HEAD) -> bytes:
    """A few changes of bytes, most of them where headers stand."""
    raw = bytearray(data)
    for _ in range(1 + int(rng.expovariate(0.5))):
        rng.choice(_BYTE_CHANGES)(rng, raw, head_bytes)
    return bytes(raw)


def _place(rng: Random, raw: bytearray, head: int) -> int:
    size = len(raw)
    return rng.randrange(min(size, head) if rng.random() < 0.8 else size) if size else 0


def _set(rng: Random, raw: bytearray, head: int) -> None:
    if raw:
        raw[_place(rng, raw, head)] = rng.choice(BYTES) if rng.random() < 0.6 else rng.randrange(256)


def _flip(rng: Random, raw: bytearray, head: int) -> None:
    if raw:
        raw[_place(rng, raw, head)] ^= 1 << rng.randrange(8)


def _number(rng: Random, raw: bytearray, head: int) -> None:
    at, size = _place(rng, raw, head), rng.choice((2, 4, 8))
    value = rng.choice(NUMBERS) & (2 ** (8 * size) - 1)
    if at + size <= len(raw):
        raw[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _cut(rng: Random, raw: bytearray, head: int) -> None:
    del raw[_place(rng, raw, 2**62) :]


def _remove(rng: Random, raw: bytearray, head: int) -> None:
    at = _place(rng, raw, head)
    del raw[at : at + rng.choice((1, 2, 4, 12, 64, 1000))]


def _repeat(rng: Random, raw: bytearray, head: int) -> None:
    at = _place(rng, raw, head)
    raw[at:at] = raw[at : at + rng.choice((1, 2, 4, 12, 64, 1000))]


def _clear(rng: Random, raw: bytearray, head: int) -> None:
    at, size = _place(rng, raw, head), rng.choice((4, 16, 64, 512))
    raw[at : at + size] = bytes([rng.choice((0, 255))]) * len(raw[at : at + size])


def _append(rng: Random, raw: bytearray, head: int) -> None:
    raw += rng.randbytes(rng.choice((1, 8, 100, 3000)))


def _move(rng: Random, raw: bytearray, head: int) -> None:
    a, b, size = _place(rng, raw, head), _place(rng, raw, head), rng.choice((2, 4, 12, 64))
    raw[a : a + size] = raw[b : b + size]


_BYTE_CHANGES: tuple[Callable[[Random, bytearray, int], None], ...] = (
    _set, _set, _set, _flip, _flip, _number, _number, _number, _cut, _remove, _repeat, _clear, _append, _move,
)  # fmt: skip


# -- TIFF ---------------------------------------------------------------------------------------------------


def tiff(rng: Random, data: bytes) -> bytes:
    """Directory entries changed as such: code, type, count, value, order, chain; sometimes bytes as well."""
    raw = bytearray(data)
    order = "<" if raw[:2] == b"II" else ">"
    big = len(raw) > 16 and struct.unpack_from(order + "H", raw, 2)[0] == 43
    places = _directories(raw, order, big)
    if not places or rng.random() < 0.15:
        return damaged(rng, data)
    for _ in range(1 + int(rng.expovariate(0.6))):
        _change_directory(rng, raw, order, big, rng.choice(places))
    return damaged(rng, bytes(raw), 4096) if rng.random() < 0.15 else bytes(raw)


def _directories(raw: bytearray, order: str, big: bool) -> list[tuple[int, int]]:
    """(where the first entry stands, how many) of each directory in the chain."""
    form, head, size = ("Q", 8, 20) if big else ("I", 2, 12)
    found: list[tuple[int, int]] = []
    try:
        at = struct.unpack_from(order + form, raw, 8 if big else 4)[0]
        while at and len(found) < 8:
            count = struct.unpack_from(order + ("Q" if big else "H"), raw, at)[0]
            if count > 4096:
                break
            found.append((at + head, count))
            at = struct.unpack_from(order + form, raw, at + head + size * count)[0]
    except (struct.error, IndexError):
        pass
    return found


def _change_directory(rng: Random, raw: bytearray, order: str, big: bool, place: tuple[int, int]) -> None:
    start, count = place
    size, word, wide = (20, 8, "Q") if big else (12, 4, "I")
    at = start + size * rng.randrange(max(1, count))
    what = rng.random()
    try:
        if what < 0.12:
            struct.pack_into(order + "H", raw, at, rng.choice(_CODES))
        elif what < 0.24:
            struct.pack_into(order + "H", raw, at + 2, rng.randrange(0, 20))
        elif what < 0.45:
            _pack(rng, raw, order + wide, at + 4)
        elif what < 0.8:
            _pack(rng, raw, order + rng.choice((wide, "H", "I")), at + 4 + word)
        elif what < 0.86:  # the chain: end, loop, beyond the end
            struct.pack_into(
                order + wide, raw, start + size * count, rng.choice((0, 8, start - 2, len(raw), 1))
            )
        elif what < 0.92:
            struct.pack_into(
                order + ("Q" if big else "H"), raw, start - (8 if big else 2), rng.choice((0, 1, 2, 4097))
            )
        else:  # what an entry points to
            there = struct.unpack_from(order + wide, raw, at + 4 + word)[0]
            _pack(rng, raw, order + rng.choice("HIQ"), there + 4 * rng.randrange(4))
    except (struct.error, IndexError):
        return


def _pack(rng: Random, raw: bytearray, form: str, at: int) -> None:
    bits = 8 * struct.calcsize(form)
    value = rng.choice((*NUMBERS, len(raw), len(raw) - 1, rng.randrange(2**16), rng.randrange(2**32)))
    struct.pack_into(form, raw, at, value & (2**bits - 1))


_CODES = (
    254, 255, 256, 257, 258, 259, 262, 266, 270, 273, 277, 278, 279, 282, 283, 284, 296, 317, 320, 322, 323,
    324, 325, 330, 338, 339, 347, 530, 32997, 33628, 34118, 34665, 34680, 34682, 34683, 50431, 50838, 50839,
    51123, 64117, 65000, 65009, 65024,
)  # fmt: skip


# -- PNG ----------------------------------------------------------------------------------------------------


def png(rng: Random, data: bytes) -> bytes:
    """Bytes of one chunk changed and its checksum made right again, else plain damage."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        chunks.append((at, size))
        at += 12 + size
    if not chunks or rng.random() < 0.4:
        return damaged(rng, data)
    at, size = rng.choice(chunks)
    body = damaged(rng, data[at + 8 : at + 8 + size], 64)
    name = (
        data[at + 4 : at + 8]
        if rng.random() < 0.9
        else rng.choice((b"PLTE", b"tRNS", b"IDAT", b"IHDR", b"zTXt"))
    )
    length = len(body) if rng.random() < 0.9 else rng.choice(NUMBERS) & 0xFFFFFFFF
    chunk = struct.pack(">I", length) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return data[:at] + chunk + data[at + 12 + size :]


# -- texts and JSON -----------------------------------------------------------------------------------------


def text(rng: Random, data: bytes) -> bytes:
    """Lines, words and numbers of a text changed as such."""
    if rng.random() < 0.25:
        return damaged(rng, data, 2**62)
    lines = data.splitlines(keepends=True) or [b""]
    for _ in range(1 + int(rng.expovariate(0.6))):
        number = rng.randrange(len(lines))
        what = rng.random()
        if what < 0.5:
            lines[number] = _word_changed(rng, lines[number])
        elif what < 0.65:
            lines.insert(number, lines[rng.randrange(len(lines))])
        elif what < 0.8 and len(lines) > 1:
            del lines[number]
        elif what < 0.9:
            lines[number] = (lines[number] * rng.choice((2, 100)))[:_LONGEST_LINE]
        else:
            lines[number] = damaged(rng, lines[number], 2**62)
    return b"".join(lines)


def _word_changed(rng: Random, line: bytes) -> bytes:
    words = list(re.finditer(rb"[0-9.eE+-]+|\w+|[=:<>\"{}\[\]/$]", line))
    if not words:
        return line
    found = rng.choice(words)
    new = (
        rng.choice(WORDS) if rng.random() < 0.6 else str(rng.choice(NUMBERS) * rng.choice((1, -1, 0.5, 1e-9)))
    )
    return line[: found.start()] + new.encode("utf-8", "replace") + line[found.end() :]


def json_text(rng: Random, data: bytes) -> bytes:
    """A JSON value changed as a tree, or its text damaged."""
    try:
        tree = json.loads(data)
    except ValueError:
        return damaged(rng, data, 2**62)
    if rng.random() < 0.2:
        return damaged(rng, data, 2**62)
    for _ in range(1 + int(rng.expovariate(0.7))):
        tree = _tree_changed(rng, tree)
    written = json.dumps(tree).encode()
    if rng.random() < 0.03:
        depth = rng.choice((20, 200, 5000))
        written = b"[" * depth + written + b"]" * depth
    return written


def _tree_changed(rng: Random, tree: Any) -> Any:
    """One place of the tree, at any depth, replaced, removed, doubled or added to."""
    if isinstance(tree, dict) and tree and rng.random() < 0.9:
        key = rng.choice(list(tree))
        what = rng.random()
        if what < 0.6:
            return {**tree, key: _tree_changed(rng, tree[key])}
        if what < 0.75:
            return {name: value for name, value in tree.items() if name != key}
        new = rng.choice(list(tree)) if rng.random() < 0.5 else rng.choice(WORDS)
        return {**tree, new: tree[key]}
    if isinstance(tree, list) and tree and rng.random() < 0.85:
        at = rng.randrange(len(tree))
        what = rng.random()
        if what < 0.6:
            return [*tree[:at], _tree_changed(rng, tree[at]), *tree[at + 1 :]]
        return [*tree[:at], *tree[at + 1 :]] if what < 0.8 else [*tree[:at], tree[at], *tree[at:]]
    return _leaf(rng, tree)


def _leaf(rng: Random, old: Any) -> Any:
    what = rng.random()
    if what < 0.3:
        return rng.choice(NUMBERS) * rng.choice((1, 1, -1))
    if what < 0.45:
        return rng.choice((0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"), float("-inf")))
    if what < 0.7:
        return rng.choice(WORDS)
    if what < 0.8 and isinstance(old, str):
        return old * rng.choice((2, 1000)) if rng.random() < 0.3 else old[: rng.randrange(len(old) + 1)]
    return rng.choice((None, True, False, [], {}, [old], {"a": old}, [[]], [None] * 100, {"": {}}))


def safetensors(rng: Random, data: bytes) -> bytes:
    """The JSON header changed and its length made right again, else plain damage."""
    if rng.random() < 0.3:
        return damaged(rng, data)
    size = struct.unpack_from("<Q", data)[0]
    header = json_text(rng, data[8 : 8 + size])
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def npz(rng: Random, data: bytes) -> bytes:
    """One array of an archive damaged, with checksums that hold, else plain damage."""
    if rng.random() < 0.3:
        return damaged(rng, data)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            body = old.read(name)
            if name == chosen:
                body = (
                    json_in_npy(rng, body) if name == "header.npy" and rng.random() < 0.5 else _npy(rng, body)
                )
            new.writestr(name, body)
    return made.getvalue()


def json_in_npy(rng: Random, body: bytes) -> bytes:
    """The JSON that is stored as an array of bytes."""
    at = body.index(b"\n") + 1
    text = json_text(rng, body[at:])
    return re.sub(rb"\(\d+,\)", b"(%d,)" % len(text), body[:at], count=1) + text


def _npy(rng: Random, body: bytes) -> bytes:
    at = body.index(b"\n")
    if rng.random() < 0.6:  # the dictionary that tells type and shape
        return body[:10] + _word_changed(rng, body[10:at]) + body[at:]
    return damaged(rng, body, 128)
