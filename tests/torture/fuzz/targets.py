"""What is fuzzed: every reader of files, and every parser of what comes through a socket."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

from semdaemon.errors import SemdaemonError
from semdaemon.focus import FocusMap
from semdaemon.formats import is_own_output, read_frames, read_metadata, verify
from semdaemon.formats.ifd import Ifd, Tag
from semdaemon.formats.metadata import gather
from semdaemon.formats.names import read_provenance
from semdaemon.formats.sidecar import is_sidecar
from semdaemon.formats.stack import StackFile
from semdaemon.formats.stackframe import read_stack_frame
from semdaemon.formats.vendors import Evidence
from semdaemon.journal import Journal
from semdaemon.refocus.weights import load_card, read_tensors
from semdaemon.settings.load import load_settings
from semdaemon.sources import Sighting
from semdaemon.sources.micromanager.tags import frame_from
from semdaemon.sources.ndtiff.follower import Follower
from semdaemon.sources.ndtiff.places import Places
from semdaemon.wire.keys import load_public

from . import mutate, seeds
from .sockets import sockets
from .target import LIMITS, Run, Target


def all_targets(folder: Path) -> list[Target]:
    """Every target; ``folder`` holds the file that is read over and over."""
    return [*_files(folder), *_parsers(folder), *sockets(folder)]


# -- files --------------------------------------------------------------------------------------------------


def _files(folder: Path) -> list[Target]:
    tiffs, instruments, pictures = seeds.tiffs(folder), seeds.instruments(), seeds.pictures(folder)
    own = seeds.output(folder)
    reading, about = _on_file(folder / "x.tif", _read), _on_file(folder / "x.tif", _metadata)
    made = [
        Target("read_frames: TIFF", "file", 26, tiffs, mutate.tiff, reading),
        Target("read_metadata: TIFF", "file", 14, [*tiffs, own], mutate.tiff, about),
        Target("read_frames: PNG", "file", 14, pictures["png"], mutate.png, reading),
        Target("read_frames: BMP", "file", 8, pictures["bmp"], mutate.damaged, reading),
        Target("read_frames: JPEG", "file", 8, pictures["jpeg"], mutate.damaged, reading),
        Target("verify: outputs and foreign TIFFs", "file", 12, [own, own, own, *tiffs],
               mutate.tiff, _on_file(folder / "x.refocused.tif", _verify)),
        Target("NDTiff and Micro-Manager stacks", "file", 14, _stacks(folder), _stack_damaged,
               _on_file(folder / "NDTiffStack.tif", _stack)),
        Target("read_frames: sidecar", "file", 4, [seeds.JEOL, seeds.HITACHI, seeds.TESCAN], mutate.text,
               _beside(folder, pictures["png"][0])),
    ]  # fmt: skip
    if instruments:
        made.append(Target("read_frames: instruments' TIFFs", "file", 4, instruments, mutate.tiff, reading))
    return made


def _on_file(path: Path, look: Callable[[Path], str]) -> Run:
    def run(data: bytes) -> str:
        path.write_bytes(data)
        return look(path)

    return run


def _read(path: Path) -> str:
    frames = read_frames(path, limits=LIMITS)
    return f"read, {len(frames)} page(s)"


def _metadata(path: Path) -> str:
    return f"read, {read_metadata(path, max_file_bytes=2**24).vendor or 'no vendor'}"


def _verify(path: Path) -> str:
    found = verify(path)
    is_own_output(path), read_provenance(path)
    json.dumps(found.as_json())
    return "holds" if found.ok else next(check.name for check in found.checks if not check.ok)


def _beside(folder: Path, png: bytes) -> Run:
    (folder / "beside.png").write_bytes(png)

    def run(data: bytes) -> str:
        (folder / "beside.txt").write_bytes(data)
        return read_frames(folder / "beside.png", limits=LIMITS)[0].vendor or "no vendor"

    return run


def _stacks(folder: Path) -> list[bytes]:
    from ..stacks import written_stack

    return [
        written_stack(folder, kind, order) for kind in ("ndtiff", "ndtiff2", "micromanager") for order in "<>"
    ]


def _stack_damaged(rng: Random, data: bytes) -> bytes:
    return mutate.damaged(rng, data, 1500) if rng.random() < 0.6 else mutate.tiff(rng, data)


def _stack(path: Path) -> str:
    follower = Follower(path, Path(path.name), Places())
    steps = follower.look(0.0)
    with StackFile(path) as file:
        header = file.header()
        if header is None:
            return "no stack"
        for number, step in enumerate(steps[:3]):
            with suppress(SemdaemonError):
                read_stack_frame(file, header, step.directory, number, source="t", uri="u", limits=LIMITS)
    return f"{len(steps)} frame(s)"


# -- texts and blobs from files -----------------------------------------------------------------------------


def _parsers(folder: Path) -> list[Target]:
    blob = seeds.focus().to_bytes()
    journal = folder / "journal.sqlite3"
    return [
        Target(
            "journal file", "parser", 2, [_journal_file(folder)], mutate.damaged, _on_file(journal, _journal)
        ),
        Target("vendor texts", "parser", 14, list(seeds.TEXTS), mutate.text, _texts),
        Target("Micro-Manager tags", "parser", 8, [seeds.MICROMANAGER], mutate.json_text, _tags),
        Target("focus map blob", "parser", 5, [blob], mutate.npz, _focus),
        Target("CURVE key files", "parser", 2, [_key()], mutate.text, _on_file(folder / "a.key", _load_key)),
        Target("settings TOML", "parser", 3, _settings(), mutate.text, _on_file(folder / "x.toml", _load)),
        Target("weights card", "parser", 4, [_card()], mutate.json_text, _cards(folder)),
        Target("weights safetensors", "parser", 4, [_tensors()], mutate.safetensors, _weights(folder)),
    ]


_TAGS = (270, 34118, 34680, 34682, 34683, 50431, 51123, 65009)


def _journal_file(folder: Path) -> bytes:
    """A small journal with frames in several states."""
    path = folder / "seed.sqlite3"
    with Journal(path) as journal:
        names = [Path(f"/data/{number}.tif") for number in range(6)]
        journal.see([Sighting("folder", name.as_uri(), name, Path(name.name), 9, 9) for name in names])
        for row in journal.rows()[:3]:
            journal.finish(row.key, "failed", "truncated", "it ends early", "copy it again")
    data = path.read_bytes()
    for left in folder.glob("seed.sqlite3*"):
        left.unlink()
    return data


def _journal(path: Path) -> str:
    with Journal(path, read_only=True) as journal:
        journal.counts(), journal.oldest_waiting_s()
        for row in journal.rows():
            journal.history(row.key)
    return "read"


def _texts(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    sidecar = text if is_sidecar(text) else None
    told = ""
    for code in _TAGS:
        tag = Tag(code, 2, len(data), "<", data, 0, len(data))
        ifd = Ifd(0, {code: tag}, "<")
        told = gather(Evidence((64, 64), ifd, ifd, sidecar)).vendor or told
    return told or "no vendor"


def _tags(data: bytes) -> str:
    tags = json.loads(data, parse_constant=str) if _is_json(data) else None
    if not isinstance(tags, dict):
        return "no object"
    frame_from(tags, bytes(64 * 64 * 2), "uint16", LIMITS)
    return "frame"


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _focus(data: bytes) -> str:
    FocusMap.from_bytes(data).counts()
    return "read"


def _settings() -> list[bytes]:
    from semdaemon.settings import example_toml

    lines = example_toml().splitlines()
    keys = [line[2:] if line.startswith("# ") and " = " in line else line for line in lines]
    return ["\n".join(line for line in keys if not line.startswith("#")).encode()]


def _load(path: Path) -> str:
    load_settings(path)
    return "holds"


def _key() -> bytes:
    letters = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
    return f'#   **** Public ****\nmetadata\ncurve\n    public-key = "{letters}"\n'.encode()


def _load_key(path: Path) -> str:
    load_public(path)
    return "read"


def _card() -> bytes:
    card = load_card("light")
    return json.dumps(
        {**card.as_dict(), "held_out": {}, "trained_on": card.as_dict()["trained_on"][:2]}
    ).encode()


def _tensors() -> bytes:
    header = json.dumps(
        {"a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
         "b": {"dtype": "I64", "shape": [1], "data_offsets": [24, 32]}, "__metadata__": {"x": "y"}}
    ).encode()  # fmt: skip
    return struct.pack("<Q", len(header)) + header + bytes(range(32))


def _cards(folder: Path) -> Run:
    (folder / "w.safetensors").write_bytes(b"")

    def run(data: bytes) -> str:
        (folder / "w.json").write_bytes(data)
        card = load_card(folder / "w.safetensors")
        card.as_dict()
        return "read"

    return run


def _weights(folder: Path) -> Run:
    import hashlib
    from dataclasses import replace

    path, card = folder / "t.safetensors", load_card("light")

    def run(data: bytes) -> str:
        path.write_bytes(data)
        read_tensors(replace(card, path=path, sha256=hashlib.sha256(data).hexdigest()))
        return "read"

    return run
