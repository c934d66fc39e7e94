"""A network as files that run without semdaemon: ONNX and TorchScript."""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from semdaemon.refocus.engine import load_network
from semdaemon.refocus.networks import MRN
from semdaemon.refocus.weights import WeightsCard, load_card

OPSET = 17

_CUBIC_A = -0.5
"""Free parameter of the cubic kernel (Keys 1981), as antialiased resizing of torch and Pillow has it."""


class Reduction(nn.Module):
    """Antialiased bicubic reduction as strided separable convolution: what exchange formats can express.

    Equal to ``interpolate(mode="bicubic", antialias=True)`` for sides that are multiples of the factor:
    the kernel is stretched by the factor, every output pixel has the same 4 x factor taps,
    and at the border the taps inside the picture are scaled to sum 1.
    """

    taps: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("taps", _taps(factor))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, h, w) to (n, 1, h / factor, w / factor)."""
        return self._convolved(x) / self._convolved(torch.ones_like(x))

    def _convolved(self, x: Tensor) -> Tensor:
        beyond, step = 3 * self.factor // 2, self.factor
        across = functional.conv2d(x, self.taps.view(1, 1, 1, -1), stride=(1, step), padding=(0, beyond))
        return functional.conv2d(across, self.taps.view(1, 1, -1, 1), stride=(step, 1), padding=(beyond, 0))


class Portable(nn.Module):
    """The whole network, one picture in and one out: what `MRN` gives as ``y1``."""

    def __init__(self, net: MRN) -> None:
        super().__init__()
        self.net = net
        self.by2, self.by4 = Reduction(2), Reduction(4)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, h, w) in [0, 1], sides multiples of ``spec.multiple``, to the same shape."""
        y4 = self.net.coarse(self.by4(x))
        y2 = self.net.mid(torch.cat([self.net.up4to2(y4), self.by2(x)], 1))
        return self.net.fine(torch.cat([self.net.up2to1(y2), x], 1))  # type: ignore[no-any-return]


def portable(card: WeightsCard) -> Portable:
    """The network of a card, ready to be written; raises what `load_network` raises."""
    return Portable(load_network(card)).eval().requires_grad_(False)


def as_onnx(network: Portable) -> bytes:
    """The network as ONNX, free in number and size of pictures."""
    buffer = io.BytesIO()
    names = {0: "batch", 2: "y", 3: "x"}
    with warnings.catch_warnings():
        # The exporter that needs no further package is the one torch calls legacy, and it says so each time.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (_example(network),),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": names, "output": names},
        )
    return buffer.getvalue()


def as_torchscript(card: WeightsCard) -> bytes:
    """The network as TorchScript, the same bytes each time.

    Traced in a process of its own: torch numbers what it traces, so a second trace in one process differs.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_traced, card.path).result()


def _traced(weights: Path) -> bytes:
    network = portable(load_card(weights))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch.jit is in maintenance; deepImageJ and ilastik read what it writes, and nothing newer.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, _example(network), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def _example(network: Portable) -> Tensor:
    side = 8 * network.net.spec.multiple
    return torch.zeros(1, 1, side, side)


def _taps(factor: int) -> Tensor:
    """(4 factor,) weights of the stretched cubic kernel at the pixel centres, sum 1."""
    distance = np.abs((np.arange(4 * factor) - 2 * factor + 0.5) / factor)
    a = _CUBIC_A
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    weights = np.where(distance < 1, near, far)
    return torch.tensor(weights / weights.sum(), dtype=torch.float32)
