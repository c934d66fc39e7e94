"""Settings: precedence, clear errors, and the example file that ships."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from semdaemon.errors import SettingsError
from semdaemon.fingerprint import fingerprint_of
from semdaemon.settings import Settings, example_toml, load_settings, settings_toml

REPOSITORY = Path(__file__).resolve().parents[2]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "semdaemon.toml"
    path.write_text(text, encoding="utf-8")
    return path


def failing(tmp_path: Path, text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(written(tmp_path, text))
    return caught.value


def test_command_line_stands_above_environment_above_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "[focus]\ntile_px = 64\nthreads = 2\nconfidence = 0.7\n")
    monkeypatch.setenv("SEMDAEMON_FOCUS__TILE_PX", "96")
    monkeypatch.setenv("SEMDAEMON_FOCUS__THREADS", "3")
    focus = load_settings(path, {"focus": {"threads": 4}}).focus
    assert (focus.confidence, focus.tile_px, focus.threads) == (0.7, 96, 4)


def test_a_list_comes_from_the_environment_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMDAEMON_FOLDER__FOLDERS", '["/data/a", "/data/b"]')
    assert load_settings().folder.folders == (Path("/data/a"), Path("/data/b"))


def test_an_unknown_key_is_named_with_its_file_and_the_nearest_known(tmp_path: Path) -> None:
    error = failing(tmp_path, "[focus]\ntile_pix = 64\n")
    assert "semdaemon.toml" in error.message
    assert "focus.tile_pix" in error.message
    assert "did you mean tile_px" in error.message


def test_a_value_out_of_range_says_what_was_expected(tmp_path: Path) -> None:
    error = failing(tmp_path, "[focus]\ntile_px = 3\n")
    assert "focus.tile_px" in error.message
    assert "32" in error.message
    assert "given: 3" in error.message


def test_broken_toml_says_where(tmp_path: Path) -> None:
    error = failing(tmp_path, "[focus\n")
    assert error.code == "settings_syntax"
    assert "line 1" in error.message


def test_a_missing_settings_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "no.toml")
    assert caught.value.code == "settings_missing"


def test_other_machines_are_let_in_only_on_purpose(tmp_path: Path) -> None:
    assert "insecure" in failing(tmp_path, '[publish]\nendpoint = "tcp://0.0.0.0:5570"\n').message
    path = written(tmp_path, '[publish]\nendpoint = "tcp://0.0.0.0:5570"\ninsecure = true\n')
    assert load_settings(path).publish.endpoint.startswith("tcp://0.0.0.0")
    assert "page" in failing(tmp_path, '[page]\nhost = "0.0.0.0"\n').message


def test_output_inside_the_acquisition_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path.as_posix()
    text = f'[folder]\nfolders = ["{folder}"]\n[output]\nfolder = "{folder}/out"\n'
    assert "inside the acquisition folder" in failing(tmp_path, text).message


def test_a_backlog_time_needs_its_zone(tmp_path: Path) -> None:
    assert "zone" in failing(tmp_path, '[folder]\nbacklog = "2026-03-01T18:00:00"\n').message


def test_the_shipped_example_is_current_and_holds(tmp_path: Path) -> None:
    shipped = (REPOSITORY / "config" / "semdaemon.toml").read_text(encoding="utf-8")
    assert shipped == example_toml(), "run: semdaemon config example > config/semdaemon.toml"
    taken_in = "\n".join(
        line.removeprefix("# ") if " = " in line and line.startswith("# ") else line
        for line in shipped.splitlines()
    )
    assert set(tomllib.loads(shipped)) == set(Settings.model_fields)
    assert "tile_px = 128" in taken_in


def test_what_show_prints_reads_back_as_the_same_settings(tmp_path: Path) -> None:
    settings = load_settings(None, {"folder": {"folders": [tmp_path]}, "focus": {"tile_px": 64}})
    again = load_settings(written(tmp_path, settings_toml(settings)))
    assert again == settings
    assert fingerprint_of(again) == fingerprint_of(settings)


def test_the_fingerprint_follows_what_changes_a_result() -> None:
    base = fingerprint_of(load_settings())
    assert fingerprint_of(load_settings(None, {"focus": {"tile_px": 64}})) != base
    assert fingerprint_of(load_settings(None, {"page": {"port": 9000}})) == base


def test_a_home_that_is_nobodys_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "semdaemon.toml"
    path.write_text('[output]\nfolder = "~nobody-of-that-name/output"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="no such user's home"):
        load_settings(path)
