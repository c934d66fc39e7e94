"""Units for systemd: what ships, what install writes, and that a changed one is left alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from semdaemon.cli.service import command
from semdaemon.errors import SemdaemonError
from semdaemon.service.unit import Wanted, quoted, unit_text

SHIPPED = Path(__file__).resolve().parents[2] / "systemd"
MOST_EXPOSURE = 3.0
# Keys of newer versions, which older ones say that they ignore; and programs that are not installed there.
EXPECTED_OF_VERIFY = re.compile(r"Unknown key.*(RestartSteps|RestartMaxDelaySec)|is not executable|^$")

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux")


@pytest.mark.parametrize("template", [False, True])
def test_what_ships_is_what_install_would_write(template: bool) -> None:
    wanted = Wanted(template=template)
    shipped = (SHIPPED / wanted.file_name).read_text()
    assert shipped[shipped.index("[Unit]") :] == unit_text(wanted)


@needs_systemd
@pytest.mark.parametrize("name", ["semdaemon.service", "semdaemon@.service"])
@pytest.mark.parametrize("gpu", [False, True])
def test_the_exposure_is_low_with_cpu_and_with_gpu(tmp_path: Path, name: str, gpu: bool) -> None:
    unit = tmp_path / name
    shutil.copy(SHIPPED / name, unit)
    if gpu:
        (tmp_path / f"{name}.d").mkdir()
        shutil.copy(SHIPPED / "gpu.conf", tmp_path / f"{name}.d")
    asked = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False).stdout
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert level is not None, told
    assert float(level[1]) <= MOST_EXPOSURE


@needs_systemd
@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(template=True),
        Wanted(user=True),
        Wanted(user=True, template=True),
        Wanted(program=sys.executable, settings=Path("/a b/100%.toml"), output=Path("/srv/sem's out")),
    ],
)
def test_systemd_finds_nothing_wrong(tmp_path: Path, wanted: Wanted) -> None:
    unit = tmp_path / wanted.file_name
    unit.write_text(unit_text(wanted))
    asked = ["systemd-analyze", "verify", *(["--user"] if wanted.user else []), str(unit)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False, env=environment)
    told = done.stderr
    wrong = [line for line in told.splitlines() if not EXPECTED_OF_VERIFY.search(line)]
    assert wrong == []


def test_a_path_is_one_word_of_a_command_line() -> None:
    assert quoted(Path("/opt/semdaemon")) == "/opt/semdaemon"
    assert quoted(Path('/a b/50%/$x"y')) == '"/a b/50%%/$$x\\"y"'


def invoke(folder: Path, *arguments: str) -> str:
    done = CliRunner().invoke(command, [*arguments, "--unit-dir", str(folder)])
    if isinstance(done.exception, SemdaemonError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@needs_linux
def test_install_writes_once_and_uninstall_takes_away_just_that(tmp_path: Path) -> None:
    unit = tmp_path / "semdaemon.service"
    assert str(unit) in invoke(tmp_path, "install", "--dry-run", "--output", "/srv/out")
    assert list(tmp_path.iterdir()) == []
    assert "written" in invoke(tmp_path, "install", "--output", "/srv/out")
    assert "ReadWritePaths=/srv/out\n" in unit.read_text()
    assert "already" in invoke(tmp_path, "install", "--output", "/srv/out")
    (tmp_path / "semdaemon.service.d").mkdir()
    (tmp_path / "semdaemon.service.d" / "local.conf").write_text("[Service]\nNice=10\n")
    invoke(tmp_path, "uninstall")
    assert [path.name for path in tmp_path.iterdir()] == ["semdaemon.service.d"]
    assert "was not there" in invoke(tmp_path, "uninstall")


@needs_linux
def test_another_version_of_ours_is_replaced_and_a_changed_one_is_not(tmp_path: Path) -> None:
    unit = tmp_path / "semdaemon.service"
    invoke(tmp_path, "install", "--run-as", "somebody")
    invoke(tmp_path, "install", "--run-as", "nobody")
    assert "User=nobody" in unit.read_text()
    unit.write_text(unit.read_text() + "Nice=19\n")
    for asked in ("install", "uninstall"):
        with pytest.raises(SemdaemonError) as caught:
            invoke(tmp_path, asked)
        assert caught.value.code == "unit_changed"
    invoke(tmp_path, "install", "--force")
    assert "Nice=19" not in unit.read_text()
    unit.write_text("[Service]\n# not ours at all\n")
    invoke(tmp_path, "uninstall", "--force")
    assert not unit.exists()


@needs_linux
def test_a_user_that_is_missing_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    told = invoke(tmp_path / "a", "install", "--run-as", "nobody-by-this-name")
    assert "useradd" in told
    assert "nobody-by-this-name" in told
    assert "useradd" not in invoke(tmp_path / "b", "install", "--run-as", "root")


def test_an_instances_unit_stays_while_another_instance_uses_it(tmp_path: Path) -> None:
    invoke(tmp_path, "install", "--instance", "left")
    wants = tmp_path / "multi-user.target.wants"
    wants.mkdir()
    for name in ("left", "right"):
        (wants / f"semdaemon@{name}.service").symlink_to("../semdaemon@.service")
    assert "right still use it" in invoke(tmp_path, "uninstall", "--instance", "left")
    (wants / "semdaemon@right.service").unlink()
    invoke(tmp_path, "uninstall", "--instance", "left")
    assert not (tmp_path / "semdaemon@.service").exists()


@needs_linux
@pytest.mark.parametrize("name", ["a/b", "", "-x", "a b"])
def test_an_instance_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(command, ["install", "--instance", name, "--unit-dir", str(tmp_path)])
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []
