"""The learned blur estimator, by ONNX Runtime: the scorer ``sigma``.

What it is, how it was trained and how well it does stands in its card, ``data/sigma.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from semdaemon.errors import WeightsError
from semdaemon.focus.estimate import Array, Estimate, from_shares
from semdaemon.focus.field import Smoothness

if TYPE_CHECKING:
    import onnxruntime

MODEL = Path(__file__).parent / "data" / "sigma.onnx"

# The network's activations of a few tiles fit the cache: more at once were slower and took more memory.
_TILES_A_RUN = 2
_TRAINED_PX = 128
_LARGEST_PX = 192
_SMALLEST_PX = 48

_REMEDY = "Reinstall semdaemon, or make it anew with 'python -m semdaemon.training.focus export'."


class SigmaScorer:
    """Blur of tiles from a small convolutional network.

    Parameters
    ----------
    threads
        Threads of one call.
    model
        The ``.onnx`` file; its card lies beside it as ``.json``.

    Raises
    ------
    WeightsError
        ``sigma_missing`` or ``sigma_changed``.
    """

    def __init__(self, *, threads: int = 1, model: Path = MODEL) -> None:
        self.card = read_card(model)
        self._levels_px = np.array(self.card["levels_px"], np.float32)
        self._temperature = np.float32(self.card["temperature"])
        self._prior = np.array(self.card["prior"], np.float32) if "prior" in self.card else None
        context = self.card.get("context")  # a model just exported has none
        self.smoothness = Smoothness(**context) if context else None
        self._session = _session(model, str(self.card["sha256"]), threads)

    @property
    def name(self) -> str:
        return f"sigma {str(self.card['sha256'])[:16]}"

    def estimate(self, tiles: Array) -> Estimate:
        """Blur of tiles (n, h, w) float32 in any grey levels; see `semdaemon.focus.Scorer`.

        Tiles under 48 px cannot be judged (NaN); tiles over 192 px are judged by windows of 128 px
        whose log-probabilities are averaged.
        """
        if min(tiles.shape[1:]) < _SMALLEST_PX:
            return _unknown(len(tiles))
        logits = np.concatenate([self._logits(part) for part in _parts(tiles)])
        shares = np.exp(_log_softmax(logits / self._temperature))
        return from_shares(shares, self._levels_px, prior=self._prior)

    def _logits(self, tiles: Array) -> Array:
        windows = _windows(tiles)
        answers = [
            self._session.run(None, {"tiles": np.ascontiguousarray(window[:, None])})[0] for window in windows
        ]
        return np.asarray(np.mean([_log_softmax(answer) for answer in answers], axis=0), np.float32)


def read_card(model: Path = MODEL) -> dict[str, Any]:
    """The card beside a model file."""
    try:
        card: dict[str, Any] = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            "sigma_missing", f"The card of blur estimator {model} cannot be read: {error}.", remedy=_REMEDY
        ) from error
    return card


def _session(model: Path, sha256: str, threads: int) -> onnxruntime.InferenceSession:
    try:
        content = model.read_bytes()
    except OSError as error:
        raise WeightsError(
            "sigma_missing", f"The blur estimator {model} cannot be read: {error}.", remedy=_REMEDY
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WeightsError(
            "sigma_changed",
            f"The blur estimator {model} has sha256 {found[:16]}..., its card says {sha256[:16]}...",
            remedy=_REMEDY,
        )
    # Since 1.29 onnxruntime tells its maker over the network what it runs; set before its import.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Imported late: it costs 60 MB and a tenth of a second, and commands that never score need neither.
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # an arena keeps the largest batch's memory for ever
    options.log_severity_level = 3  # errors; warnings about other machines' accelerators help nobody
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _parts(tiles: Array) -> list[Array]:
    return [tiles[start : start + _TILES_A_RUN] for start in range(0, len(tiles), _TILES_A_RUN)]


def _windows(tiles: Array) -> list[Array]:
    """The tiles themselves, or the windows of the trained size that cover large ones."""
    if max(tiles.shape[1:]) <= _LARGEST_PX:
        return [tiles]
    (tops, height), (lefts, width) = (_starts(length) for length in tiles.shape[1:])
    return [tiles[:, top : top + height, left : left + width] for top in tops for left in lefts]


def _starts(length: int) -> tuple[list[int], int]:
    side = min(length, _TRAINED_PX)
    count = -(-length // side)
    return [round(i * (length - side) / max(1, count - 1)) for i in range(count)], side


def _log_softmax(logits: npt.NDArray[Any]) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float32)


def _unknown(count: int) -> Estimate:
    nothing = np.full(count, np.nan, np.float32)
    return Estimate(nothing, nothing.copy())
