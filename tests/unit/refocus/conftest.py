"""A small network with random weights, saved and loaded the way shipped ones are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from semdaemon.refocus.networks import NetworkSpec, build
from semdaemon.refocus.weights import WeightsCard, load_card


@pytest.fixture(scope="session")
def small_card(tmp_path_factory: pytest.TempPathFactory) -> WeightsCard:
    folder: Path = tmp_path_factory.mktemp("weights")
    torch.manual_seed(7)
    spec = NetworkSpec(filters=6, blocks=2, kernel=3, unshuffle=2, residual=True, detach=False)
    net = build(spec)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    content = save({name: value.contiguous() for name, value in net.state_dict().items()})
    (folder / "small.safetensors").write_bytes(content)
    card = {
        "name": "small",
        "sha256": hashlib.sha256(content).hexdigest(),
        "spec": spec.as_dict(),
        "sigma_max_px": 4.0,
    }
    (folder / "small.json").write_text(json.dumps(card), encoding="utf-8")
    return load_card(folder / "small.safetensors")
