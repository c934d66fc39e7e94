"""A network that learns on a device: a step, the average of its weights, and a look at its losses."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from semdaemon.refocus import networks
from semdaemon.training.device import multiplies_bfloat16
from semdaemon.training.frames import Image
from semdaemon.training.loss import loss
from semdaemon.training.plan import Plan
from semdaemon.training.starting import start_with

_RECENT = 200
_LOOK_EVERY_ON_GPU = 10
"""Reading a loss makes the processor wait for the accelerator, so there it is read now and then."""


class Learner:
    """The network of a plan on a device, with its optimiser and the running average of its weights.

    Attributes
    ----------
    net
        The network as it is trained.
    average
        Its averaged weights by parameter name, which are what is measured and exported.
    start
        Where its weights are from; None from nothing.
    recent
        The last losses that were looked at.

    Raises
    ------
    WeightsError
        What is wrong with the weights to start from.
    """

    def __init__(self, plan: Plan, device: torch.device) -> None:
        self.device = device
        torch.manual_seed(plan.seed)
        net = networks.build_srn(plan.spec) if plan.single_scale else networks.build(plan.spec)
        self.net: nn.Module = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.start = start_with(self.net, plan.start_from, plan.spec) if plan.start_from else None
        self.average = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        on_gpu = device.type == "cuda"
        torch.backends.cudnn.benchmark = on_gpu  # all crops have one size
        self.optimiser = torch.optim.Adam(
            self.net.parameters(), lr=plan.recipe.learning_rate, betas=(0.9, 0.99), fused=on_gpu or None
        )
        self.recent: list[float] = []
        self._recipe = plan.recipe
        self._half = multiplies_bfloat16(device)
        self._unseen: list[Tensor] = []
        self._look_every = _LOOK_EVERY_ON_GPU if on_gpu else 1

    def step(self, seen: Tensor, sharp: Tensor, *, learning_rate: float, iteration: int) -> None:
        """Learn from one batch.

        Parameters
        ----------
        seen, sharp
            (n, 1, h, w) float32 in [0, 1], on any device.
        iteration
            Number of this step, from 1: the average is short at first.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        seen, sharp = self._to_device(seen), self._to_device(sharp)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            outputs = _as_tuple(self.net(seen))
        value = loss(outputs, sharp, self._recipe)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.net.parameters(), self._recipe.clip_norm)
        self.optimiser.step()
        self._update_average(iteration)
        self._unseen.append(value.detach())

    @property
    def look_due(self) -> bool:
        """Whether the losses are to be looked at: at once on a CPU."""
        return len(self._unseen) >= self._look_every

    def look(self) -> bool:
        """Read the losses since the last look into `recent`; false, and none read, where one is no number."""
        values = [float(value) for value in self._unseen]
        self._unseen.clear()
        if not all(map(math.isfinite, values)):
            return False
        self.recent = [*self.recent, *values][-_RECENT:]
        return True

    def average_is_finite(self) -> bool:
        """Whether all averaged weights are numbers."""
        return all(bool(value.isfinite().all()) for value in self.average.values())

    def refocus(self, image: Image) -> Image:
        """Run the averaged weights on one (h, w) image whose sides are multiples of the spec's."""
        current = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.average)
        try:
            with torch.inference_mode():
                y = _as_tuple(self.net(self._to_device(torch.from_numpy(image[None, None].copy()))))[-1]
        finally:
            self.net.load_state_dict(current)
        return np.asarray(y[0, 0].float().cpu().numpy(), np.float32)

    def _to_device(self, images: Tensor) -> Tensor:
        return images.to(self.device, memory_format=torch.channels_last, non_blocking=True)

    @torch.no_grad()
    def _update_average(self, iteration: int) -> None:
        keep = min(self._recipe.ema, (1 + iteration) / (10 + iteration))
        for key, value in self.net.state_dict().items():
            self.average[key].lerp_(value, 1 - keep)


def _as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)
