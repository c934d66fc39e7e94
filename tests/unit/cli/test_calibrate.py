"""``semdaemon calibrate``: the beam's half angle from simulated and from degraded real series."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner, Result
from PIL import Image

from semdaemon.cli.calibrate import command
from semdaemon.errors import SemdaemonError
from semdaemon.focus.calibration import calibrate
from semdaemon.simulate.scenes import scene
from semdaemon.training.degrade import blur, expose, probe_kernel, quantise

PIXEL_M, APERTURE_RAD, FOCUS_UM = 20e-9, 8e-3, 3.0
Z_UM = np.arange(-12.0, 19.0, 3.0)


@pytest.fixture(autouse=True)
def _no_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semdaemon.settings.section.default_settings_path", lambda: tmp_path / "none.toml")


def write_series(folder: Path, sharp: np.ndarray, *, seed: int = 0) -> list[str]:
    """Frames through focus at `Z_UM`, 50 electrons per pixel, 20 nm pixels."""
    rng, paths = np.random.default_rng(seed), []
    for number, z_um in enumerate(Z_UM):
        radius_px = abs(z_um - FOCUS_UM) * 1e-6 * APERTURE_RAD / PIXEL_M
        seen = expose(blur(sharp, probe_kernel(radius_px)), 100, rng)
        path = folder / f"focus_{number:02d}.tif"
        per_cm = 0.01 / PIXEL_M
        pixels = np.uint8(quantise(seen, 8) * 255)
        tifffile.imwrite(path, pixels, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER")
        paths.append(str(path))
    return paths


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), standalone_mode=False)


def zs() -> str:
    return ",".join(str(z) for z in Z_UM)


def test_half_angle_of_a_simulated_series_within_its_stated_uncertainty(tmp_path: Path) -> None:
    files = write_series(tmp_path, 0.1 + 0.8 * scene("pores", (384, 512), seed=5))
    result = run(*files, "--z", zs(), "--json", "--plot", str(tmp_path / "fit.png"))
    said = json.loads(result.stdout)
    assert said["aperture_mrad"] == pytest.approx(APERTURE_RAD * 1e3, rel=0.08)
    assert abs(said["aperture_mrad"] - APERTURE_RAD * 1e3) < 2 * said["aperture_sd_mrad"]
    assert said["focus_um"] == pytest.approx(FOCUS_UM, abs=0.3)
    assert said["crossed"]
    assert len(said["frames"]) == len(Z_UM)
    with Image.open(tmp_path / "fit.png") as picture:
        assert picture.size == (960, 600)


def test_the_lines_to_paste_are_settings(tmp_path: Path) -> None:
    import tomllib

    from semdaemon.settings import load_settings

    files = write_series(tmp_path, 0.1 + 0.8 * scene("pores", (256, 384), seed=5))
    table = tmp_path / "series.csv"
    rows = [f"{Path(file).name},{z}" for file, z in zip(files, Z_UM, strict=True)]
    table.write_text("\n".join(["file,z_um", *rows]))
    text = run(*files, "--z", str(table)).stdout
    pasted = text[text.index("[advice]") :]
    assert tomllib.loads(pasted)["advice"]["aperture_mrad"] == pytest.approx(8, rel=0.1)
    config = tmp_path / "semdaemon.toml"
    config.write_text(pasted)
    assert load_settings(config).advice.aperture_rad == pytest.approx(8e-3, rel=0.1)
    assert max(map(len, text.splitlines())) <= 80


def test_half_angle_from_real_frames_within_a_twentieth(sem_data: Path, tmp_path: Path) -> None:
    found = []
    for name in ("powder_005", "powder_006", "powder_007"):
        with Image.open(sem_data / "train" / f"{name}.png") as picture:
            sharp = np.asarray(picture.convert("L"), np.float32)[:512, :640] / 255
        folder = tmp_path / name
        folder.mkdir()
        said = json.loads(run(*write_series(folder, sharp), "--z", zs(), "--json").stdout)
        found.append(said["aperture_mrad"])
        assert abs(said["aperture_mrad"] - 8) < 2.5 * said["aperture_sd_mrad"]
    assert np.median(found) == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("place_um", [0.0, 40.0])
def test_stated_deviations_cover_the_error(place_um: float) -> None:
    z, off = np.linspace(-20, 20, 11) + place_um, []
    rng = np.random.default_rng(0)
    for _ in range(40):
        truth = np.hypot(0.8, 0.25 * (z - place_um - 2.0))
        sigma = truth * np.exp(0.05 * rng.standard_normal(z.size))
        sigma[rng.integers(z.size)] *= rng.choice([1.0, 1.6])
        found = calibrate(z, sigma, np.full(z.size, 0.05), 1e-8)
        off.append((found.focus_um - place_um - 2.0) / found.focus_sd_um)
        assert found.aperture_rad == pytest.approx(2 * 0.25 * 1e-8 * 1e6, rel=0.15)
    assert np.mean(np.abs(off) < 2) > 0.85


def test_a_series_that_tells_nothing_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SemdaemonError) as short:
        calibrate(np.arange(3.0), np.arange(1.0, 4.0), np.full(3, 0.1), 1e-8)
    assert short.value.code == "series_too_short"
    with pytest.raises(SemdaemonError) as flat:
        calibrate(np.arange(9.0), np.full(9, 2.0), np.full(9, 0.1), 1e-8)
    assert flat.value.code == "series_too_flat"
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    assert getattr(run(str(file), str(file)).exception, "code", "") == "series_without_z"
    missing = run(str(file), "--z", str(tmp_path / "no.csv"))
    assert getattr(missing.exception, "code", "") == "series_without_z"
