"""Weights that can be asked more than the engine asks: every scale's answer, blinded scales, gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from semdaemon.refocus.allocator import keep_big_blocks
from semdaemon.refocus.engine import choose_device, load_network
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.evaluation.classical import Degraded
from semdaemon.training.evaluation.scenes import Scene, degrade_scene

Image = npt.NDArray[np.float32]
Blinded = Literal["coarse", "middle"]


@dataclass(frozen=True)
class Answers:
    """What each scale says, all at the size of the frame, (h, w) float32.

    The answers of the coarse and the middle scale are enlarged bicubically, which is linear: the result is
    exactly the coarse answer, plus what the middle scale adds to it, plus what the fine scale adds to that.

    Attributes
    ----------
    coarse, middle, fine
        ``y4``, ``y2`` and ``y1``; the last is the network's result.
    """

    coarse: Image
    middle: Image
    fine: Image


class Restores(Protocol):
    """What most questions need: pictures in, pictures out."""

    @property
    def spec(self) -> NetworkSpec: ...

    def restore(self, unit: Image) -> Image:
        """(h, w) float32, sides multiples of ``spec.multiple``, to the same shape."""
        ...


class Network:
    """The network of a card, on one thread or on a GPU.

    Pictures are (h, w) float32 in [0, 1], their sides multiples of ``spec.multiple`` (see `fitting`).
    """

    def __init__(self, card: WeightsCard, device: str = "cpu") -> None:
        keep_big_blocks()
        self.device = choose_device(device)
        if self.device == "cpu":
            torch.set_num_threads(1)
        self.net = load_network(card).to(self.device)

    @property
    def spec(self) -> NetworkSpec:
        return self.net.spec

    def restore(self, unit: Image) -> Image:
        """The network's result."""
        return self.answers(unit).fine

    def answers(self, unit: Image) -> Answers:
        """What each scale says."""
        with torch.inference_mode():
            y4, y2, y1 = self._scales(self._tensor(unit))
            return Answers(_array(_enlarge(y4, 4)), _array(_enlarge(y2, 2)), _array(y1))

    def blinded(self, unit: Image, scale: Blinded) -> Image:
        """The result where one scale's answer is replaced by a plain enlargement of what that scale saw.

        Parameters
        ----------
        scale
            ``middle``: the fine scale hears only the reduced frame; ``coarse``: the middle scale does.
        """
        with torch.inference_mode():
            x1, x2, x4 = self.net.pyramid(self._tensor(unit))
            if scale == "middle":
                hint = _enlarge(x2, 2)
            else:
                hint = self.net.up2to1(self.net.mid(torch.cat([_enlarge(x4, 2), x2], 1)))
            return _array(self.net.fine(torch.cat([hint, x1], 1)))

    def gradient(self, unit: Image, row: int, column: int) -> Image:
        """How one pixel of the result hangs on every pixel of the input, (h, w)."""
        x = self._tensor(unit).requires_grad_(True)
        self._scales(x)[2][0, 0, row, column].backward()  # type: ignore[no-untyped-call]
        if x.grad is None:
            raise RuntimeError("the network's result does not depend on its input")
        return _array(x.grad)

    def _scales(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Not the network's own forward: where it was trained scale by scale, that cuts gradients off.
        net = self.net
        x1, x2, x4 = net.pyramid(x)
        y4 = net.coarse(x4)
        y2 = net.mid(torch.cat([net.up4to2(y4), x2], 1))
        return y4, y2, net.fine(torch.cat([net.up2to1(y2), x1], 1))

    def _tensor(self, unit: Image) -> Tensor:
        return torch.from_numpy(np.array(unit, np.float32))[None, None].to(self.device)


def degraded(
    scene: Scene, radius_px: float, dose: float, spec: NetworkSpec, *, crop_px: int, seed: int
) -> Degraded:
    """`degrade_scene`, cut to sides that the network takes."""
    case = degrade_scene(scene, radius_px, dose, crop_px=crop_px, seed=seed)
    return Degraded(fitting(case.seen, spec), fitting(case.sharp, spec), case.kernel)


def fitting(picture: Image, spec: NetworkSpec) -> Image:
    """As much of a picture as the network takes whole."""
    height, width = (side // spec.multiple * spec.multiple for side in picture.shape)
    return picture[:height, :width]


def _enlarge(y: Tensor, factor: int) -> Tensor:
    while factor > 1:
        y = functional.interpolate(y, scale_factor=2, mode="bicubic", align_corners=False)
        factor //= 2
    return y


def _array(tensor: Tensor) -> Image:
    return np.asarray(tensor.detach()[0, 0].cpu().numpy(), np.float32)
