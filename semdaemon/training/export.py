"""From a training's checkpoint to weights and a model card that can be shipped.

``python -m semdaemon.training.export average.safetensors mrn.safetensors --network mrn --data DIR`` does it
for what a bare training machine has left behind.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save

from semdaemon.refocus import probe
from semdaemon.refocus.engine import TorchEngine
from semdaemon.refocus.networks import MRN, NetworkSpec
from semdaemon.refocus.weights import WeightsCard, load_card
from semdaemon.training import checkpoint
from semdaemon.training.listing import INDEX_ENCODING
from semdaemon.training.reading import load_frames

_LEVELS = (1e-2, 1e-3, 1e-4)


def export(
    source: Path, target: Path, *, network: str, data: Path | None, interim: bool = False
) -> dict[str, Any]:
    """Write a checkpoint's averaged weights as half precision safetensors, with a card beside them.

    Half precision halves the file.
    It changed 24 validation crops of `light` by 0.14 grey levels of 8 bits at worst and 0.01 in the mean
    (root mean square); ``tests/unit/training/test_tuning.py`` holds a bound of a quarter.

    Parameters
    ----------
    source
        ``checkpoint.safetensors`` of a training.
    target
        The ``.safetensors`` file to write; the card gets the same name with ``.json``.
    network
        Name of the architecture for the card.
    data
        The folder trained on, for sources, licences and pixel statistics; None for simulated scenes.
    interim
        The training is still under way.

    Returns
    -------
    The card, as written.
    """
    header, average = checkpoint.read_header(source), checkpoint.read_average(source)
    half = {key: value.to(torch.float16).contiguous() for key, value in average.items()}
    content = save(half, metadata={"spec": json.dumps(header["spec"]), "network": network})
    card: dict[str, Any] = {
        "name": target.stem,
        "sha256": hashlib.sha256(content).hexdigest(),
        "spec": header["spec"],
        "network": network,
        "parameters": sum(value.numel() for value in average.values()),
        "iterations": header["progress"]["iteration"],
        "minutes": round(header["progress"]["elapsed_s"] / 60, 1),
        "seed": header["seed"],
        "commit": commit_here(),
        "interim": interim,
        "sigma_max_px": header["recipe"]["radius_px"][1] / 2,
        "trained_on": sources(data, header["train_frames"]),
        "degradations": header["recipe"],
        "pixel_statistics": header.get("pixel_statistics") or pixel_statistics(data, header["train_frames"]),
        "halo_px": {"theoretical": NetworkSpec(**header["spec"]).radius_px},
    }
    if header.get("started_from"):
        card["started_from"] = header["started_from"]
    if not header.get("single_scale"):
        card["halo_px"] |= _halo(header, half)
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, content)
    write_card(target, card)
    if not header.get("single_scale"):  # one scale alone is an experiment, nothing that the daemon runs
        card["probe"] = probe_answer(load_card(target))
        write_card(target, card)
    return card


def probe_answer(card: WeightsCard) -> dict[str, Any]:
    """The card's key ``probe``: what these weights make of the test picture, in float32 on a CPU."""
    return probe.answer_of(TorchEngine(card, "cpu", threads=1), card.sigma_max_px)


def write_card(weights: Path, card: dict[str, Any]) -> None:
    """Write or replace the card of a weights file."""
    _replace(weights.with_suffix(".json"), (json.dumps(card, indent=1) + "\n").encode())


def sources(data: Path | None, frames: list[str]) -> list[dict[str, Any]]:
    """Where the training frames came from: source, licence and number of frames, from ``index.csv``."""
    if data is None:
        return [{"source": "semdaemon simulate", "licence": "BSD-3-Clause", "frames": len(frames)}]
    index = data / "index.csv"
    if not index.exists():
        return [{"source": "the user's own frames", "licence": "", "frames": len(frames)}]
    with index.open(newline="", encoding=INDEX_ENCODING) as text:
        rows = {row["file"]: row for row in csv.DictReader(text)}
    known = [rows[name] for name in frames if name in rows]
    counts = Counter(tuple(row.get(key, "") for key in ("source", "licence", "material")) for row in known)
    return [
        {"source": source, "licence": licence, "material": material, "frames": n}
        for (source, licence, material), n in sorted(counts.items())
    ]


def pixel_statistics(data: Path | None, frames: list[str]) -> dict[str, float]:
    """Mean and standard deviation of the training pixels, range 1, each frame counting the same."""
    wanted = set(frames)
    pixels = [f.pixels for f in load_frames(data) if f.name in wanted] if data else []
    if not pixels:
        return {}
    mean = float(np.mean([p.mean() for p in pixels]))
    sd = float(np.sqrt(np.mean([((p - mean) ** 2).mean() for p in pixels])))
    return {"mean": round(mean, 4), "sd": round(sd, 4)}


def effective_halo_px(
    net: MRN, image: npt.NDArray[np.float32], levels: tuple[float, ...] = _LEVELS
) -> dict[str, float]:
    """How much of a halo the finest SRN needs before a tile differs by less than a level from the whole.

    Parameters
    ----------
    image
        (h, w) float32 in [0, 1], sides multiples of 8 and at least 192: a degraded frame.
    """
    size, tile = 192, 48
    x = torch.from_numpy(np.ascontiguousarray(image[:size, :size]))[None, None]
    inner = slice((size - tile) // 2, (size + tile) // 2)
    with torch.inference_mode():
        _, y2, y1 = net(x)
        both = torch.cat([net.up2to1(y2), x], 1)
        errors = {}
        for halo in range(0, 66, 2 * net.spec.unshuffle):
            window = slice(inner.start - halo, inner.stop + halo)
            part = net.fine(both[..., window, window])[..., halo : halo + tile, halo : halo + tile]
            errors[halo] = float((part - y1[..., inner, inner]).abs().max())
    return {
        f"effective_{level:g}": next((h for h, e in errors.items() if e < level), 66.0) for level in levels
    }


def _halo(header: dict[str, Any], half: dict[str, torch.Tensor]) -> dict[str, float]:
    from semdaemon.training import degrade

    net = MRN(NetworkSpec(**header["spec"]))
    net.load_state_dict({key: value.float() for key, value in half.items()})
    rng = np.random.default_rng(0)
    field = degrade.blur(rng.random((192, 192), dtype=np.float32), degrade.gaussian_kernel(4))
    scene = np.where(field > 0.5, np.float32(0.8), np.float32(0.2))
    seen = degrade.expose(degrade.blur(scene, degrade.disc_kernel(4)), 100, rng)
    return effective_halo_px(net, degrade.quantise(seen, 8))


def commit_here() -> str:
    """The commit of the source tree that runs; empty outside one."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(content)
    beside.replace(path)


def main(arguments: list[str] | None = None) -> None:
    """Command line of the export."""
    parser = argparse.ArgumentParser(description="Weights and card from a checkpoint or average.safetensors.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--network", required=True)
    parser.add_argument("--data", type=Path, help="folder trained on, for the sources in the card")
    parser.add_argument("--interim", action="store_true", help="the training is still under way")
    given = parser.parse_args(arguments)
    card = export(given.source, given.target, network=given.network, data=given.data, interim=given.interim)
    sys.stdout.write(f"{given.target} (sha256 {card['sha256'][:12]})\n")


if __name__ == "__main__":
    main()
