"""A training's whole state in one safetensors file: weights, averaged weights, optimiser, random state."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """How far a training has come; everything here survives a restart."""

    iteration: int = 0
    elapsed_s: float = 0.0


def save(
    path: Path,
    net: nn.Module,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    header: dict[str, Any],
) -> None:
    """Write beside the target and rename, so that a reader or a crash never meets half a file."""
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.items()}
    for name, parameter in net.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"adam.{name}.{key}"] = torch.as_tensor(value)
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    beside = path.with_suffix(".part")
    save_file(tensors, beside, metadata={"training": json.dumps(header)})
    beside.replace(path)


def read_header(path: Path) -> dict[str, Any]:
    """The JSON header of a checkpoint."""
    with safe_open(path, framework="pt") as file:
        header: dict[str, Any] = json.loads((file.metadata() or {})["training"])
    return header


def read_average(path: Path) -> dict[str, Tensor]:
    """The averaged weights, by parameter name; what is evaluated and exported."""
    with safe_open(path, framework="pt") as file:
        names = [key for key in file.keys() if key.startswith("average.")]  # noqa: SIM118  (not a mapping)
        return {name.removeprefix("average."): file.get_tensor(name) for name in names}


def restore(
    path: Path, net: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put a checkpoint's state into the parts of a training; gives its header."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k.startswith("net.")})
    for key in average:
        average[key].copy_(tensors[f"average.{key}"])
    for name, parameter in net.named_parameters():
        mine = {k.rpartition(".")[2]: v for k, v in tensors.items() if k.rpartition(".")[0] == f"adam.{name}"}
        if mine:
            optimiser.state[parameter] = {
                k: v if k == "step" else v.to(parameter.device) for k, v in mine.items()
            }
    return read_header(path)
