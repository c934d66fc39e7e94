"""SRN and MRN, as published and in lighter builds of the same family.

Na, Kim, Kang, Kim, Lee, Acta Materialia 214, 116987 (2021).
All tensors are float32 (batch, channel, h, w), images in [0, 1] with one channel.

A frame goes through three scales, coarse to fine; each scale is one SRN, and what it gives is enlarged
and handed to the next beside that scale's own picture:
``y4 = coarse(x4); y2 = mid([up4to2(y4), x2]); y1 = fine([up2to1(y2), x1])``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is built from; kept in the header of its weights and in their card.

    Attributes
    ----------
    filters, blocks, kernel
        Width, number of residual blocks and (odd) kernel side of each SRN.
    unshuffle
        Each SRN folds u x u pixels into channels first and unfolds its output; 1 is as published.
    residual
        The SRN's output is ``x + r`` rather than ``sigmoid(r)``.
    detach
        No gradient crosses from one scale to the next, as published.
    """

    filters: int = 64
    blocks: int = 16
    kernel: int = 5
    unshuffle: int = 1
    residual: bool = False
    detach: bool = True

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0 or min(self.filters, self.blocks, self.kernel, self.unshuffle) < 1:
            raise ValueError(f"no network can be built from {self}")

    @property
    def multiple(self) -> int:
        """Height and width of a frame given to the MRN must be multiples of this.

        Pad at the bottom and the right, mirrored without repeating the edge pixel, and cut afterwards.
        """
        return 4 * self.unshuffle

    @property
    def radius_px(self) -> int:
        """How far one SRN reaches, in pixels of its own scale; a halo of this many makes tiles exact."""
        convolutions = 1 + 2 * self.blocks + 2
        return convolutions * (self.kernel // 2) * self.unshuffle + self.unshuffle - 1

    @property
    def frame_radius_px(self) -> int:
        """How far the whole MRN reaches, in pixels of the frame, and a few more.

        Three SRNs at scales 1, 2 and 4, two enlargements, and the antialiased reductions.
        """
        return (1 + 2 + 4) * self.radius_px + 24

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


PUBLISHED = NetworkSpec()
"""The MRN of the paper: 10,153,939 parameters, 8.9 TFLOP per megapixel."""

MRN_OURS = NetworkSpec(residual=True, detach=False)
"""The same width and depth, but residual (sharp regions come free), the scales trained jointly."""

LIGHT = NetworkSpec(filters=32, blocks=8, kernel=3, unshuffle=2, residual=True, detach=False)
"""The member of the family for PCs without a GPU."""


class _Block(nn.Module):
    """``h + conv(prelu(conv(h)))``."""

    def __init__(self, filters: int, kernel: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(filters, filters, kernel, padding=kernel // 2, bias=False)
        self.act = nn.PReLU(filters, init=0.0)
        self.second = nn.Conv2d(filters, filters, kernel, padding=kernel // 2, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(self.act(self.first(h)))  # type: ignore[no-any-return]


class SRN(nn.Module):
    """Single-scale refocusing network; the frame itself is the last of its ``inputs`` channels."""

    def __init__(self, spec: NetworkSpec, inputs: int = 1) -> None:
        super().__init__()
        self.spec = spec
        folded, half = spec.unshuffle**2, spec.kernel // 2
        self.head = nn.Conv2d(inputs * folded, spec.filters, spec.kernel, padding=half)
        self.act = nn.PReLU(spec.filters, init=0.0)
        self.blocks = nn.Sequential(*(_Block(spec.filters, spec.kernel) for _ in range(spec.blocks)))
        self.tail = nn.Conv2d(spec.filters, spec.filters, spec.kernel, padding=half, bias=False)
        self.out = nn.Conv2d(spec.filters, folded, spec.kernel, padding=half)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, 1, h, w); not clipped where the output is residual."""
        folded = functional.pixel_unshuffle(x, self.spec.unshuffle) if self.spec.unshuffle > 1 else x
        h0 = self.act(self.head(folded))
        r = self.out(self.tail(self.blocks(h0)) + h0)
        if self.spec.unshuffle > 1:
            r = functional.pixel_shuffle(r, self.spec.unshuffle)
        return x[:, -1:] + r if self.spec.residual else torch.sigmoid(r)


class Up2x(nn.Module):
    """Enlarge one channel twofold: conv3(1 -> 4), depth to space, ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, y: Tensor) -> Tensor:
        return functional.relu(functional.pixel_shuffle(self.conv(y), 2))


class MRN(nn.Module):
    """Multi-scale refocusing network: three SRNs that share no weights, coarse to fine."""

    def __init__(self, spec: NetworkSpec = PUBLISHED) -> None:
        super().__init__()
        self.spec = spec
        self.coarse = SRN(spec, 1)
        self.mid = SRN(spec, 2)
        self.fine = SRN(spec, 2)
        self.up4to2 = Up2x()
        self.up2to1 = Up2x()

    @staticmethod
    def pyramid(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(x1, x2, x4)``: the frame and its antialiased bicubic reductions by 2 and by 4."""
        return x, _reduce(x, 2), _reduce(x, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 1, h, w), sides multiples of ``spec.multiple``, to ``(y4, y2, y1)``; y1 is the result."""
        x1, x2, x4 = self.pyramid(x)
        y4 = self.coarse(x4)
        y2 = self.mid(torch.cat([self.up4to2(self._passed(y4)), x2], 1))
        y1 = self.fine(torch.cat([self.up2to1(self._passed(y2)), x1], 1))
        return y4, y2, y1

    def _passed(self, y: Tensor) -> Tensor:
        return y.detach() if self.spec.detach else y


def _reduce(x: Tensor, factor: int) -> Tensor:
    size = (x.shape[-2] // factor, x.shape[-1] // factor)
    return functional.interpolate(x, size=size, mode="bicubic", antialias=True, align_corners=False)


def build(spec: NetworkSpec) -> MRN:
    """An MRN with fresh weights; seed torch first for a reproducible start."""
    net = MRN(spec)
    if spec.residual:
        _start_near_identity(net)
    return net


def build_srn(spec: NetworkSpec) -> SRN:
    """A single-scale network with fresh weights, for one known blur."""
    net = SRN(spec)
    if spec.residual:
        _start_near_identity(net)
    return net


def _start_near_identity(net: nn.Module) -> None:
    """Small residual branches and tails, enlargement by repetition: training starts at ``y = x``.

    Plain Kaiming initialisation of 16 residual blocks multiplies the signal and wastes the first hour.
    """
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    module.bias.zero_()
        for module in net.modules():
            if isinstance(module, _Block):
                module.second.weight.mul_(0.1)
            elif isinstance(module, SRN):
                module.tail.weight.mul_(0.1)
                module.out.weight.mul_(0.05)
            elif isinstance(module, Up2x):
                module.conv.weight.zero_()
                module.conv.weight[:, :, 1, 1] = 1


def fill(net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors into a network, by parameter name.

    Raises
    ------
    ValueError
        They are another network's: how many are missing, unknown or of another shape, with the first of each.
    """
    wanted = {name: value.shape for name, value in net.state_dict().items()}
    kinds = {
        "missing": sorted(wanted.keys() - tensors.keys()),
        "unknown": sorted(tensors.keys() - wanted.keys()),
        "of another shape": sorted(
            n for n in wanted.keys() & tensors.keys() if tensors[n].shape != wanted[n]
        ),
    }
    wrong = [f"{len(names)} are {kind} ('{names[0]}' first)" for kind, names in kinds.items() if names]
    if wrong:
        raise ValueError(f"of {len(wanted)} tensors {', '.join(wrong)}")
    net.load_state_dict(tensors)


def parameters_of(net: nn.Module) -> int:
    """How many numbers the network has learned."""
    return sum(p.numel() for p in net.parameters())
