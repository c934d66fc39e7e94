"""The device that a training runs on, and whether it multiplies in bfloat16."""

from __future__ import annotations

import torch

from semdaemon.errors import WorkerError

_FIRST_WITH_BFLOAT16 = 8
"""Major compute capability (Ampere); older GPUs only imitate it, slower than float32."""


def device_of(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; another name has to be one that torch can use.

    Raises
    ------
    WorkerError
        ``device_missing``, or ``out_of_memory`` where other programs have all of its memory.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # the latter from a torch that was built without CUDA
        why = (str(error).splitlines() or [""])[0]
        if "out of memory" in why:
            raise WorkerError(
                "out_of_memory",
                f"Device '{name}' has no memory left: {why}",
                remedy="End what else uses the device, then the same command goes on.",
            ) from error
        raise WorkerError(
            "device_missing",
            f"Device '{name}' was asked for, but torch {torch.__version__} cannot use it here: {why}",
            remedy="Leave --device away, or install the torch build that fits the GPU.",
        ) from error


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions pay: on one core with avx512_bf16 a step took 0.63 of its time."""
    if device.type == "cpu":
        # torch has no public word for it; versions and processors that lack these train in float32
        asked = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
        return any(bool(supported()) for supported in asked if supported is not None)
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= _FIRST_WITH_BFLOAT16
