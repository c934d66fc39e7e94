"""Fine-tuning on a lab's own frames: gains where there is something to gain, keeps the start where not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from semdaemon.cli.train import command
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.refocus.weights import load_card, read_tensors
from semdaemon.simulate.scenes import scene
from semdaemon.training import checkpoint, loop, model_card
from semdaemon.training.export import export
from semdaemon.training.recipe import OURS
from semdaemon.training.trainer import Trainer

TINY = NetworkSpec(filters=6, blocks=1, kernel=3, unshuffle=2, residual=True, detach=False)
FRAMES = 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty small sharp frames of one kind of sample, ten specimens of two each."""
    folder = tmp_path_factory.mktemp("lab")
    for number in range(FRAMES):
        pixels = scene("martensite", (112, 112), seed=number)
        name = f"{'abcdefghij'[number // 2]}_{number}.png"
        Image.fromarray((pixels * 255).astype(np.uint8)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny network that has seen simulated scenes for a moment."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("start")
    recipe = replace(OURS, crop_px=32, batch=4, warm_up_iterations=2, learning_rate=1e-3)
    trained = loop.train(loop.Plan(data=None, out=out, spec=TINY, recipe=recipe, iterations=20))
    export(trained, out / "tiny.safetensors", network="light", data=None)
    return out / "tiny.safetensors"


def invoked(lab: Path, start: Path, out: Path, *more: str) -> Result:
    options = ["--data", str(lab), "--from", str(start), "--out", str(out), "--crop", "48", "--batch", "4"]
    return CliRunner().invoke(command, [*options, "--threads", "1", "--iterations", "40", *more])


def tune(lab: Path, start: Path, out: Path, *more: str) -> Result:
    result = invoked(lab, start, out, *more)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def tuned(lab: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("tuned")
    return out, tune(lab, start, out, "--learning-rate", "1e-2")


def test_fine_tuning_on_twenty_frames_gains_on_frames_set_aside(
    tuned: tuple[Path, Result], start: Path
) -> None:
    out, result = tuned
    card = load_card(out / "tiny-tuned.safetensors")
    own = card.fine_tuning["own_frames"]
    assert card.fine_tuning["better"]
    assert own["set"] == "validation"
    assert own["frames"] == 5 or own["frames"] == 6  # a quarter of twenty, whole specimens
    assert 0 < own["low_db"] < own["gain_db"] < own["high_db"]
    assert card.started_from.items() >= {"name": "tiny", "sha256": load_card(start).sha256}.items()
    assert card.sha256 != load_card(start).sha256
    assert "On your own frames that were set aside" in result.stderr
    assert read_tensors(card)


def test_what_a_bare_machine_leaves_behind_becomes_the_same_weights(
    tuned: tuple[Path, Result], tmp_path: Path
) -> None:
    tensors = []
    for name in (checkpoint.NAME, checkpoint.AVERAGE):
        target = tmp_path / f"from-{name}"
        export(tuned[0] / name, target, network="light", data=None)
        tensors.append(read_tensors(load_card(target)))
    # Not the hash: safetensors writes the header's keys in any order.
    for key, value in tensors[0].items():
        np.testing.assert_array_equal(value, tensors[1][key])


def test_the_card_for_people_tells_the_start_and_the_gain(tuned: tuple[Path, Result]) -> None:
    said = model_card.page(load_card(tuned[0] / "tiny-tuned.safetensors"))
    assert "Fine-tuned from `tiny`" in said
    assert "validation, not held-out" in said


def test_what_was_forgotten_on_general_scenes_is_told(tuned: tuple[Path, Result]) -> None:
    out, result = tuned
    general = load_card(out / "tiny-tuned.safetensors").fine_tuning["general_scenes"]
    assert general["frames"] == 8
    assert set(general["by_condition_db"]) == {"R0_N50", "R0_N400", "R2_N50", "R4_N50", "R4_N400", "R6_N50"}
    assert "general scenes" in result.stderr


def test_frames_set_aside_are_not_trained_on_and_whole_specimens(tuned: tuple[Path, Result]) -> None:
    frames = checkpoint.read_header(tuned[0] / checkpoint.NAME)["frames"]
    train, validation = ({name[0] for name in frames[part]} for part in ("train", "validation"))
    assert train
    assert validation
    assert not train & validation


def test_a_fine_tuning_that_gains_nothing_keeps_the_start_and_says_so(
    lab: Path, start: Path, tmp_path: Path
) -> None:
    result = tune(lab, start, tmp_path, "--learning-rate", "1e-8", "--iterations", "4")
    card = load_card(tmp_path / "tiny-tuned.safetensors")
    assert not card.fine_tuning["better"]
    assert card.sha256 == load_card(start).sha256
    assert read_tensors(card)
    assert "keep 'tiny'" in result.stderr


def test_a_training_that_gets_worse_is_stopped_early_and_keeps_its_best(
    lab: Path, start: Path, tmp_path: Path
) -> None:
    result = tune(lab, start, tmp_path, "--learning-rate", "0.3")
    stopped = checkpoint.read_header(tmp_path / checkpoint.NAME)["progress"]["iteration"]
    assert stopped < 40
    tune(lab, start, tmp_path, "--learning-rate", "0.3")  # asked for again, it has ended already
    assert checkpoint.read_header(tmp_path / checkpoint.NAME)["progress"]["iteration"] == stopped
    assert "No gain since iteration 0: stopped early." in result.stderr
    assert load_card(tmp_path / "tiny-tuned.safetensors").sha256 == load_card(start).sha256


def test_the_network_is_that_of_the_start_and_another_is_refused(
    lab: Path, start: Path, tmp_path: Path
) -> None:
    result = invoked(lab, start, tmp_path, "--network", "light")
    error = result.exception
    assert getattr(error, "code", "") == "weights_mismatch"
    assert "filters 6" in str(error)
    assert "Leave --network away" in str(error)


def test_tampered_weights_are_no_start(lab: Path, start: Path, tmp_path: Path) -> None:
    for suffix in (".safetensors", ".json"):
        shutil.copy(start.with_suffix(suffix), tmp_path)
    content = bytearray((tmp_path / "tiny.safetensors").read_bytes())
    content[-3] ^= 1
    (tmp_path / "tiny.safetensors").write_bytes(bytes(content))
    result = CliRunner().invoke(
        command,
        ["--data", str(lab), "--from", str(tmp_path / "tiny.safetensors"), "--out", str(tmp_path / "o")],
    )
    assert getattr(result.exception, "code", "") == "weights_hash_mismatch"


def test_weights_without_a_card_are_no_start(lab: Path, start: Path, tmp_path: Path) -> None:
    shutil.copy(start, tmp_path)
    result = CliRunner().invoke(
        command,
        ["--data", str(lab), "--from", str(tmp_path / "tiny.safetensors"), "--out", str(tmp_path / "o")],
    )
    assert getattr(result.exception, "code", "") == "weights_card_missing"


@pytest.mark.parametrize(
    ("field", "code", "word"),
    [
        ({"blocks": 2}, "weights_mismatch", "missing"),
        ({"attention": 1}, "weights_unknown_architecture", "'attention'"),
    ],
)
def test_a_start_whose_card_names_another_network_than_its_file_holds_is_refused(
    lab: Path, start: Path, tmp_path: Path, field: dict[str, int], code: str, word: str
) -> None:
    shutil.copy(start, tmp_path)
    card = json.loads(start.with_suffix(".json").read_text())
    card["spec"] |= field
    (tmp_path / "tiny.json").write_text(json.dumps(card))
    where = ["--from", str(tmp_path / "tiny.safetensors"), "--out", str(tmp_path / "o"), "--crop", "32"]
    result = CliRunner().invoke(command, ["--data", str(lab), *where])
    assert getattr(result.exception, "code", "") == code
    assert word in str(result.exception)
    assert len(str(result.exception)) < 700  # not a list of all parameters


def test_half_precision_changes_no_pixel_by_more_than_the_stated_bound(
    tuned: tuple[Path, Result], lab: Path
) -> None:
    """What `semdaemon.training.export` says of half precision, on a training's validation crops."""
    from semdaemon.training.validation import validation_pairs

    trainer = Trainer(loop.Plan(data=lab, out=tuned[0], spec=TINY, recipe=replace(OURS, crop_px=48), seed=0))
    pairs = validation_pairs(trainer.corpus)
    trainer.learner.average = checkpoint.read_average(tuned[0] / checkpoint.NAME)
    full = [trainer.learner.refocus(pair.seen) for pair in pairs]
    trainer.learner.average = {k: v.half().float() for k, v in trainer.learner.average.items()}
    half = [trainer.learner.refocus(pair.seen) for pair in pairs]
    assert max(float(np.abs(a - b).max()) for a, b in zip(full, half, strict=True)) < 0.25 / 255


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_real_frames_of_one_lab_are_tuned_to_by_the_shipped_light(sem_data: Path, tmp_path: Path) -> None:
    """`light` has seen these frames: little is to be gained, and the machinery has to say how much.

    Run with ``-s`` for the figures.
    """
    lab = tmp_path / "lab"
    (lab / "train").mkdir(parents=True)
    rows = (sem_data / "index.csv").read_text(encoding="utf-8").splitlines()
    mine = [row for row in rows if row.startswith("train,polymer_")]
    (lab / "index.csv").write_text("\n".join([rows[0], *mine]), encoding="utf-8")
    for row in mine:
        name = row.split(",")[1]
        shutil.copy(sem_data / "train" / name, lab / "train" / name)
    out = tmp_path / "out"
    arguments = ["--data", str(lab), "--from", "light", "--out", str(out), "--minutes", "5", "--json"]
    result = CliRunner().invoke(command, [*arguments, "--threads", "1"])
    assert result.exit_code == 0, result.output
    card = json.loads(result.stdout)
    print(json.dumps(card["fine_tuning"], indent=1))  # noqa: T201  (the figures are what it is run for)
    assert card["fine_tuning"]["own_frames"]["frames"] >= 5
    assert card["fine_tuning"]["own_frames"]["gain_db"] > -0.05  # nothing worse than the start is written
