"""Where a fine-tuning starts: shipped weights, a weights file with its card, or a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from semdaemon.errors import WeightsError
from semdaemon.refocus.engine import spec_from
from semdaemon.refocus.networks import NetworkSpec, fill
from semdaemon.refocus.weights import load_card, read_tensors
from semdaemon.training import checkpoint


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes
    ----------
    name, sha256
        Of the file.
    iterations, recipe
        How it was trained itself: steps, and name of the recipe.
    path
        The safetensors file.
    spec
        Fields of its `NetworkSpec`.
    is_weights
        True for weights with a card, false for a checkpoint.
    """

    name: str
    sha256: str
    path: Path
    spec: Mapping[str, Any]
    iterations: int
    recipe: str
    is_weights: bool

    @property
    def facts(self) -> dict[str, Any]:
        """What the card of the result calls ``started_from``."""
        return {key: getattr(self, key) for key in ("name", "sha256", "iterations", "recipe")}

    @property
    def network(self) -> NetworkSpec:
        """Its architecture; raises ``weights_unknown_architecture`` where it cannot be built here."""
        return spec_from(self.spec, str(self.path))

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by parameter name, float32."""
        if not self.is_weights:
            return checkpoint.read_average(self.path)
        card = load_card(self.path)
        return {
            name: torch.from_numpy(np.array(value, np.float32)) for name, value in read_tensors(card).items()
        }


def start_of(path: Path) -> Start:
    """What lies at a path: a weights file beside its card, a checkpoint, or a folder with a checkpoint.

    Raises
    ------
    WeightsError
        ``weights_missing``, ``weights_card_missing``, ``weights_card_odd``; ``weights_hash_mismatch`` where
        the file is not the one that its card vouches for.
    SemdaemonError
        ``checkpoint_broken``.
    """
    if path.is_dir():
        path = path / checkpoint.NAME
    if _is_checkpoint(path):
        header = checkpoint.read_header(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        done, recipe = header["progress"]["iteration"], header["recipe"]["name"]
        name = f"checkpoint of iteration {done}"
        return Start(name, sha256, path, header["spec"], done, recipe, is_weights=False)
    card = load_card(path)
    read_tensors(card)
    recipe = str(card.degradations.get("name", ""))
    return Start(card.name, card.sha256, card.path, card.spec, card.iterations, recipe, is_weights=True)


def start_with(net: nn.Module, path: Path, spec: NetworkSpec) -> Start:
    """Put the tensors at a path into a network of ``spec``; gives where they are from.

    Raises
    ------
    WeightsError
        ``weights_mismatch`` where they are of another network; else as `start_of`.
    """
    start = start_of(path)
    if start.spec != spec.as_dict():
        raise WeightsError(
            "weights_mismatch",
            f"{start.path} holds weights of another network ({_said(start.spec)}) than the one to be trained "
            f"({_said(spec.as_dict())}).",
            remedy="Leave --network away: a fine-tuning takes the network of what it starts from.",
        )
    try:
        fill(net, start.tensors())
    except ValueError as error:
        raise WeightsError(
            "weights_mismatch",
            f"{start.path} does not fit the network that it is said to be of ({_said(start.spec)}): {error}",
            remedy="Use the weights with the card that was written beside them; those of a single scale need "
            "--network srn.",
        ) from error
    return start


def _is_checkpoint(path: Path) -> bool:
    try:
        with safe_open(path, framework="pt") as file:
            return "training" in (file.metadata() or {})
    except (OSError, SafetensorError):
        return path.name in (checkpoint.NAME, checkpoint.PREVIOUS)


def _said(spec: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in spec.items())
