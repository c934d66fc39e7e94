"""Weights as a bioimage.io model package: it validates, runs, and gives what semdaemon gives."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save

from semdaemon.cli import cli
from semdaemon.errors import SemdaemonError
from semdaemon.frame import intensity_range, to_unit
from semdaemon.refocus.engine import TorchEngine
from semdaemon.refocus.networks import MRN, NetworkSpec, build
from semdaemon.refocus.weights import WeightsCard, load_card
from semdaemon.training.bioimage import portable
from semdaemon.training.bioimage.description import halo_px, least_px
from semdaemon.training.bioimage.package import package

SPEC = NetworkSpec(filters=4, blocks=1, kernel=3, unshuffle=2, residual=True, detach=False)


def lively(spec: NetworkSpec) -> MRN:
    """Random weights that do something."""
    torch.manual_seed(7)
    net = build(spec)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net.eval()


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> WeightsCard:
    folder = tmp_path_factory.mktemp("weights")
    content = save({name: value.contiguous() for name, value in lively(SPEC).state_dict().items()})
    (folder / "small.safetensors").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    told = {"name": "small", "sha256": sha256, "spec": SPEC.as_dict(), "network": "light"}
    (folder / "small.json").write_text(json.dumps(told))
    return load_card(folder / "small.safetensors")


@pytest.fixture(scope="module")
def packed(card: WeightsCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("package") / "small.zip"
    package(card, target)
    return target


@pytest.fixture(scope="module")
def inside(packed: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(packed) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("shape", [(16, 16), (24, 56), (136, 72)])
def test_the_reduction_equals_the_antialiased_one(factor: int, shape: tuple[int, int]) -> None:
    x = torch.rand((2, 1, *shape), generator=torch.Generator().manual_seed(0))
    expected = MRN.pyramid(x)[1 if factor == 2 else 2]
    torch.testing.assert_close(portable.Reduction(factor)(x), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "spec", [SPEC, NetworkSpec(filters=4, blocks=1, kernel=5, unshuffle=1, residual=False, detach=True)]
)
def test_the_portable_network_equals_the_one_that_was_trained(spec: NetworkSpec) -> None:
    net = lively(spec)
    x = torch.rand(1, 1, 64, 88)
    with torch.inference_mode():
        torch.testing.assert_close(portable.Portable(net)(x), net(x)[2], atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # bioimageio.spec leaves files to the collector
def test_the_package_is_valid_and_no_network_is_asked(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bioimageio.spec import ValidationContext, load_model_description

    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    context = ValidationContext(perform_io_checks=True, log_warnings=False)
    with context:
        model = load_model_description(packed, format_version="latest")
    assert model.validation_summary.status in ("valid-format", "passed")
    assert str(model.license) == "BSD-3-Clause"
    assert [axis.id for axis in model.inputs[0].axes] == ["batch", "channel", "y", "x"]


def unit_of(inside: dict[str, bytes]) -> Any:
    """The test input after the preprocessing that the description asks for."""
    raw = np.load(io.BytesIO(inside["test_input.npy"]))
    low, high = np.percentile(raw, (0.1, 99.9))
    return ((raw - low) / (high - low + 1e-6)).astype(np.float32)


def test_onnx_gives_the_test_output_and_what_the_engine_gives(
    inside: dict[str, bytes], card: WeightsCard
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(inside["small.onnx"], providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": unit_of(inside)})
    expected = np.load(io.BytesIO(inside["test_output.npy"]))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    raw = np.load(io.BytesIO(inside["test_input.npy"]))[0, 0]
    engine = TorchEngine(card, "cpu", threads=1).refocus(to_unit(raw, intensity_range(raw)))
    np.testing.assert_allclose(found[0, 0], engine, atol=1e-4)
    assert np.abs(found - unit_of(inside)).max() > 0.05  # it does something

    other = np.random.default_rng(0).random((2, 1, 72, 104), dtype=np.float32)
    (both,) = session.run(None, {"input": other})
    alone = TorchEngine(card, "cpu", threads=1).refocus(other[1, 0])
    np.testing.assert_allclose(both[1, 0], alone, atol=1e-4)


def test_torchscript_gives_the_test_output_at_any_size(inside: dict[str, bytes], card: WeightsCard) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is in maintenance and says so
        network = torch.jit.load(io.BytesIO(inside["small.pt"]))
    with torch.inference_mode():
        found = network(torch.from_numpy(unit_of(inside))).numpy()
        other = torch.rand(2, 1, 72, 104)
        both = network(other)
    np.testing.assert_allclose(found, np.load(io.BytesIO(inside["test_output.npy"])), atol=1e-4)
    alone = TorchEngine(card, "cpu", threads=1).refocus(other[1, 0].numpy())
    np.testing.assert_allclose(both[1, 0], alone, atol=1e-4)


def test_a_block_with_its_halo_equals_the_same_place_of_the_whole(card: WeightsCard) -> None:
    halo, network = halo_px(card, SPEC), portable.portable(card)
    side = least_px(card, SPEC)
    assert side > 2 * halo
    assert side % SPEC.multiple == halo % SPEC.multiple == 0
    x = torch.rand(1, 1, side + 64, side + 64)
    with torch.inference_mode():
        whole, block = network(x), network(x[..., 64:, 64:])
    inner = slice(halo, -halo)
    torch.testing.assert_close(
        block[..., inner, inner], whole[..., 64:, 64:][..., inner, inner], atol=1e-5, rtol=0
    )


def test_nothing_in_it_tells_of_the_machine(inside: dict[str, bytes]) -> None:
    here = [str(Path(__file__).resolve().parents[3]).encode(), str(Path.home()).encode() + b"/", b"/tmp/"]
    for name, content in inside.items():
        assert not any(path in content for path in here), name


def test_the_readme_tells_use_validation_and_limits(inside: dict[str, bytes], card: WeightsCard) -> None:
    text = inside["README.md"].decode()
    for words in (
        "## Validation",
        "Label it",
        "What it cannot do",
        card.sha256,
        f"{least_px(card, SPEC)} px",
    ):
        assert words in text
    assert inside["small.safetensors"] == card.path.read_bytes()
    assert b"refocused by network" in inside["sample_output.tif"]


def test_the_command_says_what_it_wrote_and_the_same_weights_give_the_same_bytes(
    card: WeightsCard, packed: Path, tmp_path: Path
) -> None:
    target = tmp_path / "deep" / "out.zip"
    result = CliRunner().invoke(
        cli, ["export", str(card.path), "-o", str(target), "--json"], standalone_mode=False
    )
    assert result.exception is None, result.output
    said = json.loads(result.stdout)
    assert (said["file"], said["bytes"]) == (str(target), target.stat().st_size)
    assert said["weights"]["sha256"] == card.sha256
    assert target.read_bytes() == packed.read_bytes()


def test_without_the_extra_the_command_says_which_to_install(
    card: WeightsCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bioimageio.spec", None)
    with pytest.raises(SemdaemonError, match=r"bioimageio\.spec") as error:
        package(card, tmp_path / "out.zip")
    assert error.value.code == "extra_missing"
    assert "semdaemon[export]" in error.value.remedy
    assert not (tmp_path / "out.zip").exists()


def test_changed_weights_are_not_exported(card: WeightsCard, tmp_path: Path) -> None:
    weights = tmp_path / "changed.safetensors"
    weights.write_bytes(card.path.read_bytes() + b" ")
    weights.with_suffix(".json").write_text(card.path.with_suffix(".json").read_text())
    with pytest.raises(SemdaemonError) as error:
        package(load_card(weights), tmp_path / "out.zip")
    assert error.value.code == "weights_hash_mismatch"
    assert not list(tmp_path.glob("*.zip*"))
