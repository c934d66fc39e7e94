"""From weights and their card to one zip that bioimage.io's programs run."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semdaemon.errors import SemdaemonError
from semdaemon.extras import need
from semdaemon.refocus.engine import spec_of
from semdaemon.refocus.weights import WeightsCard
from semdaemon.training.bioimage import example as shown
from semdaemon.training.bioimage.description import description, least_px
from semdaemon.training.bioimage.document import readme
from semdaemon.training.bioimage.portable import as_onnx, as_torchscript, portable

DESCRIPTION = "bioimageio.yaml"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def package(card: WeightsCard, target: Path) -> None:
    """Write weights as a bioimage.io model package; the same weights give the same bytes.

    Parameters
    ----------
    card
        Of the weights.
    target
        The ``.zip`` to write; replaced as a whole.

    Raises
    ------
    WeightsError
        The weights are changed, missing, or of an architecture that cannot be built.
    SemdaemonError
        ``extra_missing`` without bioimageio.spec; ``package_invalid`` where it finds fault with the package.
    """
    need("export", "bioimageio.spec", "onnx", why="A model package needs")
    content = _files(card)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
        described = description(card, spec_of(card), content)
        content[DESCRIPTION] = _validated(described, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".part")
    beside.write_bytes(zipped(content))
    beside.replace(target)


def zipped(content: Mapping[str, bytes]) -> bytes:
    """Files as a zip without compression, dates or owners: nothing in it depends on when or where."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content[name])
    return buffer.getvalue()


def _files(card: WeightsCard) -> dict[str, bytes]:
    """Everything but the description, by name."""
    network, spec = portable(card), spec_of(card)
    picture = shown.example(network, least_px(card, spec))
    said = f"refocused by network: {card.name}, sha256 {card.sha256}"
    return {
        f"{card.name}.onnx": as_onnx(network),
        f"{card.name}.pt": as_torchscript(card),
        f"{card.name}.safetensors": card.path.read_bytes(),
        f"{card.name}.json": (json.dumps(card.as_dict(), indent=1) + "\n").encode(),
        "test_input.npy": shown.as_tensor(picture.seen),
        "test_output.npy": shown.as_tensor(picture.refocused),
        "sample_input.png": shown.as_png(picture.seen),
        "sample_output.tif": shown.as_tiff(picture.refocused, said),
        "cover.png": shown.cover(picture),
        "README.md": readme(card, spec).encode(),
    }


def _validated(described: dict[str, Any], folder: Path) -> bytes:
    """The description as YAML, after bioimageio.spec found every field and file as it must be."""
    from bioimageio.spec import (
        InvalidDescr,
        ValidationContext,
        build_description,
        save_bioimageio_yaml_only,
    )

    context = ValidationContext(root=folder, file_name=DESCRIPTION, disable_cache=True, log_warnings=False)
    with context, warnings.catch_warnings():
        # The library leaves the files that it hashes to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        model = build_description(described, context=context)
        if isinstance(model, InvalidDescr):
            raise SemdaemonError(
                "package_invalid",
                f"bioimageio.spec refuses the package: {model.validation_summary.format()}",
                remedy="Report it with the versions of semdaemon and bioimageio.spec.",
            )
        save_bioimageio_yaml_only(model, folder / DESCRIPTION)
    return (folder / DESCRIPTION).read_bytes()
