"""Writes stacks as NDTiff's and Micro-Manager's writers do, piece by piece and in either byte order."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np

FULL_BYTES = 4 * 2**30
"""What both writers make a file at first; tests take less where the size does not matter."""
SUMMARY = {"PixelType": "GRAY16", "PixelSize_um": 0.5, "Prefix": "run"}


def tags_of(number: int, **more: Any) -> dict[str, Any]:
    return {
        "Axes": {"time": number},
        "PixelSizeUm": 0.25,
        "Time": f"2026-03-01 10:00:{number % 60:02} +0100",
        "ElapsedTime-ms": 30.0 * number,
        **more,
    }


class StackWriter:
    """One file of a dataset: `begin`, `add` frame after frame, `close`."""

    def __init__(
        self,
        path: Path,
        kind: Literal["ndtiff", "ndtiff2", "micromanager"] = "ndtiff",
        byteorder: str = "<",
        full_bytes: int = 2**26,
    ) -> None:
        self.path, self.kind, self.order = path, kind, byteorder
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(full_bytes)  # a hole: nothing on the disk
        self.at = self.pointer_at = self.description_at = 0
        self.number = 0

    def begin(self, summary: dict[str, Any] = SUMMARY) -> StackWriter:
        text = json.dumps(summary).encode()
        head = {"ndtiff": 28, "ndtiff2": 24, "micromanager": 40}[self.kind]
        self.at = head + len(text) + (head + len(text)) % 2
        mark = b"II" if self.order == "<" else b"MM"
        start = mark + struct.pack(self.order + "HI", 42, self.at)
        if self.kind == "ndtiff":
            start += struct.pack(self.order + "5I", 483729, 3, 3, 2355492, len(text))
        elif self.kind == "ndtiff2":
            start += struct.pack(self.order + "4I", 483729, 2, 2355492, len(text))
        else:
            start += struct.pack(
                self.order + "8I", 54773648, 0, 483765892, 0, 99384722, 0, 2355492, len(text)
            )
        self.write(0, start + text)
        return self

    def write(self, at: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    def add(
        self,
        pixels: np.ndarray[Any, Any],
        tags: dict[str, Any] | bytes | None = None,
        parts: str = "dpm",
        samples: int = 1,
    ) -> None:
        """A frame; ``parts`` says what of it is written: directory, pixels, metadata."""
        given = tags_of(self.number) if tags is None else tags
        text = given if isinstance(given, bytes) else json.dumps(given).encode()
        raw = pixels.astype(pixels.dtype.newbyteorder(self.order)).tobytes()
        entries = 14 if self._described else 13
        pixels_at = self.at + 2 + entries * 12 + 4 + 16
        text_at = pixels_at + len(raw)
        follows = text_at + len(text) + (text_at + len(text)) % 2
        directory = self._directory(pixels, samples, pixels_at, len(raw), text_at, len(text))
        self.pointer_at = self.at + len(directory)
        if "d" in parts:
            resolution = struct.pack(self.order + "4I", 1, 1, 1, 1)
            self.write(self.at, directory + struct.pack(self.order + "I", follows) + resolution)
        if "p" in parts:
            self.write(pixels_at, raw)
        if "m" in parts:
            self.write(text_at, text)
        if parts.endswith("m"):
            self.at, self.number = follows, self.number + 1

    def close(self, after: bytes = b"") -> None:
        """End the stack; ``after`` is what Micro-Manager writes behind the last frame."""
        self.write(self.at, after)
        if self.description_at and after:
            self.write(self.description_at, self._entry(270, 2, len(after), self.at))
        self.write(self.pointer_at, bytes(4))
        with self.path.open("r+b") as file:
            file.truncate(self.at + len(after))

    def _directory(
        self, pixels: np.ndarray[Any, Any], samples: int, at: int, size: int, text_at: int, text_size: int
    ) -> bytes:
        height, width = pixels.shape[:2]
        bits = 8 * pixels.dtype.itemsize
        resolution_at = at - 16
        entries: list[tuple[int, int, int, int]] = [
            (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1),
            (262, 3, 1, 2 if samples == 3 else 1), (273, 4, 1, at), (277, 3, 1, samples), (278, 3, 1, height),
            (279, 4, 1, size), (282, 5, 1, resolution_at), (283, 5, 1, resolution_at + 8), (296, 3, 1, 3),
            (51123, 2, text_size, text_at),
        ]  # fmt: skip
        if self._described:  # empty as long as the stack grows
            entries.insert(5, (270, 2, 0, 0))
            self.description_at = self.at + 2 + 5 * 12
        packed = [self._entry(*entry) for entry in entries]
        return struct.pack(self.order + "H", len(packed)) + b"".join(packed)

    @property
    def _described(self) -> bool:
        return self.kind == "micromanager" and self.number == 0

    def _entry(self, code: int, dtype: int, count: int, value: int) -> bytes:
        if dtype == 3 and self.order == ">":
            value <<= 16  # short values stand at the left of their four bytes
        return struct.pack(self.order + "HHII", code, dtype, count, value)


def noise(seed: int, side: int = 64, dtype: str = "u2") -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 200, (side, side)).astype(dtype)
