"""Runs targets on damaged input in a child process that may die; judges what happens.

An input may be read or refused with a `SemdaemonError`. Everything else is a finding: another exception, more
than a second, memory beyond the limit, a child that dies or hangs.
"""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

from semdaemon.errors import SemdaemonError

from .targets import Target, all_targets

LONGEST_S = 1.0
"""No input may take longer."""
MEMORY_BYTES = 512 * 2**20
"""What an input may take of address space beyond what the process had before."""
RESIDENT_BYTES = 256 * 2**20
"""What an input may take of real memory; the largest picture that is let in decodes to 32 MB."""

_SILENT_S = 60.0
_SLOT_BYTES = 2**23
_PIECE = 2000


class TooSlowError(BaseException):
    """The second is over; no ``except Exception`` may swallow this."""


@dataclass
class Tally:
    """What came of one target's inputs."""

    executions: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, said: dict[str, Any]) -> None:
        """Take over what the child says of a piece of work."""
        self.executions += said["executions"]
        self.seconds += said["seconds"]
        self.slowest_s = max(self.slowest_s, said["slowest_s"])
        self.outcomes.update(said["outcomes"])


class Runner:
    """Fuzzes targets one after the other, piece by piece.

    Parameters
    ----------
    seed
        Input number N of a target is the same for the same seed, whatever else ran.
    findings
        Folder that takes inputs which should not have done what they did.
    """

    def __init__(self, seed: int, findings: Path) -> None:
        self.seed, self.findings = seed, findings
        self.folder = Path(tempfile.mkdtemp(prefix="semdaemon-fuzz-", dir=_fast_folder()))
        self.targets = all_targets(self.folder)
        self.tallies = {target.name: Tally() for target in self.targets}
        self._slot = mmap.mmap(-1, _SLOT_BYTES)
        self._next: Counter[str] = Counter()

    def close(self) -> None:
        """Remove the folder of files that were read."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, files: int, parsers: int) -> dict[str, Tally]:
        """So many executions of readers of files and of parsers, shared among the targets by weight."""
        for target, number in self._shares(files, parsers):
            self._run_target(target, number)
        return self.tallies

    def _shares(self, files: int, parsers: int) -> Iterator[tuple[Target, int]]:
        for kind, number in (("file", files), ("parser", parsers)):
            some = [target for target in self.targets if target.kind == kind]
            total = sum(target.weight for target in some)
            for target in some:
                yield target, max(1, round(number * target.weight / total))

    def _run_target(self, target: Target, number: int) -> None:
        done = 0
        while done < number:
            piece = min(_PIECE, number - done)
            done += self._piece(target, self._next[target.name] + done, piece)
        self._next[target.name] += number

    def _piece(self, target: Target, first: int, number: int) -> int:
        """Run inputs from ``first`` on in a child; how many were done, the deadly one included."""
        ours, theirs = get_context("fork").Pipe(duplex=False)
        child = get_context("fork").Process(target=self._child, args=(theirs, target, first, number))
        child.start()
        theirs.close()
        tally, done = self.tallies[target.name], 0
        try:
            while ours.poll(_SILENT_S):
                said = ours.recv()
                if said["kind"] == "done":
                    tally.add(said)
                    return number
                if said["kind"] == "finding":
                    self._found(target, said)
                done = said.get("index", first) - first
        except EOFError:
            pass
        finally:
            hung = child.is_alive() and not ours.poll(0)
            child.kill() if hung else child.join(5)
            child.join(5)
            ours.close()
        return self._died(target, first, hung, child.exitcode, done)

    def _died(self, target: Target, first: int, hung: bool, exitcode: int | None, done: int) -> int:
        index, data = self._read_slot()
        what = f"hangs for {_SILENT_S:.0f} s" if hung else f"the process ended with exit code {exitcode}"
        self._found(target, {"what": what, "where": "", "index": index, "trace": ""}, data)
        tally = self.tallies[target.name]
        tally.executions += index - first + 1
        return index - first + 1

    def _found(self, target: Target, said: dict[str, Any], data: bytes | None = None) -> None:
        mark = f"{said['what']} at {said['where']}"
        known = self.tallies[target.name].findings
        if mark in known:
            known[mark]["times"] += 1
            return
        known[mark] = {"what": said["what"], "where": said["where"], "index": said["index"], "times": 1}
        self.findings.mkdir(parents=True, exist_ok=True)
        stem = (
            self.findings
            / f"{''.join(c if c.isalnum() else '_' for c in target.name)}-{len(known)}-{said['index']}"
        )
        stem.with_suffix(".bin").write_bytes(self._read_slot()[1] if data is None else data)
        about = {"target": target.name, "seed": self.seed, **known[mark], "trace": said["trace"]}
        stem.with_suffix(".json").write_text(json.dumps(about, indent=1))

    # -- in the child ----------------------------------------------------------------------------------------

    def _child(self, pipe: Any, target: Target, first: int, number: int) -> None:
        faulthandler.disable()
        _quiet()
        for data in target.seeds:  # libraries are loaded before memory is counted
            _outcome(target, data)
        _limit_memory()
        signal.signal(signal.SIGALRM, _too_slow)
        tally, resident = Tally(), _resident_bytes()
        for index in range(first, first + number):
            self._write_slot(index, b"")
            data = self.input(target, index)
            self._write_slot(index, data)
            began = time.perf_counter()
            said = _judged(target, data)
            took_s, peak = time.perf_counter() - began, _resident_bytes()
            if "what" not in said and peak - resident > RESIDENT_BYTES:
                said = {"what": f"takes more than {RESIDENT_BYTES >> 20} MiB", "where": "", "trace": ""}
            resident = max(resident, peak) if "what" in said else resident
            tally.executions, tally.seconds = tally.executions + 1, tally.seconds + took_s
            tally.slowest_s = max(tally.slowest_s, took_s)
            tally.outcomes[said.get("outcome", "finding")] += 1
            if "what" in said:
                pipe.send({"kind": "finding", "index": index, **said})
            elif index % 200 == 0:
                pipe.send({"kind": "alive", "index": index})
        pipe.send({"kind": "done", "executions": tally.executions, "seconds": tally.seconds,
                   "slowest_s": tally.slowest_s, "outcomes": dict(tally.outcomes)})  # fmt: skip
        pipe.close()
        os._exit(0)

    def input(self, target: Target, index: int) -> bytes:
        """Input number ``index`` of a target."""
        rng = Random(f"{self.seed}/{target.name}/{index}")
        if index < len(target.seeds):
            return target.seeds[index]
        sound = rng.choice(target.seeds)
        made = target.mutate(rng, sound)
        return made if len(made) <= _SLOT_BYTES - 16 else sound

    def _write_slot(self, index: int, data: bytes) -> None:
        self._slot[:16] = index.to_bytes(8, "little") + len(data).to_bytes(8, "little")
        self._slot[16 : 16 + len(data)] = data

    def _read_slot(self) -> tuple[int, bytes]:
        index, size = (int.from_bytes(self._slot[at : at + 8], "little") for at in (0, 8))
        return index, self._slot[16 : 16 + size]


def _judged(target: Target, data: bytes) -> dict[str, Any]:
    """What came of it; slow is only what is slow three times, for the machine may have been busy."""
    said: dict[str, Any] = {}
    for _ in range(3):
        signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
        try:
            return _outcome(target, data)
        except TooSlowError as error:
            said = {
                "what": f"takes longer than {LONGEST_S:g} s",
                "where": _where(error),
                "trace": _trace(error),
            }
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return said


def _outcome(target: Target, data: bytes) -> dict[str, Any]:
    try:
        return {"outcome": target.run(data)}
    except SemdaemonError as error:
        if (short := _short_of_memory(error)) is not None:
            return {
                "what": "asks for more memory than the limit",
                "where": _where(short),
                "trace": _trace(short),
            }
        return {"outcome": f"refused: {error.code}"}
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return {"what": type(error).__name__, "where": _where(error), "trace": _trace(error)}


def _short_of_memory(error: BaseException) -> MemoryError | None:
    """A `MemoryError` behind a refusal."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError):
            return seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return None


def _where(error: BaseException) -> str:
    """The innermost place of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f for f in frames if "semdaemon" in f.filename and "torture" not in f.filename.split("semdaemon")[-1]
    ]
    last = (ours or list(frames) or [None])[-1]
    return "" if last is None else f"{Path(last.filename).name}:{last.lineno}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-4000:]


def _resident_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit_memory() -> None:
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES, now + MEMORY_BYTES))


def _too_slow(*_: object) -> None:
    raise TooSlowError


def _quiet() -> None:
    """Codecs write complaints to standard error by the thousand."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    import logging
    import warnings

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def _fast_folder() -> str | None:
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and os.access(shared, os.W_OK) else None
