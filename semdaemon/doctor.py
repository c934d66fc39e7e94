"""Everything that commonly is wrong, checked, each with its remedy."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from semdaemon.errors import SemdaemonError, WeightsError
from semdaemon.finding import Finding
from semdaemon.focus import load_scorer
from semdaemon.journal import find_journal, repair
from semdaemon.mounts import mount_of
from semdaemon.ports import ports
from semdaemon.refocus.weights import resolve
from semdaemon.settings import Settings
from semdaemon.worker import Worker

_LOW_SPACE_BYTES = 2 * 2**30
_FEW_WATCHES = 65536
_SMALL_SHM_BYTES = 256 * 2**20
_PACKAGES = ("torch", "numpy", "tifffile", "imagecodecs", "onnxruntime", "pyzmq", "watchdog")


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check, quick ones first; a check that fails does not stop the next."""
    for check in CHECKS:
        yield from check(settings)


def _packages(_: Settings) -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")
    for name in _PACKAGES:
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(
                name, "wrong", "not installed", f"{Path(sys.executable).name} -m pip install {name}"
            )


def _micromanager(settings: Settings) -> Iterator[Finding]:
    own = settings.micromanager
    if not (own.enabled or own.python_backend):
        return
    for name in ("pycromanager", "pymmcore"):
        try:
            yield Finding(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "wrong", "not installed", "pip install 'semdaemon[micromanager]'")
    if own.python_backend:
        return
    where = f"port {own.port}"
    try:
        with socket.create_connection(("127.0.0.1", own.port), 0.5):
            yield Finding("Micro-Manager", "ok", f"something listens at {where}")
    except OSError:
        yield Finding(
            "Micro-Manager",
            "warn",
            f"nothing listens at {where}",
            f"Open Micro-Manager and tick 'Run server on port {own.port}' in its options.",
        )


def _folders(settings: Settings) -> Iterator[Finding]:
    folders = (*settings.folder.folders, *settings.ndtiff.folders)
    if not folders:
        yield Finding(
            "acquisition folder",
            "warn",
            "none is set",
            "Set folder.folders, or give --folder to 'semdaemon run'.",
        )
    for folder in folders:
        yield _folder(folder)


def _folder(folder: Path) -> Finding:
    name = f"folder {folder}"
    if not folder.is_dir():
        return Finding(
            name, "wrong", "is not there", "Mount or create it; the daemon takes it up when it appears."
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        return Finding(name, "wrong", "cannot be read", "Give the service's user read permission.")
    mount = mount_of(folder)
    if mount.remote:
        return Finding(name, "ok", f"{mount.kind}: changes come without events, so it is polled")
    return Finding(name, "ok", mount.kind or "readable")


def _places(settings: Settings) -> Iterator[Finding]:
    yield _writable("state folder", settings.daemon.state_dir, local=True)
    yield _writable("output folder", settings.output.folder, local=False)


def _writable(name: str, folder: Path, *, local: bool) -> Finding:
    there = next((p for p in (folder, *folder.parents) if p.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Finding(
            name, "wrong", f"{folder} cannot be written: {error}", "Choose another, or give permission."
        )
    if local and mount_of(there).remote:
        return Finding(
            name, "wrong", f"{folder} is on a network file system", "Set daemon.state_dir to a local disk."
        )
    free = shutil.disk_usage(there).free
    if free < _LOW_SPACE_BYTES:
        return Finding(
            name, "warn", f"{folder}: {free / 2**30:.1f} GiB free", "Free space, or choose another disk."
        )
    return Finding(name, "ok", f"{folder}: {free / 2**30:.0f} GiB free")


def _journal(settings: Settings) -> Iterator[Finding]:
    path = find_journal(settings.daemon.state_dir)
    if not path.exists():
        yield Finding("journal", "ok", f"{path} is made when the daemon first runs")
        return
    try:
        repair.check(path)
    except SemdaemonError as error:
        yield Finding("journal", "wrong", error.message, error.remedy)
    else:
        yield Finding("journal", "ok", f"{path}: whole, {path.stat().st_size / 2**20:.0f} MiB")


def repaired(settings: Settings) -> Finding:
    """Repair the journal where it is damaged; what was done.

    Raises
    ------
    SemdaemonError
        See `semdaemon.journal.repair.repair`.
    """
    path = find_journal(settings.daemon.state_dir)
    found = next(_journal(settings))
    if found.state == "ok":
        return Finding("journal", "ok", f"nothing to repair: {found.detail}")
    saved = repair.repair(path)
    return Finding(
        "journal",
        "warn",
        f"repaired: {saved.frames} frames, {saved.events} steps of their history and {saved.focus_maps} "
        f"focus maps are saved, {saved.lost} rows could not be read; the damaged file is now {saved.kept}",
        "Start the daemon: frames that were lost are seen again, and their messages say redelivered.",
    )


def _linux(_: Settings) -> Iterator[Finding]:
    limit = Path("/proc/sys/fs/inotify/max_user_watches")
    if limit.is_file():
        watches = int(limit.read_text())
        few = watches < _FEW_WATCHES
        yield Finding(
            "inotify watches",
            "warn" if few else "ok",
            f"{watches} folders can be watched",
            "sysctl fs.inotify.max_user_watches=524288 (scanning goes on without)." if few else "",
        )
    shm = Path("/dev/shm")  # noqa: S108 - asked for its size only
    if shm.is_dir():
        free = shutil.disk_usage(shm).free
        small = free < _SMALL_SHM_BYTES
        yield Finding(
            "shared memory",
            "warn" if small else "ok",
            f"{free / 2**20:.0f} MiB free",
            "In a container, start it with --shm-size=1g." if small else "",
        )


def _estimator(settings: Settings) -> Iterator[Finding]:
    try:
        scorer = load_scorer(settings.focus.scorer, settings.focus)
    except SemdaemonError as error:
        yield Finding("focus scorer", "wrong", error.message, error.remedy)
    else:
        yield Finding("focus scorer", "ok", scorer.name)


def _worker(settings: Settings) -> Iterator[Finding]:
    worker = Worker(settings)
    try:
        worker.start()
        known = worker.describe()
        yield from _working(known)
        yield from _figures(settings, known["device"])
    except SemdaemonError as error:
        yield Finding("worker", "wrong", error.message, error.remedy)
    finally:
        worker.stop()


def _working(known: dict[str, Any]) -> Iterator[Finding]:
    """Of a worker that is up, and so has passed its probe: device, weights, and what it was compared with."""
    weights, probe = known["weights"], known["probe"]
    chosen = f"; {known['chosen']}" if known.get("chosen") else ""
    yield Finding(
        "worker", "ok", f"{known['device']}, weights {weights['name']} ({weights['sha256'][:12]}){chosen}"
    )
    if probe["against"] == "stored":
        told = f"the weights' stored answer to the test picture, off by {probe['rms']:.1e} (rms) of its range"
        yield Finding("refocusing", "ok", told)
    else:
        yield Finding(
            "refocusing",
            "warn",
            "the test picture comes back plausible; the weights' card has no answer to compare with",
            "'semdaemon evaluate --card' writes one, on a machine whose CPU can be trusted.",
        )


def _figures(settings: Settings, device: str) -> Iterator[Finding]:
    """What the card of the weights leaves open, where it leaves anything open."""
    try:
        card = resolve(settings.refocus.weights, device)
    except WeightsError as error:  # an engine of another kind may do without a card
        yield Finding("weights", "wrong", error.message, error.remedy)
        return
    if card.lacks():
        yield Finding(
            "weights",
            "warn",
            f"the card of '{card.name}' does not tell {', '.join(card.lacks())}",
            "'semdaemon evaluate --data DIR --card', and again with --reach, measure it on sharp frames.",
        )


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _packages,
    _micromanager,
    _folders,
    _places,
    _journal,
    ports,
    _linux,
    _estimator,
    _worker,
)
