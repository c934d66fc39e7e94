"""TESCAN: tag 50431 (numbered chunks: a thumbnail, then ``key=value`` texts) and the ``.hdr`` sidecar."""

from __future__ import annotations

import struct

from semdaemon.formats.ifd import Tag, decode_text
from semdaemon.formats.vendors.texts import moment, number, plain, sections
from semdaemon.formats.vendors.told import Evidence, Told

TAG = 50431
_CHUNKS = {2: "MAIN", 3: "SEM", 4: "GIS", 5: "FIB"}
_THUMBNAIL = 1


def is_sidecar(text: str) -> bool:
    """Whether a text is a TESCAN header file."""
    return "[MAIN]" in text[:4096] and ("PixelSizeX" in text or "TESCAN" in text)


def parse(evidence: Evidence) -> Told | None:
    """What tag and sidecar tell; the tag stands above the sidecar."""
    found: dict[str, dict[str, str | int | float]] = {}
    if evidence.sidecar is not None and is_sidecar(evidence.sidecar):
        found.update(sections(evidence.sidecar))
    tag = evidence.page.tags.get(TAG) if evidence.page is not None else None
    if tag is not None:
        found.update(_chunks(tag))
    if not found:
        return None if tag is None else Told("tescan", warnings=(f"TESCAN tag {TAG} holds no readable text",))
    main = found.get("MAIN", {})
    x, y = number(main.get("PixelSizeX")), number(main.get("PixelSizeY"))
    return Told(
        vendor="tescan",
        metadata=found,
        pixel_size_m=(y or x, x) if x else None,
        acquired_at=moment(
            [f"{main.get('Date', '')} {main.get('Time', '')}"],
            ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"),
            # Essence writes universal time: in real files it differs from tag 306 by the site's zone.
            utc="Essence" in str(main.get("SoftwareVersion", "")),
        ),
        picture=_picture(main, evidence.shape),
    )


def _chunks(tag: Tag) -> dict[str, dict[str, str | int | float]]:
    """Chunks are: size (uint32, counts what follows it), kind (uint16), content; little-endian."""
    raw, at = tag.raw, 0
    found: dict[str, dict[str, str | int | float]] = {}
    while at + 6 <= len(raw):
        size, kind = struct.unpack_from("<IH", raw, at)
        if size < 2 or at + 4 + size > len(raw):
            break
        if kind != _THUMBNAIL:
            found[_CHUNKS.get(kind, f"chunk {kind}")] = _pairs(raw[at + 6 : at + 4 + size])
        at += 4 + size
    return {name: values for name, values in found.items() if values}


def _pairs(raw: bytes) -> dict[str, str | int | float]:
    lines = (line.partition("=") for line in decode_text(raw.rstrip(b"\0")).splitlines())
    return {key.strip(): plain(value) for key, equals, value in lines if equals}


def _picture(main: dict[str, str | int | float], shape: tuple[int, int]) -> tuple[int, int] | None:
    strip = number(main.get("ImageStripSize"))
    if strip is None or not 0 < strip < shape[0]:
        return None
    return (shape[0] - int(strip), shape[1])
