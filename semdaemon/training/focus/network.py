"""The learned blur estimator: a tile in, a distribution over ``ln sigma`` out.

A distribution over bins, not one number with an error bar: a faint tile is often either sharp or badly
blurred, and a verdict needs the probability of each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

LOWEST_SIGMA_PX = 0.5
HIGHEST_SIGMA_PX = 16.0
BINS = 36
TILE_PX = 128

SIGMA_IN_FOCUS_PX = 0.6
"""Equivalent blur assigned to a frame that is as sharp as its pixels: about a pixel's own aperture and
the probe of a well-focused instrument; frames that are sharp score near it."""

_LABEL_SD = 0.08
"""Labels are blurred by this much in ln sigma: the in-focus blur of real frames is not known better."""


def bin_edges_px() -> npt.NDArray[np.float32]:
    """(BINS + 1,) blurs in pixels between which the bins lie, evenly spaced in their logarithm."""
    return np.geomspace(LOWEST_SIGMA_PX, HIGHEST_SIGMA_PX, BINS + 1).astype(np.float32)


def soft_labels(sigma_px: Tensor) -> Tensor:
    """(n,) blur in pixels to (n, BINS) probability of each bin."""
    edges = torch.linspace(np.log(LOWEST_SIGMA_PX), np.log(HIGHEST_SIGMA_PX), BINS + 1)
    below: Tensor = torch.special.ndtr((edges[None, :] - sigma_px.log()[:, None]) / _LABEL_SD)
    below[:, 0], below[:, -1] = 0.0, 1.0
    return below.diff(dim=1)


class SigmaNetwork(nn.Module):
    """Strided convolutions and pooled energies; 2.8 thousand multiply-adds per pixel of the tile.

    The tile is standardised inside, so gain and offset do not matter.
    Energies (log mean square) are taken at every scale: blur is a statement about which scales hold power.
    Attention lets the few edges of an empty tile speak for it.
    """

    heads = 4

    def __init__(self, widths: tuple[int, int, int, int] = (16, 24, 48, 56), hidden: int = 96) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.stem = _down(1, half, 5)
        self.quarter = nn.Sequential(_down(half, quarter), _Residual(quarter))
        self.eighth = nn.Sequential(_down(quarter, eighth), _Residual(eighth), _Residual(eighth))
        self.sixteenth = nn.Sequential(_down(eighth, sixteenth), _Residual(sixteenth))
        self.look = nn.Conv2d(sixteenth, self.heads, 1)
        features = sum(widths) + (1 + self.heads) * sixteenth
        self.hidden = nn.Linear(features, hidden)
        self.out = nn.Linear(hidden, BINS)

    def forward(self, tiles: Tensor) -> Tensor:
        """Tiles (n, 1, h, w) float32 in any grey levels to logits (n, BINS)."""
        centred = tiles - tiles.mean(dim=(2, 3), keepdim=True)
        power = (centred * centred).mean(dim=(2, 3), keepdim=True)
        x = centred / torch.sqrt(power + 1e-12)
        energies = []
        for stage in (self.stem, self.quarter, self.eighth, self.sixteenth):
            x = stage(x)
            energies.append(torch.log((x * x).mean(dim=(2, 3)) + 1e-4))
        flat = x.flatten(2)
        weights = torch.softmax(self.look(x).flatten(2), dim=2)
        looked = torch.matmul(weights, flat.transpose(1, 2)).flatten(1)
        pooled = torch.cat([*energies, flat.mean(dim=2), looked], dim=1)
        logits: Tensor = self.out(torch.relu(self.hidden(pooled)))
        return logits


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(x + self.second_norm(self.second(inner)))


def _down(before: int, after: int, side: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, side, stride=2, padding=side // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())
