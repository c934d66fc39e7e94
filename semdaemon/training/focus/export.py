"""From a checkpoint to what is shipped: ``sigma.onnx`` and its card, calibrated on validation frames."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semdaemon.training import checkpoint, degrade
from semdaemon.training.corpus import Corpus
from semdaemon.training.export import commit_here
from semdaemon.training.focus import evaluation
from semdaemon.training.focus.card import levels, sources, write_card
from semdaemon.training.focus.examples import draw_batch
from semdaemon.training.focus.network import (
    SIGMA_IN_FOCUS_PX,
    TILE_PX,
    SigmaNetwork,
    bin_edges_px,
    soft_labels,
)
from semdaemon.training.focus.recipe import Recipe
from semdaemon.training.focus.trainer import averaged, logits_of
from semdaemon.training.reading import load_corpus

_CALIBRATION_RADII_PX = (0.0, 0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0)
_CALIBRATION_DOSES = (5.0, 20.0, 100.0, 1000.0)
_PRIOR_BATCHES = 200


def export(run: Path, data: Path, model: Path) -> dict[str, Any]:
    """Write ``model`` (.onnx) and the card beside it; gives the card.

    Parameters
    ----------
    run
        Folder of the training, with its checkpoint.
    data
        The folder it was trained on; the temperature is fitted on its validation groups.
    """
    path = run / checkpoint.NAME
    header = checkpoint.read_header(path)
    network = averaged(checkpoint.read_average(path))
    content = as_onnx(network)
    corpus = load_corpus(data, validation_fraction=header["validation_fraction"], seed=header["seed"])
    card = {
        "name": "sigma",
        "what": "equivalent Gaussian blur of a tile of an SEM frame, in pixels, as a distribution over bins",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "parameters": sum(p.numel() for p in network.parameters()),
        "tile_px": TILE_PX,
        "sigma_in_focus_px": SIGMA_IN_FOCUS_PX,
        "label": "sqrt(sigma_in_focus_px^2 + (R/2)^2) for a disc of radius R pixels",
        "levels_px": levels(bin_edges_px()),
        "prior": prior_of(corpus, Recipe(**header["recipe"])),
        "temperature": round(fit_temperature(network, corpus.validation), 3),
        "training": {
            "command": "python -m semdaemon.training.focus train --data TRAIN --out RUN"
            + (" --from MODEL" if header["started_from"] else ""),
            "seed": header["seed"],
            "commit": commit_here(),
            "validation_fraction": header["validation_fraction"],
            "iterations": header["progress"]["iteration"],
            "minutes_on_one_core": round(header["progress"]["elapsed_s"] / 60, 1),
            "started_from": header["started_from"],
            "learning_rate": header["learning_rate"],
            "weight_decay": header["weight_decay"],
            "recipe": header["recipe"],
            "frames": len(corpus.train),
            "validation_groups": sorted({frame.group for frame in corpus.validation}),
        },
        "data": sources(data),
    }
    model.write_bytes(content)
    write_card(model, card)
    return card


def prior_of(corpus: Corpus, recipe: Recipe, *, seed: int = 4) -> list[float]:
    """Share of each bin of blur among a recipe's examples."""
    rng = np.random.default_rng(seed)
    only_labels = replace(recipe, tile_sides_px=(1,), tile_side_shares=(1.0,))
    blur = np.concatenate([draw_batch(corpus, only_labels, rng)[1] for _ in range(_PRIOR_BATCHES)])
    shares = soft_labels(torch.from_numpy(blur)).mean(dim=0)
    return [round(float(share), 6) for share in shares]


def as_onnx(network: SigmaNetwork) -> bytes:
    """The network with its normalisations folded; free in number and size of tiles."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter that needs no further package is the one torch calls legacy, and it says so each time.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(2, 1, TILE_PX, TILE_PX),),
            buffer,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=17,
            input_names=["tiles"],
            output_names=["logits"],
            dynamic_axes={"tiles": {0: "n", 2: "h", 3: "w"}, "logits": {0: "n"}},
        )
    return buffer.getvalue()


def fit_temperature(network: SigmaNetwork, frames: Any, *, seed: int = 2) -> float:
    """The divisor of the logits that makes validation tiles most likely."""
    tiles = evaluation.degraded_tiles(
        frames, radii_px=_CALIBRATION_RADII_PX, doses=_CALIBRATION_DOSES, tiles_per_frame=5, seed=seed
    )
    sigma_px = [degrade.equivalent_sigma_px(r, SIGMA_IN_FOCUS_PX) for r in tiles.radius_px]
    labels = soft_labels(torch.tensor(sigma_px, dtype=torch.float32))
    logits = logits_of(network, tiles.pixels)

    def loss(temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits / temperature, labels))

    candidates = np.geomspace(0.5, 4.0, 85)
    return float(min(candidates, key=loss))
