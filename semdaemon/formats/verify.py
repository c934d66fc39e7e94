"""The proof: original, mask and provenance of an output hold together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from semdaemon.errors import FrameError, SemdaemonError
from semdaemon.formats.disk import read_bytes
from semdaemon.formats.names import json_path, read_provenance
from semdaemon.formats.output import ANY_SIZE, Refocused, read_output
from semdaemon.formats.proof import PAGES, same_bits, weights_sha256
from semdaemon.formats.read import read_frames
from semdaemon.formats.stackframe import read_numbered_frame
from semdaemon.frame import Frame, Pixels, pixels_sha256


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class Verification:
    """What `verify` found."""

    path: Path
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, object]:
        return {"file": str(self.path), "ok": self.ok, "checks": [vars(check) for check in self.checks]}


def verify(path: Path) -> Verification:
    """Whether an output's pages, hashes and words hold together, from the file alone.

    Where the original file can be reached it is compared as well. Never raises for a bad output:
    what does not hold is a check that is not ok.
    """
    if path.is_file() and read_provenance(path) is None:
        return Verification(path, (Check("provenance", False, "the file has no provenance inside"),))
    try:
        output = read_output(path)
    except SemdaemonError as error:
        return Verification(path, (Check("readable", False, error.message),))
    original, file_check = _original_file(output)
    reference = output.original if output.original is not None else original
    return Verification(
        path,
        (
            Check("readable", True, f"{_size(output.refocused)} {output.refocused.dtype}"),
            _statement(output.provenance),
            _weights(output.provenance),
            *_pages(output),
            _outside_mask(output, reference),
            _inside_area(output),
            file_check,
            _beside(path, output.provenance),
        ),
    )


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[0]} x {pixels.shape[1]}"


def _statement(provenance: Mapping[str, Any]) -> Check:
    missing = [key for key in ("schema", "original", "pages", "weights") if key not in provenance]
    return Check(
        "provenance", not missing, f"missing: {', '.join(missing)}" if missing else str(provenance["schema"])
    )


def _weights(provenance: Mapping[str, Any]) -> Check:
    sha256 = weights_sha256(provenance)
    return Check("weights", sha256 is not None, sha256 or "weights.sha256 is missing or no sha256")


def _pages(output: Refocused) -> list[Check]:
    said = output.provenance.get("pages")
    said = said if isinstance(said, dict) else {}
    arrays: dict[str, Pixels | None] = {
        "refocused": output.refocused,
        "mask": output.mask.astype(np.uint8) * np.uint8(255),
        "sigma_px": output.sigma_px,
        "original": output.original,
    }
    return [_page(name, arrays[name], said.get(name)) for name in PAGES]


def _page(name: str, pixels: Pixels | None, said: object) -> Check:
    label = f"page {name}"
    expected = said.get("sha256") if isinstance(said, dict) else None
    if pixels is None:
        return Check(label, expected is None, "the page is missing" if expected else "not kept in this file")
    if expected is None:
        return Check(label, False, "the provenance has no hash of it")
    return Check(label, pixels_sha256(pixels) == expected, _same(pixels_sha256(pixels) == expected))


def _same(same: bool) -> str:
    return "as written" if same else "differs from what was written"


def _outside_mask(output: Refocused, original: Pixels | None) -> Check:
    name = "outside the mask"
    if original is None:
        return Check(
            name, False, "nothing to compare with: no original page, and the original file is not reachable"
        )
    if original.shape != output.refocused.shape or original.dtype != output.refocused.dtype:
        return Check(name, False, f"the original is {original.dtype} {_size(original)}")
    if output.mask.shape != original.shape:
        return Check(name, False, f"the mask is {_size(output.mask)}")
    bits = np.dtype(f"u{original.dtype.itemsize}")
    if same_bits(output.refocused, original, where=~output.mask):
        share = float(output.mask.mean())
        return Check(name, True, f"bit for bit the original's; the mask covers {share:.1%}")
    changed = (output.refocused.view(bits) != original.view(bits)) & ~output.mask
    row, column = (int(k) for k in np.argwhere(changed)[0])
    return Check(name, False, f"{int(changed.sum())} pixels differ, the first at row {row}, column {column}")


def _inside_area(output: Refocused) -> Check:
    name = "mask inside the image area"
    original = output.provenance.get("original")
    area = original.get("image_area") if isinstance(original, dict) else None
    if not (isinstance(area, list) and len(area) == 4 and all(isinstance(side, int) for side in area)):
        return Check(name, False, "the provenance has no image area")
    outside = output.mask.copy()
    outside[area[0] : area[2], area[1] : area[3]] = False
    count = int(outside.sum())
    return Check(
        name, count == 0, f"{count} pixels lie in the data bar" if count else f"rows {area[0]} to {area[2]}"
    )


def _original_file(output: Refocused) -> tuple[Pixels | None, Check]:
    name = "original file"
    original = output.provenance.get("original")
    original = original if isinstance(original, dict) else {}
    path = _local_path(str(original.get("uri", "")))
    if path is None or not path.is_file():
        return None, Check(name, True, "not reachable from here; the page inside this file was used")
    try:
        frame = _read_original(path, original)
        if frame is None:
            return None, Check(name, False, f"{path} is not the file that was refocused (its sha256 differs)")
    except (FrameError, OSError, TypeError, ValueError) as error:
        return None, Check(name, False, f"{path}: {getattr(error, 'message', error)}")
    if output.original is not None and pixels_sha256(output.original) != pixels_sha256(frame.pixels):
        return frame.pixels, Check(name, False, f"the original page differs from {path}")
    return frame.pixels, Check(name, True, f"{path} is unchanged and agrees")


def _read_original(path: Path, original: Mapping[str, Any]) -> Frame | None:
    """The frame in its file; None where that holds something else now."""
    sha256 = original.get("sha256")
    in_stack = re.search(r"#frame=(\d+)$", str(original.get("uri")))
    if in_stack:
        frame = read_numbered_frame(path, int(in_stack[1]), ANY_SIZE)
        return frame if frame is not None and frame.content_sha256 == sha256 else None
    if read_bytes(path, 2**63 - 1).sha256 != sha256:
        return None
    return read_frames(path, limits=ANY_SIZE, only_page=int(original.get("page", 0)))[0]


def _local_path(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return None
    return Path(url2pathname(f"//{parts.netloc}{parts.path}" if parts.netloc else parts.path))


def _beside(path: Path, provenance: Mapping[str, Any]) -> Check:
    name = "provenance beside"
    beside = json_path(path)
    if not beside.is_file():
        return Check(name, True, f"no {beside.name} here; the one inside the file was used")
    try:
        found = json.loads(beside.read_bytes())
        output = found.pop("output")
        sha256, good = output["sha256"], found == dict(provenance)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Check(name, False, f"{beside.name} cannot be read: {error!r}")
    if not good:
        return Check(name, False, f"{beside.name} says something else than the file itself")
    same = read_bytes(path, 2**63 - 1).sha256 == sha256
    return Check(
        name, same, f"the file is {'byte for byte as written' if same else 'not the one that was written'}"
    )
