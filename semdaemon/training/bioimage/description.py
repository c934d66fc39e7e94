"""What ``bioimageio.yaml`` says of exported weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch

from semdaemon import __version__
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.bioimage.portable import OPSET

MIN_PERCENTILE, MAX_PERCENTILE = 0.1, 99.9
"""Grey levels at 0 and 1 of the network's input, as in `semdaemon.frame.intensity_range`."""

_TIMESTAMP = "1980-01-01T00:00:00+00:00"
"""The zero of zip's clock: a description of the same weights does not change with the hour of its writing."""

_LEAST_CORE_PX = 64
_CITATION = {
    "text": (
        "Na, Kim, Kang, Kim, Lee: Deep Learning-based Discriminative Refocusing of Scanning Electron "
        "Microscopy Images for Materials Science. Acta Materialia 214, 116987 (2021)."
    ),
    "doi": "10.1016/j.actamat.2021.116987",
}


def halo_px(card: WeightsCard, spec: NetworkSpec) -> int:
    """Border of a block that depends on what lies beyond it, a multiple of ``spec.multiple``.

    By the card's measured reach of one SRN, where it has one (below 0.1 % of the range), else by theory;
    three SRNs at scales 1, 2 and 4 add up, as in `NetworkSpec.frame_radius_px`.
    """
    one = card.halo_px.get("effective_0.001", spec.radius_px)
    whole = min(spec.frame_radius_px, 7 * math.ceil(one) + 24)
    return _up(whole, spec.multiple)


def least_px(card: WeightsCard, spec: NetworkSpec) -> int:
    """Smallest side that leaves something between two halos, a multiple of ``spec.multiple``."""
    return 2 * halo_px(card, spec) + _up(_LEAST_CORE_PX, spec.multiple)


def description(card: WeightsCard, spec: NetworkSpec, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The model description as plain values; ``files`` are the package's, by the names used here."""

    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": hashlib.sha256(files[name]).hexdigest()}

    return {
        "type": "model",
        "format_version": "0.5.14",
        "name": f"SEM refocusing {card.name}",
        "description": (
            "Restores defocused regions of scanning electron micrographs: a multi-scale refocusing network "
            f"for an equivalent Gaussian blur up to {card.sigma_max_px:g} px. What it gives is a network's "
            "output and must be labelled so. Made for semdaemon, which audits every region."
        ),
        "version": __version__,
        "timestamp": _TIMESTAMP,
        "license": "BSD-3-Clause",
        "authors": [{"name": "The semdaemon developers"}],
        "cite": [_CITATION],
        "tags": _tags(card),
        "documentation": file("README.md"),
        "covers": [file("cover.png")],
        "attachments": [file(f"{card.name}.safetensors"), file(f"{card.name}.json")],
        "inputs": [_input(card, spec, file)],
        "outputs": [_output(card, spec, file)],
        "weights": {
            "torchscript": {**file(f"{card.name}.pt"), "pytorch_version": torch.__version__.split("+")[0]},
            "onnx": {**file(f"{card.name}.onnx"), "opset_version": OPSET, "parent": "torchscript"},
        },
        "config": {"semdaemon": {"weights_sha256": card.sha256, "sigma_max_px": card.sigma_max_px}},
    }


def _tags(card: WeightsCard) -> list[str]:
    told = ["scanning electron microscopy", "SEM", "electron microscopy", "materials science", "2d"]
    return [
        *told,
        "deblurring",
        "refocusing",
        "image restoration",
        "denoising",
        "pytorch",
        card.network or "mrn",
    ]


def _input(card: WeightsCard, spec: NetworkSpec, file: Any) -> dict[str, Any]:
    size = {"min": least_px(card, spec), "step": spec.multiple}
    # Without a unit, an axis is counted in pixels: the network knows no other length.
    axes = [{"type": "space", "id": axis, "size": size, "concatenable": True} for axis in "yx"]
    percentiles = {"axes": ["y", "x"], "min_percentile": MIN_PERCENTILE, "max_percentile": MAX_PERCENTILE}
    return {
        "id": "input",
        "description": "Grey levels of the micrograph without data bar; any range.",
        "axes": [{"type": "batch"}, _channel("intensity"), *axes],
        "data": {"type": "float32"},
        "preprocessing": [{"id": "scale_range", "kwargs": percentiles}],
        "test_tensor": file("test_input.npy"),
        "sample_tensor": file("sample_input.png"),
    }


def _output(card: WeightsCard, spec: NetworkSpec, file: Any) -> dict[str, Any]:
    halo = halo_px(card, spec)
    axes = [
        {"type": "space", "id": axis, "size": {"tensor_id": "input", "axis_id": axis}, "halo": halo}
        for axis in "yx"
    ]
    return {
        "id": "output",
        "description": "Refocused by a network; 0 and 1 are the input's 0.1 and 99.9 percentiles.",
        "axes": [{"type": "batch"}, _channel("refocused"), *axes],
        "data": {"type": "float32"},
        "test_tensor": file("test_output.npy"),
        "sample_tensor": file("sample_output.tif"),
    }


def _channel(name: str) -> dict[str, Any]:
    return {"type": "channel", "channel_names": [name]}


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
