"""The README of a model package: how to use the model elsewhere, and the model card."""

from __future__ import annotations

from semdaemon.refocus.networks import NetworkSpec
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training import model_card
from semdaemon.training.bioimage.description import MAX_PERCENTILE, MIN_PERCENTILE, halo_px, least_px
from semdaemon.training.bioimage.example import ELECTRONS_PER_PX, RADIUS_PX


def readme(card: WeightsCard, spec: NetworkSpec) -> str:
    """Markdown: use, validation, and the card with sources, licences, degradations and limits."""
    least, halo = least_px(card, spec), halo_px(card, spec)
    return f"""# SEM refocusing `{card.name}`

The network of [Na et al. 2021](https://doi.org/10.1016/j.actamat.2021.116987), as semdaemon builds it.
Written by `semdaemon export`; the weights are `{card.name}.safetensors`, sha256 `{card.sha256}`,
and the ONNX and TorchScript files hold the same numbers in single precision.

## How to use it

- **Input**: one grey channel, axes batch, channel, y, x, sides from {least} px in steps of {spec.multiple}.
  Leave the data bar out.
- **Intensity**: percentiles {MIN_PERCENTILE:g} and {MAX_PERCENTILE:g} of the **whole frame** become 0 and 1.
  A program that cuts a frame into blocks must not take them of each block.
- **Output**: the same shape, on that scale; times the range, plus the low level, it is grey levels again.
- **Blocks**: overlap them by {halo} px on each side (the halo), and cut that off.
- **Strong blur**: above an equivalent Gaussian blur of {card.sigma_max_px:g} px bin the frame 2x or 4x first,
  and enlarge the result.
- **Sharp regions**: leave them as they are.
  semdaemon scores focus tile by tile and refocuses blurred regions alone.
  It rejects what, blurred again, does not explain the frame; none of this is in the network.
- **Label it**: what comes out is a network's output, and whoever sees it must be told.

## Validation

`test_input.npy` is a simulated scene (`semdaemon.simulate`, particles) behind a disc of {RADIUS_PX:g} px at
{ELECTRONS_PER_PX:g} electrons per pixel, 8 bits; `test_output.npy` is what the network must give for it.
To measure the weights on frames of your own: `semdaemon evaluate --weights FILE.safetensors --data DIR`
degrades sharp frames by known amounts and compares with the truth and with classical deconvolution
(PSNR, SSIM, the worst frame); `semdaemon compare` sets two weights side by side.

{model_card.page(card)}"""
