"""How far a refocused crop is from the sharp one, summed over the scales."""

from __future__ import annotations

import torch
from torch import Tensor

from semdaemon.refocus.networks import MRN
from semdaemon.training.recipe import Recipe

_FLOOR = 4e-3
"""About one grey level of 8 bits: below it a crop is as good as it gets, and stops counting."""


def loss(outputs: tuple[Tensor, ...], sharp: Tensor, recipe: Recipe) -> Tensor:
    """Weighted sum over scales of L1, or of the logarithm of a crop's error, with a share of spectral L1.

    A crop at 10 electrons per pixel has ten times the error of one at 1000, and would have ten times the
    say; under the logarithm every crop's *relative* gain counts the same, as it does in decibels.
    ``log_l1`` takes the logarithm of L1; ``log_rms`` that of the root mean square, which is PSNR itself
    up to a factor.

    Parameters
    ----------
    outputs
        (y4, y2, y1), or (y1,) of a single-scale network.
    sharp
        (n, 1, h, w) in [0, 1].
    """
    targets = MRN.pyramid(sharp)[: len(outputs)][::-1]
    total = sharp.new_zeros(())
    for output, target in zip(outputs, targets, strict=True):
        error = output.float() - target
        per_crop = _size(error, recipe)
        if recipe.frequency_weight:
            spectrum = torch.fft.rfft2(error, norm="ortho")
            spectral = torch.view_as_real(spectrum).abs().mean(dim=(1, 2, 3, 4))
            per_crop = per_crop + recipe.frequency_weight * spectral
        if recipe.loss.startswith("log_"):
            per_crop = torch.log(per_crop + _FLOOR)
        weight = 1.0 if target is targets[-1] else recipe.coarse_weight
        total = total + weight * per_crop.mean()
    return total


def _size(error: Tensor, recipe: Recipe) -> Tensor:
    """How large the error of each crop is, (n, 1, h, w) to (n,)."""
    if recipe.loss == "log_rms":
        return torch.sqrt(error.square().mean(dim=(1, 2, 3)) + 1e-8)
    return error.abs().mean(dim=(1, 2, 3))
