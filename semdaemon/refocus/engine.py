"""Runs a network over a frame, scale by scale and tile by tile, exactly as over the whole frame at once.

Coarse and middle scale run first, each tiled with its own halo; the finest scale, three quarters of the work,
runs only where it is wanted.
The halo is the theoretical reach of one SRN, so every tile equals the same pixels of a full-frame run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from semdaemon.errors import WeightsError, WorkerError
from semdaemon.frame import FloatImage, Mask
from semdaemon.refocus.networks import MRN, SRN, NetworkSpec, fill
from semdaemon.refocus.weights import WeightsCard, read_tensors

# Enlarging by Up2x looks one pixel of the coarser scale around itself.
_UP_REACH_PX = 2


class Engine(Protocol):
    """Restores a picture; plug point ``semdaemon.engines``.

    An engine is made in the worker process, once, from a `WeightsCard`, a device name, and a tile size.
    `refocus` is called from one thread; it may raise `WorkerError` or `MemoryError`, which concern one frame.
    It is held to the answer that its weights' card stores for the test picture (`semdaemon.refocus.probe`).

    An engine may have more, and is then served better:

    - ``tile_px``: set to less where memory runs out.
    - ``watch``: set to a callable ``(done, total)`` that it calls for each tile.
      An engine that has it and stays silent for ``worker.silence_s`` is taken for hung;
      one that has none is given ``worker.timeout_s``.
    """

    device: str

    def refocus(self, unit: FloatImage, wanted: Mask | None = None) -> FloatImage:
        """Refocused picture.

        Parameters
        ----------
        unit
            (h, w) float32, 0 to 1 over the frame's own intensity range (a few pixels may lie beyond).
        wanted
            (h, w) bool: where the result is used; elsewhere it is undefined. None is everywhere.
        """
        ...


def choose_device(name: str) -> str:
    """``auto`` to the best of cuda, mps, cpu; another name is checked.

    Raises
    ------
    WorkerError
        ``device_missing`` where the named device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there.get(name, False):
        raise WorkerError(
            "device_missing",
            f"Device '{name}' was asked for, but torch {torch.__version__} finds none on this machine.",
            remedy='Use the device "auto" (worker.device, --device), or install the torch build for the GPU.',
        )
    return name


class TorchEngine:
    """The built-in engine: torch on CPU, CUDA or MPS."""

    def __init__(
        self, card: WeightsCard, device: str = "auto", *, tile_px: int = 512, threads: int = 0
    ) -> None:
        self.device = choose_device(device)
        self.card = card
        self.tile_px = tile_px
        self.watch: Callable[[int, int], None] = _nobody
        self._done = self._total = 0
        if self.device == "cpu":
            torch.set_num_threads(threads or max(1, (os.cpu_count() or 2) - 1))
        if self.device == "cuda":
            torch.backends.cudnn.benchmark = True
        self.net = load_network(card).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def refocus(self, unit: FloatImage, wanted: Mask | None = None) -> FloatImage:
        height, width = unit.shape
        asked = np.ones(unit.shape, bool) if wanted is None else wanted
        multiple = self.net.spec.multiple
        pads = ((0, -height % multiple), (0, -width % multiple))
        mode: Literal["reflect", "edge"] = "reflect" if min(height, width) > multiple else "edge"
        padded = np.pad(unit, pads, mode=mode)
        with torch.inference_mode():
            y1 = self._run(padded, np.pad(asked, pads, mode="edge"))
        return y1[:height, :width]

    def _run(self, unit: FloatImage, wanted1: Mask) -> FloatImage:
        net, spec = self.net, self.net.spec
        wanted2 = _needed_below(wanted1, spec)
        wanted4 = _needed_below(wanted2, spec)
        boxes = [self._boxes(wanted) for wanted in (wanted4, wanted2, wanted1)]
        self._done, self._total = 0, sum(map(len, boxes))
        x = torch.from_numpy(np.ascontiguousarray(unit))[None, None].to(self.device)
        x1, x2, x4 = net.pyramid(x)
        y4 = self._tiled(net.coarse, x4, boxes[0])
        y2 = self._tiled(net.mid, torch.cat([net.up4to2(y4), x2], 1), boxes[1])
        y1 = self._tiled(net.fine, torch.cat([net.up2to1(y2), x1], 1), boxes[2])
        return y1[0, 0].cpu().numpy()

    def _boxes(self, wanted: Mask) -> list[tuple[int, int, int, int]]:
        """(top, bottom, left, right) of each tile that holds wanted pixels, cut down to them."""
        fold = self.net.spec.unshuffle
        tile = max(fold, self.tile_px // fold * fold)
        found = []
        for top, bottom in spans(wanted.shape[0], tile):
            for left, right in spans(wanted.shape[1], tile):
                box = _bounds(wanted[top:bottom, left:right], fold)
                if box is not None:
                    found.append((top + box[0], top + box[1], left + box[2], left + box[3]))
        return found

    def _tiled(self, srn: nn.Module, x: Tensor, boxes: list[tuple[int, int, int, int]]) -> Tensor:
        """One SRN over the tiles of its own scale; (1, c, h, w) to (1, 1, h, w), zero elsewhere."""
        fold = self.net.spec.unshuffle
        halo = -(-self.net.spec.radius_px // fold) * fold
        height, width = x.shape[-2:]
        out = torch.zeros((1, 1, height, width), dtype=torch.float32, device=x.device)
        for t, b, lft, r in boxes:
            t0, b0 = max(0, t - halo), min(height, b + halo)
            l0, r0 = max(0, lft - halo), min(width, r + halo)
            crop = x[..., t0:b0, l0:r0].contiguous(memory_format=torch.channels_last)
            y = srn(crop)
            out[..., t:b, lft:r] = y[..., t - t0 : b - t0, lft - l0 : r - l0]
            self._done += 1
            self.watch(self._done, self._total)
        return out


def _nobody(_done: int, _total: int) -> None:
    """Nobody watches."""


def spans(length: int, step: int) -> list[tuple[int, int]]:
    """``[0, length)`` cut into pieces of ``step``; the last takes what is left."""
    return [(start, min(length, start + step)) for start in range(0, length, step)]


def _bounds(wanted: Mask, fold: int) -> tuple[int, int, int, int] | None:
    """Smallest box around the wanted pixels, on the grid of ``fold``: (top, bottom, left, right)."""
    rows, columns = np.flatnonzero(wanted.any(1)), np.flatnonzero(wanted.any(0))
    if not rows.size:
        return None
    height, width = wanted.shape
    return (
        int(rows[0]) // fold * fold,
        min(height, (int(rows[-1]) // fold + 1) * fold),
        int(columns[0]) // fold * fold,
        min(width, (int(columns[-1]) // fold + 1) * fold),
    )


def _needed_below(wanted: Mask, spec: NetworkSpec) -> Mask:
    """Where the next coarser scale is needed so that the ``wanted`` pixels come out exact."""
    if wanted.all():
        return np.ones((wanted.shape[0] // 2, wanted.shape[1] // 2), bool)
    reach = spec.radius_px + 2 * _UP_REACH_PX
    wide = ndimage.maximum_filter(wanted.view(np.uint8), size=2 * reach + 1, mode="constant")
    return np.asarray(wide.reshape(wide.shape[0] // 2, 2, -1, 2).max(axis=(1, 3)) > 0)


def spec_of(card: WeightsCard) -> NetworkSpec:
    """The architecture that a card names; raises as `spec_from`."""
    return spec_from(card.spec, f"The card of '{card.name}'")


def spec_from(fields: Mapping[str, Any], where: str) -> NetworkSpec:
    """The architecture that the fields of a card or checkpoint describe; ``where`` they stand is told.

    Raises
    ------
    WeightsError
        ``weights_unknown_architecture`` where it cannot be built by this version.
    """
    try:
        return NetworkSpec(**fields)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            "weights_unknown_architecture",
            f"{where} names a network that cannot be built here ({dict(fields)}): {error}",
            remedy="Use the version of semdaemon that trained these weights, or train them anew.",
        ) from error


def load_network(card: WeightsCard) -> MRN:
    """The network of a card, with its weights, ready to run.

    Raises
    ------
    WeightsError
        ``weights_unknown_architecture`` where the card names a network that cannot be built here,
        ``weights_mismatch`` where the tensors do not fit the architecture that the card names.
    """
    net = MRN(spec_of(card))
    tensors = {
        name: torch.from_numpy(np.array(value, np.float32)) for name, value in read_tensors(card).items()
    }
    try:
        fill(net, tensors)
    except ValueError as error:
        raise WeightsError(
            "weights_mismatch",
            f"Weights '{card.name}' do not fit the network their card names ({card.spec}): {error}",
            remedy="Use the weights with the card that was written beside them.",
        ) from error
    return net.eval().requires_grad_(False)


__all__ = ["SRN", "Engine", "TorchEngine", "choose_device", "load_network", "spec_from", "spec_of"]
