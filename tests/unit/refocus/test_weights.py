from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from semdaemon.errors import WeightsError
from semdaemon.refocus import networks, weights
from semdaemon.refocus.weights import WeightsCard, available, load_card, read_tensors, resolve


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for suffix in (".safetensors", ".json"):
        shutil.copy(weights.SHIPPED / f"light{suffix}", tmp_path)
    return tmp_path / "light.safetensors"


def code_of(name: str | Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_tensors(load_card(name))
    assert caught.value.remedy
    return caught.value.code


def test_light_weights_come_with_the_package_and_fit_their_network() -> None:
    assert "light" in available()
    card = load_card("light")
    tensors = read_tensors(card)
    net = networks.build(networks.NetworkSpec(**card.spec))
    net.load_state_dict(
        {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in tensors.items()}
    )
    assert networks.parameters_of(net) == card.parameters


def test_the_card_names_its_data_with_licences() -> None:
    card = load_card("light")
    assert {row["licence"] for row in card.trained_on} <= {"MIT", "BSD-3-Clause"}
    assert card.sigma_max_px == 4
    assert card.halo_px["theoretical"] == 39


def test_half_precision_changes_less_than_a_tenth_of_a_grey_level() -> None:
    card = load_card("light")
    tensors = {name: torch.from_numpy(np.asarray(v, np.float32)) for name, v in read_tensors(card).items()}
    net = networks.build(networks.NetworkSpec(**card.spec))
    net.load_state_dict(tensors)
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = net(x)[-1]
        # half a unit in the last place of float16, in either direction: what the rounding may have been
        turned = {n: t * (1 + 2**-12 * torch.sign(torch.sin(t * 1e6))) for n, t in tensors.items()}
        net.load_state_dict(turned)
        assert float((net(x)[-1] - before).abs().mean()) < 0.1 / 255


def test_a_file_is_found_by_path_and_by_its_card(copied: Path) -> None:
    assert load_card(copied).path == copied
    assert load_card(copied.with_suffix(".json")).sha256 == load_card("light").sha256


def test_auto_says_why_it_chose() -> None:
    card = resolve("auto", "cpu")
    assert card.name == "light"
    assert "cpu" in card.chosen
    assert resolve("light", "cuda").chosen == ""


def test_missing_weights_have_a_remedy(tmp_path: Path) -> None:
    assert code_of(tmp_path / "none.safetensors") == "weights_missing"
    assert code_of("no-such-name") == "weights_missing"


def test_weights_without_a_card_are_refused(copied: Path) -> None:
    copied.with_suffix(".json").unlink()
    assert code_of(copied) == "weights_card_missing"
    with pytest.raises(WeightsError, match=rf"has no model card {copied.stem}\.json beside it"):
        load_card(copied)


def test_a_card_that_is_not_one_is_refused(copied: Path) -> None:
    copied.with_suffix(".json").write_text("[]")
    assert code_of(copied) == "weights_card_missing"
    with pytest.raises(WeightsError, match="cannot be read: it holds a list"):
        load_card(copied)


def test_changed_weights_are_refused(copied: Path) -> None:
    content = bytearray(copied.read_bytes())
    content[-1] ^= 1
    copied.write_bytes(bytes(content))
    assert code_of(copied) == "weights_hash_mismatch"


def test_a_pickle_is_refused_even_with_the_right_hash(copied: Path) -> None:
    import hashlib

    content = b"\x80\x04not safetensors"
    copied.write_bytes(content)
    raw = json.loads(copied.with_suffix(".json").read_text())
    raw["sha256"] = hashlib.sha256(content).hexdigest()
    copied.with_suffix(".json").write_text(json.dumps(raw))
    assert code_of(copied) == "weights_not_safetensors"


def test_a_card_survives_its_own_json() -> None:
    card = load_card("light")
    again = WeightsCard(
        path=card.path, **{**json.loads(json.dumps(card.as_dict())), "trained_on": card.trained_on}
    )
    assert again == card


def test_reading_weights_does_not_import_torch() -> None:
    code = (
        "import sys; from semdaemon.refocus.weights import *; read_tensors(resolve('auto'));"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_card_nested_without_end_is_refused(copied: Path) -> None:
    copied.with_suffix(".json").write_text("[" * 20_000)
    with pytest.raises(WeightsError) as caught:
        load_card(copied)
    assert caught.value.code == "weights_card_missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sha256", 5),
        ("name", None),
        ("spec", [32, 8]),
        ("spec", {"filters": "many", "blocks": 8, "kernel": 3, "unshuffle": 2}),
        ("spec", {"filters": 32, "blocks": 10**9, "kernel": 3, "unshuffle": 2}),
        ("spec", {"filters": 32, "kernel": 3, "unshuffle": 2}),
        ("sigma_max_px", "4"),
        ("sigma_max_px", float("nan")),
        ("iterations", -1),
        ("trained_on", "everything"),
        ("held_out", 3),
        ("interim", "no"),
    ],
)
def test_a_card_with_an_odd_field_is_refused_by_its_name(copied: Path, name: str, value: object) -> None:
    raw = json.loads(copied.with_suffix(".json").read_text())
    copied.with_suffix(".json").write_text(json.dumps({**raw, name: value}))
    with pytest.raises(WeightsError) as caught:
        load_card(copied)
    assert caught.value.code == "weights_card_odd"
    assert f"'{name}'" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["name", "sha256", "spec"])
def test_a_card_that_lacks_what_identifies_its_weights_is_refused(copied: Path, name: str) -> None:
    raw = json.loads(copied.with_suffix(".json").read_text())
    del raw[name]
    copied.with_suffix(".json").write_text(json.dumps(raw))
    with pytest.raises(WeightsError, match=f"'{name}' is missing") as caught:
        load_card(copied)
    assert caught.value.code == "weights_card_odd"


def test_a_card_without_figures_serves_and_says_what_was_never_measured(copied: Path) -> None:
    raw = json.loads(copied.with_suffix(".json").read_text())
    for name in ("held_out", "repairs_up_to_px", "probe", "cost", "trust"):
        raw.pop(name, None)
    copied.with_suffix(".json").write_text(json.dumps(raw))
    card = load_card(copied)
    assert read_tensors(card)
    assert len(card.lacks()) == 3
    assert any("never trained on" in words for words in card.lacks())
    assert load_card("light").lacks() == ()


def test_auto_takes_mrn_on_a_gpu_as_soon_as_it_is_shipped(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "SHIPPED", copied.parent)
    assert resolve("auto", "cuda").name == "light"
    for suffix in (".safetensors", ".json"):
        shutil.copy(copied.with_suffix(suffix), copied.with_name(f"mrn{suffix}"))
    raw = json.loads(copied.with_suffix(".json").read_text())
    copied.with_name("mrn.json").write_text(json.dumps({**raw, "name": "mrn"}))
    card = resolve("auto", "cuda")
    assert card.name == "mrn"
    assert "'mrn' is the best of the shipped weights (light, mrn) for device cuda" in card.chosen
    assert resolve("auto", "cpu").name == "light"
