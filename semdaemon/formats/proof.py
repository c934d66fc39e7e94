"""What is said about an output, inside it and beside it: provenance as plain JSON, with every page's hash."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from semdaemon.formats.vendortags import Inherited
from semdaemon.frame import Frame, Mask, Pixels, pixels_sha256

SCHEMA = "semdaemon-provenance-1.0"
PAGES = ("refocused", "mask", "sigma_px", "original")


def provenance_with_hashes(
    frame: Frame,
    pages: Mapping[str, Pixels],
    mask: Mask,
    provenance: Mapping[str, object],
    inherited: Inherited,
    compression: str,
) -> dict[str, object]:
    """The caller's words, the frame's own, and the hash of every page."""
    hashes = {name: pixels_sha256(page) for name, page in pages.items()}
    given = provenance.get("original")
    original: dict[str, object] = {
        "uri": frame.uri,
        "sha256": frame.content_sha256,
        "frame_id": frame.id,
        "page": frame.page,
        "image_area": frame.image_area.as_list(),
        "vendor": frame.vendor,
        "metadata": dict(frame.metadata),
        "pixels_sha256": hashes.get("original") or pixels_sha256(frame.pixels),
        **(dict(given) if isinstance(given, Mapping) else {}),
    }
    return {
        "schema": SCHEMA,
        "statement": "Pixels inside the mask were refocused by a network; all others are the original's.",
        **provenance,
        "original": original,
        "pages": {name: {"index": i, "sha256": hashes[name]} for i, name in enumerate(pages)},
        "mask_pixels": int(np.count_nonzero(mask)),
        "compression": compression,
        "copied_tags": [tag[0] for tag in inherited.tags],
        "output_warnings": list(inherited.warnings),
    }


def weights_sha256(provenance: Mapping[str, object]) -> str | None:
    """The weights' sha256 in a provenance, or None where it is missing or no sha256."""
    weights = provenance.get("weights")
    found = weights.get("sha256") if isinstance(weights, Mapping) else None
    good = isinstance(found, str) and len(found) == 64 and all(c in "0123456789abcdef" for c in found)
    return str(found) if good else None


def same_bits(a: Pixels, b: Pixels, *, where: Mask) -> bool:
    """Whether two images of one dtype agree bit for bit where told (so that -0.0 and 0.0 differ)."""
    bits = np.dtype(f"u{a.dtype.itemsize}")
    different = np.ascontiguousarray(a).view(bits) != np.ascontiguousarray(b).view(bits)
    return not bool((different & where).any())


def as_json(value: Mapping[str, object], indent: int | None = None) -> bytes:
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, indent=indent).encode()


def _plain(value: object) -> object:
    """JSON types only: what is not finite becomes null, arrays become lists."""
    if isinstance(value, Mapping):
        return {_text(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int | bool):
        return value
    return _text(value)


def _text(value: object) -> str:
    # Names of files, and what vendors write, need not be text that can be encoded.
    return str(value).encode("utf-8", "backslashreplace").decode()
