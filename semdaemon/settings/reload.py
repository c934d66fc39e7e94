"""Which keys a running daemon takes over from a changed file, and which wait for a restart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from semdaemon.settings.settings import Settings

SWAPPABLE: dict[str, tuple[str, ...]] = {
    "daemon": ("log_level", "stall_s", "drain_s", "keep_days"),
    "folder": (
        "patterns", "ignore", "settle_s", "hold_s", "give_up_s", "rescan_s", "poll_s",
        "sidecar", "sidecar_wait_s",
    ),
    "ndtiff": ("give_up_s",),
    "limits": ("max_pixels", "max_file_bytes", "min_side_px"),
    "focus": (
        "scorer", "tile_px", "sharp_sigma_px", "sharp_sigma_nm", "beyond_repair_sigma_px", "confidence",
        "max_relative_sd", "context", "threads",
    ),
    "refocus": (
        "weights", "engine", "everywhere", "feather_px", "min_tiles", "audit_max_residual", "min_confidence",
        "audit",
    ),
    "advice": (
        "enabled", "aperture_mrad", "aperture_relative_sd", "tolerance", "retake_share", "tilt",
        "each_position",
    ),
    "worker": (
        "device", "threads", "tile_px", "timeout_s", "silence_s", "cpu_fallback", "start_timeout_s",
        "max_restarts", "backoff_s",
    ),
    "output": ("compression", "keep_original_page"),
    "publish": ("preview", "preview_px"),
}  # fmt: skip
"""Keys that take effect from the next frame on; every other key is bound to something that is open."""


@dataclass(frozen=True)
class Reload:
    """What a changed file means for a running daemon.

    Attributes
    ----------
    settings
        What holds from now on: the old settings with the changed keys that can be taken over.
    applied, restart
        Changed keys (``section.key``) that take effect now, and those that wait for a restart.
    """

    settings: Settings
    applied: tuple[str, ...]
    restart: tuple[str, ...]


def merged(old: Settings, new: Settings) -> Reload:
    """``old`` with what a running daemon can take over from ``new``; both were validated whole."""
    changed = list(_changed(old, new))
    applied = [(name, key) for name, key in changed if key in SWAPPABLE.get(name, ())]
    restart = [(name, key) for name, key in changed if (name, key) not in applied]
    sections = {}
    for name in dict(applied):
        keys = [key for of, key in applied if of == name]
        section, source = getattr(old, name), getattr(new, name)
        sections[name] = section.model_copy(update={key: getattr(source, key) for key in keys})
    return Reload(
        settings=old.model_copy(update=sections),
        applied=tuple(f"{name}.{key}" for name, key in applied),
        restart=tuple(f"{name}.{key}" for name, key in restart),
    )


def _changed(old: Settings, new: Settings) -> Iterator[tuple[str, str]]:
    for name in Settings.model_fields:
        before, after = getattr(old, name), getattr(new, name)
        for key in type(before).model_fields:
            if getattr(before, key) != getattr(after, key):
                yield name, key
