"""From what is shipped back to what can be trained: an ``.onnx`` with its normalisations folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from semdaemon.errors import SemdaemonError
from semdaemon.training import checkpoint
from semdaemon.training.focus.network import SigmaNetwork

Weights = list[npt.NDArray[np.float32]]


def start_from(path: Path, network: SigmaNetwork, tiles: Tensor) -> None:
    """Give a network the weights of an exported model, or the averaged ones of a training.

    Parameters
    ----------
    path
        An ``.onnx`` file, a checkpoint, or the folder of one.
    tiles
        (n, 1, h, w) like those it will be trained on: a folded normalisation is undone so that the function
        stays the same and these tiles come out normalised.

    Raises
    ------
    SemdaemonError
        ``no_extra`` where the package ``onnx`` is needed and absent, ``another_network`` where the weights
        are of another architecture.
    """
    if path.suffix != ".onnx":
        network.load_state_dict(checkpoint.read_average(path / checkpoint.NAME if path.is_dir() else path))
        return
    try:
        _unfold(network, *_folded(path), tiles)
    except (LookupError, ValueError, RuntimeError) as error:
        raise SemdaemonError(
            "another_network",
            f"{path} does not hold this blur estimator: {error}.",
            remedy="Give a model that 'python -m semdaemon.training.focus export' wrote.",
        ) from error


def _folded(path: Path) -> tuple[Weights, Weights]:
    """Weights and biases of a model's convolutions and of its matrix products, in order of execution."""
    try:
        import onnx
    except ImportError as error:
        raise SemdaemonError(
            "no_extra",
            f"Reading {path} needs the package onnx.",
            remedy="Install it: pip install 'semdaemon[train]'.",
        ) from error
    graph = onnx.load_model(path).graph
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    convolutions: Weights = []
    linear: Weights = []
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            kept = convolutions if node.op_type == "Conv" else linear
            kept.extend(np.array(arrays[name], np.float32) for name in node.input[1:3])
    return convolutions, linear


@torch.no_grad()
def _unfold(network: SigmaNetwork, convolutions: Weights, linear: Weights, tiles: Tensor) -> None:
    biases: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            source = convolutions if isinstance(module, nn.Conv2d) else linear
            module.weight.copy_(torch.from_numpy(source.pop(0)))
            bias = torch.from_numpy(source.pop(0))
            if module.bias is None:
                biases.append(bias)
            else:
                module.bias.copy_(bias)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [
        norm.register_forward_pre_hook(_neutral_with(bias)) for norm, bias in zip(norms, biases, strict=True)
    ]
    network.eval()(tiles)
    for handle in handles:
        handle.remove()


def _neutral_with(bias: Tensor) -> Any:
    """A hook: the normalisation adds ``bias`` and no more, with what it sees as its statistics."""

    def settle(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), correction=0)
        for mine, value in (
            (norm.running_mean, mean),
            (norm.running_var, variance),
            (norm.weight, torch.sqrt(variance + norm.eps)),
            (norm.bias, mean + bias),
        ):
            assert mine is not None  # noqa: S101 - for the type checker: it is affine and keeps statistics
            mine.copy_(value)

    return settle
