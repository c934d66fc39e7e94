"""A training's whole state in one safetensors file: weights, averaged weights, optimiser, progress.

Two generations are kept: a new file is written whole beside the old one before it takes its place, and the
one it replaces stays as the previous one, so that neither a crash, a full disk nor a damaged file costs more
than the work since the last save but one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from semdaemon.errors import SemdaemonError

NAME = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
BROKEN = "checkpoint.broken.safetensors"
AVERAGE = "average.safetensors"
BEST = "best.safetensors"


@dataclass
class Progress:
    """How far a training has come; everything here survives a restart."""

    iteration: int = 0
    elapsed_s: float = 0.0


def save(
    path: Path,
    net: nn.Module,
    average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    header: Mapping[str, Any],
) -> None:
    """Write a checkpoint; the one that was there becomes the previous one.

    Raises
    ------
    SemdaemonError
        ``checkpoint_not_saved`` (a full disk, say); what was saved before is intact then.
    """
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.items()}
    for name, parameter in net.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"adam.{name}.{key}"] = torch.as_tensor(value)
    _write(path, tensors, header, keep_previous=True)


def save_average(path: Path, average: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """The averaged weights alone, in half precision: small enough to carry, and all that is exported."""
    _write(path, {f"average.{k}": v.to(torch.float16) for k, v in average.items()}, header)


def newest(folder: Path) -> tuple[Path | None, str]:
    """The checkpoint to go on from, and what a person should know about it.

    A file that cannot be read is set aside as ``checkpoint.broken.safetensors``, and the previous one serves.

    Raises
    ------
    SemdaemonError
        ``checkpoint_broken`` where there are checkpoints and none can be read.
    """
    current, previous = folder / NAME, folder / PREVIOUS
    try:
        if current.exists():
            check(current)
            return current, ""
        if not previous.exists():
            return None, ""
        said = f"{current.name} is missing"
    except SemdaemonError as error:
        if not previous.exists():
            raise
        said = error.message
    iteration = check(previous)["progress"]["iteration"]
    if current.exists():
        current.replace(folder / BROKEN)
        said += f" It is kept as {BROKEN}."
    return previous, f"{said} Going on from the previous checkpoint, of iteration {iteration}."


def check(path: Path) -> dict[str, Any]:
    """The header of a checkpoint whose tensors are all there.

    Raises
    ------
    SemdaemonError
        ``checkpoint_broken``.
    """
    with _readable(path), safe_open(path, framework="pt") as file:  # it compares the header with the length
        header: dict[str, Any] = json.loads((file.metadata() or {})["training"])
        Progress(**header["progress"])
    return header


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a checkpoint."""
    return check(path)


def read_average(path: Path) -> dict[str, Tensor]:
    """The averaged weights, by parameter name; what is evaluated and exported."""
    with _readable(path), safe_open(path, framework="pt") as file:
        names = [key for key in file.keys() if key.startswith("average.")]  # noqa: SIM118  (not a mapping)
        return {name.removeprefix("average."): file.get_tensor(name).float() for name in names}


def restore(
    path: Path, net: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put a checkpoint's state into the parts of a training; gives its header."""
    header = check(path)
    with _readable(path), safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    for key in average:
        average[key].copy_(tensors[f"average.{key}"])
    state: dict[int, dict[str, Tensor]] = {}
    for number, (name, parameter) in enumerate(net.named_parameters()):
        mine = {k.rpartition(".")[2]: v for k, v in tensors.items() if k.rpartition(".")[0] == f"adam.{name}"}
        if mine:
            state[number] = {key: _laid_out_like(parameter, value) for key, value in mine.items()}
    # The optimiser itself knows what of its state belongs on the device.
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return header


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """A file holds rows; a fused Adam walks through the memory of parameter and state as one.

    With other strides than a channels-last parameter has, CUDA refuses the step and a CPU mixes elements up.
    """
    alike = torch.empty_like(parameter, requires_grad=False)
    return alike.copy_(value) if value.shape == parameter.shape else value


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever goes wrong with the file inside becomes ``checkpoint_broken``."""
    try:
        yield
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise SemdaemonError(
            "checkpoint_broken",
            f"{path} is no checkpoint of a training, or was cut short: {error}",
            remedy="Remove it to begin anew, or give another --out.",
        ) from error


def _write(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], *, keep_previous: bool = False
) -> None:
    """Write beside the target, flush to the disk, rename: no reader and no crash meets half a file."""
    beside = path.with_suffix(".part")
    whole = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(whole, beside, metadata={"training": json.dumps(header)})
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        if keep_previous and path.exists():
            path.replace(path.with_name(PREVIOUS))
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        _remove(beside)
        size_mib = sum(v.numel() * v.element_size() for v in whole.values()) / 2**20
        raise SemdaemonError(
            "checkpoint_not_saved",
            f"{path} could not be saved ({size_mib:.0f} MiB): {error}",
            remedy=f"Free {3 * size_mib:.0f} MiB in {path.parent}; what was saved before is intact.",
        ) from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the disk that refused the file may refuse this too; what matters is told already
