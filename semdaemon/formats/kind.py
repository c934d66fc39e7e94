"""What a file is, by its first bytes; its name is only compared with it."""

from __future__ import annotations

from pathlib import Path

from semdaemon.formats import faults

_EXTENSIONS = {
    "tiff": (".tif", ".tiff", ".ome", ".btf", ".tf8"),
    "png": (".png",),
    "bmp": (".bmp", ".dib"),
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
}
_MAGIC = (
    (b"II*\0", "tiff"), (b"MM\0*", "tiff"), (b"II+\0", "tiff"), (b"MM\0+", "tiff"),
    (b"\x89PNG\r\n\x1a\n", "png"), (b"BM", "bmp"), (b"\xff\xd8\xff", "jpeg"),
)  # fmt: skip


def sniff(path: Path, data: bytes) -> str:
    """``tiff``, ``png``, ``bmp`` or ``jpeg``.

    Raises
    ------
    FrameError
        ``truncated`` where nothing was written yet, else ``not_an_image``.
    """
    start = data[:8]
    for magic, kind in _MAGIC:
        if start.startswith(magic):
            return kind
    if not any(data[:4096]):
        raise faults.truncated(path, "it starts with zeros: its space is taken, its content not written yet")
    if any(magic.startswith(start) for magic, _ in _MAGIC):
        raise faults.truncated(path, f"only {len(data)} bytes are there")
    raise faults.not_an_image(path, data)


def extension_warnings(path: Path, kind: str) -> tuple[str, ...]:
    """A warning where the name promises another content."""
    if path.suffix.lower() in _EXTENSIONS[kind]:
        return ()
    return (f"{path.name} holds {kind.upper()}, not what its extension says",)
