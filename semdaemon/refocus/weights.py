"""Weights on disk: one safetensors file and, beside it, the model card that vouches for it.

Nothing here imports torch; the parent process reads cards, the worker reads tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semdaemon.errors import WeightsError
from semdaemon.refocus.trust import from_card

SHIPPED = Path(__file__).parent / "data"
"""Folder of the weights that come with the package."""

_PREFERRED = {"cuda": ("mrn", "light"), "mps": ("light",), "cpu": ("light",)}


@dataclass(frozen=True)
class WeightsCard:
    """What is known of one weights file.

    Attributes
    ----------
    name, path, sha256
        Name (file stem), the safetensors file, and the hash that identifies it everywhere.
    spec
        Fields of `semdaemon.refocus.networks.NetworkSpec`.
    network
        ``light``, ``mrn``, ``srn`` or a lab's own word.
    parameters, iterations, seed, commit
        Size of the network and how it came about.
    interim
        True for weights of a training that was still under way.
    sigma_max_px
        Largest equivalent Gaussian blur trained on; beyond it, bin the frame first.
    repairs_up_to_px
        Largest blur at which they gain over the best denoiser, at the working scale; 0 where not measured.
    trained_on
        One mapping a source of frames: ``source``, ``licence``, ``frames``.
    degradations
        Fields of the training recipe.
    pixel_statistics
        ``mean`` and ``sd`` of the sharp training pixels (range 1).
    halo_px
        ``theoretical`` reach of the finest SRN and the ``effective`` one of these weights, by error level.
    cost
        ``s_per_megapixel`` with the conditions it was measured under.
    held_out
        ``conditions`` and ``rows`` of `semdaemon evaluate` on frames never trained on.
    probe
        Answer to the test picture, see `semdaemon.refocus.probe`; empty in older cards.
    trust
        How far results can be trusted, see `semdaemon.refocus.trust.from_card`; empty where not measured.
    started_from
        ``name``, ``sha256``, ``iterations`` and ``recipe`` of the weights that the training began with; empty
        where it began from nothing.
    fine_tuning
        What it gained on frames set aside (``own_frames``, a validation, not held-out) and on general scenes
        (``general_scenes``), see `semdaemon.training.tuning`.
    chosen
        Why `resolve` took these weights; empty where they were named.
    """

    name: str
    path: Path
    sha256: str
    spec: Mapping[str, Any]
    network: str = ""
    parameters: int = 0
    iterations: int = 0
    seed: int = 0
    commit: str = ""
    interim: bool = False
    sigma_max_px: float = 4.0
    repairs_up_to_px: float = 0.0
    trained_on: tuple[Mapping[str, Any], ...] = ()
    degradations: Mapping[str, Any] = field(default_factory=dict)
    pixel_statistics: Mapping[str, float] = field(default_factory=dict)
    halo_px: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    held_out: Mapping[str, Any] = field(default_factory=dict)
    probe: Mapping[str, Any] = field(default_factory=dict)
    trust: Mapping[str, Any] = field(default_factory=dict)
    started_from: Mapping[str, Any] = field(default_factory=dict)
    fine_tuning: Mapping[str, Any] = field(default_factory=dict)
    chosen: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The card as it stands in its JSON file: without the path and the reason of a choice."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("path", "chosen")}
        return {**values, "trained_on": list(self.trained_on)}

    def lacks(self) -> tuple[str, ...]:
        """What nobody has measured of these weights, in words; empty where the card has its figures."""
        figures = {
            "what they gain on frames never trained on": self.held_out,
            "the largest blur they repair": self.repairs_up_to_px,
            "their answer to the test picture": self.probe,
        }
        return tuple(words for words, figure in figures.items() if not figure)


def available() -> tuple[str, ...]:
    """Names of the weights that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))


def load_card(name_or_path: str | Path) -> WeightsCard:
    """The card of shipped weights, by name, or of a file, by path.

    Raises
    ------
    WeightsError
        ``weights_missing`` without the weights file, ``weights_card_missing`` without a readable card,
        ``weights_card_odd`` where a field of it is missing or not what it should be,
        ``trust_unreadable`` where its key ``trust`` is broken.
    """
    path = _find(name_or_path)
    raw = _raw_card(path)
    known = {f.name: f for f in fields(WeightsCard) if f.name not in ("path", "chosen")}
    values = {name: _checked(path, name, raw[name]) for name in known if name in raw}
    lacking = [name for name, f in known.items() if name not in raw and name in _NEEDED]
    if lacking:
        raise _odd(path, f"the field '{lacking[0]}' is missing")
    card = WeightsCard(path=path, **values)
    from_card(card.trust)
    return card


def resolve(name_or_path: str | Path, device: str = "cpu") -> WeightsCard:
    """The card to use: ``auto`` goes by the device (and says why in ``chosen``), else name or path."""
    if str(name_or_path) != "auto":
        return load_card(name_or_path)
    there = available()
    for name in _PREFERRED.get(device, ("light",)):
        if name in there:
            reason = f"'{name}' is the best of the shipped weights ({', '.join(there)}) for device {device}"
            return replace(load_card(name), chosen=reason)
    return load_card("light")


def read_tensors(card: WeightsCard) -> dict[str, npt.NDArray[np.generic]]:
    """The tensors by parameter name, after the file's hash was checked against the card.

    Raises
    ------
    WeightsError
        ``weights_missing``, ``weights_hash_mismatch`` or ``weights_not_safetensors``.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = card.path.read_bytes()
    except OSError as error:
        raise _missing(card.path) from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            "weights_hash_mismatch",
            f"{card.path.name} has sha256 {found[:12]}..., its card says {card.sha256[:12]}...",
            remedy="The file was changed or copied badly; fetch weights and card again.",
        )
    try:
        tensors: dict[str, npt.NDArray[np.generic]] = load(content)
    except (SafetensorError, ValueError) as error:
        raise WeightsError(
            "weights_not_safetensors",
            f"{card.path.name} is not a safetensors file: {error}",
            remedy="Only safetensors files are read; pickled weights can run code and are refused.",
        ) from error
    return tensors


def _find(name_or_path: str | Path) -> Path:
    shipped = SHIPPED / f"{name_or_path}.safetensors"
    if str(name_or_path) in available():
        return shipped
    path = Path(name_or_path).expanduser()
    if path.suffix == ".json":
        path = path.with_suffix(".safetensors")
    if not path.is_file():
        raise _missing(path)
    return path


_NEEDED = ("name", "sha256", "spec")
_SIZES = ("filters", "blocks", "kernel", "unshuffle")
_NUMBERS = ("parameters", "iterations", "seed", "sigma_max_px", "repairs_up_to_px")
_TEXTS = ("name", "sha256", "network", "commit")
_LARGEST = 4096  # of filters or blocks: more is a broken card, and would be memory without bound


def _raw_card(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if not isinstance(raw, dict):
            raise TypeError(f"it holds a {type(raw).__name__} instead of an object")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        card = path.with_suffix(".json").name
        raise WeightsError(
            "weights_card_missing",
            f"{path} has no model card {card} beside it."
            if isinstance(error, FileNotFoundError)
            else f"The model card {card} beside {path} cannot be read: {error}",
            remedy="Keep the two files of a training together; `semdaemon train` writes both.",
        ) from error
    return raw


def _checked(path: Path, name: str, value: Any) -> Any:
    """A field's value, where it is of the kind that it has to be."""
    if name in _TEXTS:
        if not isinstance(value, str):
            raise _odd(path, f"'{name}' is {value!r}, not a text")
    elif name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
            raise _odd(path, f"'{name}' is {value!r}, not a number of 0 or more")
    elif name == "interim":
        if not isinstance(value, bool):
            raise _odd(path, f"'{name}' is {value!r}, not true or false")
    elif name == "trained_on":
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise _odd(path, "'trained_on' is not a list of objects")
        return tuple(value)
    elif not isinstance(value, dict) and name != "trust":  # which is judged where it is understood
        raise _odd(path, f"'{name}' is {value!r}, not an object")
    elif name == "spec":
        _check_spec(path, value)
    return value


def _check_spec(path: Path, spec: dict[str, Any]) -> None:
    for name in _SIZES:
        size = spec.get(name)
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _LARGEST:
            raise _odd(path, f"'spec' has {name} = {size!r}, not a whole number from 1 to {_LARGEST}")


def _odd(path: Path, what: str) -> WeightsError:
    return WeightsError(
        "weights_card_odd",
        f"The model card {path.with_suffix('.json').name} cannot be used: {what}.",
        remedy="Fetch weights and card again, or export them anew with `semdaemon train`.",
    )


def _missing(path: Path) -> WeightsError:
    return WeightsError(
        "weights_missing",
        f"There are no weights '{path}'.",
        remedy=f"Name shipped weights ({', '.join(available()) or 'none here'}) or give a .safetensors file.",
    )
