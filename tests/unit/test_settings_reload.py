"""Which changed keys a running daemon takes over."""

from __future__ import annotations

from pathlib import Path

from semdaemon.fingerprint import fingerprint_of
from semdaemon.settings import Settings
from semdaemon.settings.reload import SWAPPABLE, merged


def settings(**sections: dict[str, object]) -> Settings:
    return Settings(**sections)  # type: ignore[arg-type]


def test_every_swappable_key_exists() -> None:
    known = {name: set(type(getattr(Settings(), name)).model_fields) for name in Settings.model_fields}
    unknown = [f"{name}.{key}" for name, keys in SWAPPABLE.items() for key in keys if key not in known[name]]
    assert unknown == []


def test_a_section_of_which_all_is_swapped_forgets_none_of_its_keys() -> None:
    """docs/operating.md: ``focus``, ``worker`` and ``advice`` whole, ``refocus`` but for ``enabled``."""
    whole: dict[str, set[str]] = {"focus": set(), "worker": set(), "advice": set(), "refocus": {"enabled"}}
    for name, but in whole.items():
        assert set(type(getattr(Settings(), name)).model_fields) - set(SWAPPABLE[name]) == but


def test_what_can_be_swapped_is_and_the_rest_waits_for_a_restart() -> None:
    old = settings(folder={"folders": ["/a"], "settle_s": 1.0}, page={"port": 1})
    new = settings(folder={"folders": ["/b"], "settle_s": 2.0}, page={"port": 2}, focus={"tile_px": 64})
    found = merged(old, new)
    assert set(found.applied) == {"folder.settle_s", "focus.tile_px"}
    assert set(found.restart) == {"folder.folders", "page.port"}
    assert (found.settings.folder.settle_s, found.settings.focus.tile_px) == (2.0, 64)
    assert (found.settings.folder.folders, found.settings.page.port) == ((Path("/a"),), 1)


def test_the_fingerprint_changes_with_what_changes_a_result() -> None:
    old = settings()
    surer = merged(old, settings(focus={"confidence": 0.9})).settings
    denser = merged(old, settings(output={"compression": "zstd"})).settings
    assert fingerprint_of(surer) != fingerprint_of(old) == fingerprint_of(denser)


def test_an_unchanged_file_changes_nothing() -> None:
    found = merged(settings(), settings())
    assert (found.applied, found.restart, found.settings) == ((), (), settings())
