"""``semdaemon demo``: simulated microscope, daemon and page in one."""

from __future__ import annotations

import json
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from semdaemon.cli.options import json_option, settings_from
from semdaemon.daemon import Daemon
from semdaemon.settings import Settings
from semdaemon.simulate import Microscope, MicroscopeSettings, WrittenFrame

_FINAL = ("published", "failed", "skipped")
_PATIENCE_S = 150.0


@click.command("demo")
@click.option("--frames", type=click.IntRange(min=1), help="Stop by itself after this many frames.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--scenes", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Real frames as scenes."
)
@click.option(
    "--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep frames and results in this folder."
)
@json_option
def command(frames: int | None, seed: int, scenes: Path | None, keep: Path | None, as_json: bool) -> int:
    """Watch semdaemon at work on a simulated microscope; without --frames until Ctrl-C."""
    console = Console(stderr=True)
    if keep is not None:
        return _demo(keep, frames, seed, scenes, as_json, console)
    with tempfile.TemporaryDirectory(prefix="semdaemon-demo-", ignore_cleanup_errors=True) as folder:
        return _demo(Path(folder), frames, seed, scenes, as_json, console)


def _demo(
    folder: Path, frames: int | None, seed: int, scenes: Path | None, as_json: bool, console: Console
) -> int:
    microscope = Microscope(MicroscopeSettings(seed=seed, scenes=scenes))
    written: list[WrittenFrame] = []
    stop = threading.Event()
    hurry = _stop_on_signals(stop)
    with Daemon(_settings(folder)) as daemon:
        _greet(daemon, folder, console)
        beam = threading.Thread(
            target=microscope.write_frames,
            args=(folder / "acquisition", frames),
            kwargs={"on_frame": written.append, "stop": stop, "truth": folder / "truth"},
            name="microscope",
            daemon=True,
        )
        beam.start()
        try:
            _watch(daemon, beam, written, frames, stop, console)
        finally:
            stop.set()
            beam.join(10.0)
            _let_finish(daemon, len(written), hurry)
        summary = _summary(daemon, len(written))
    if as_json:
        click.echo(json.dumps(summary))
    else:
        _show(summary, console)
    return 0 if summary["lost"] == 0 and summary["failed"] == 0 else 1


def _settings(folder: Path) -> Settings:
    """The defaults, in a folder of its own, on the usual ports where they are free."""
    acquisition = folder / "acquisition"
    acquisition.mkdir(parents=True, exist_ok=True)
    return settings_from(
        None,
        state=folder / "state",
        folder={"folders": (acquisition,)},
        output={"folder": folder / "output"},
        publish={"endpoint": _free_endpoint(5570), "control": _free_endpoint(5571)},
        page={"port": 8570 if _is_free(8570) else 0},
        pushed={"endpoint": _free_endpoint(5572)},
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_endpoint(port: int) -> str:
    return f"tcp://127.0.0.1:{port}" if _is_free(port) else "tcp://127.0.0.1:*"


def _stop_on_signals(stop: threading.Event) -> threading.Event:
    """The first signal ends the microscope and lets the daemon finish; the event is set by a second one."""
    hurry = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return hurry


def _greet(daemon: Daemon, folder: Path, console: Console) -> None:
    addresses = daemon.addresses()
    endpoints = f"{addresses['endpoint']} --control {addresses['control']}"
    console.print("semdaemon demo: a simulated microscope writes frames, the daemon does the rest.")
    console.print(f"  Open    {addresses['page']}", highlight=False, soft_wrap=True)
    console.print(f"  Listen  semdaemon listen {endpoints}", highlight=False, soft_wrap=True)
    console.print(f"  Files   {folder}", highlight=False, soft_wrap=True)
    console.print("  Ctrl-C ends it.")


def _watch(
    daemon: Daemon,
    beam: threading.Thread,
    written: list[WrittenFrame],
    frames: int | None,
    stop: threading.Event,
    console: Console,
) -> None:
    of = "" if frames is None else f" of {frames}"
    with console.status("starting") as status:
        while not stop.wait(0.25):
            counts = daemon.journal.counts()
            done = sum(counts[state] for state in _FINAL)
            status.update(
                f"{len(written)}{of} frames written, {done} done, "
                f"{counts['scored']} waiting for the network (worker {daemon.status()['worker']['state']})"
            )
            if not beam.is_alive():
                return


def _let_finish(daemon: Daemon, written: int, hurry: threading.Event) -> None:
    """Wait while frames still end; a worker that cannot work must not hold the demo up for ever."""
    done, deadline = -1, 0.0
    while not hurry.wait(0.2):
        counts = daemon.journal.counts()
        before, done = done, sum(counts[state] for state in _FINAL)
        if done > before:
            deadline = time.monotonic() + _PATIENCE_S
        if done >= written or time.monotonic() > deadline:
            return
    for _ in range(2):  # the second request means: wait for nothing
        daemon.request_stop()


def _summary(daemon: Daemon, written: int) -> dict[str, Any]:
    rows = daemon.journal.rows(limit=None)
    final = [row for row in rows if row.state in _FINAL]
    return {
        "written": written,
        "seen": len(rows),
        "scored": sum(row.scored_at is not None for row in rows),
        "refocused": sum(row.reason == "refocused" for row in rows),
        "published": sum(row.state == "published" for row in rows),
        "failed": sum(row.state == "failed" for row in rows),
        "skipped": sum(row.state == "skipped" for row in rows),
        "lost": written - len(final),
        "reasons": {
            reason: sum(r.reason == reason for r in final) for reason in sorted({r.reason for r in final})
        },
    }


def _show(summary: dict[str, Any], console: Console) -> None:
    table = Table(title="What became of the frames", show_header=False)
    for key, value in summary.items():
        said = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(key, said)
    console.print(table)
