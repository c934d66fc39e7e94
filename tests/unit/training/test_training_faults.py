"""What can go wrong around a training: checkpoints, disks, interruptions, losses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from semdaemon.errors import SemdaemonError
from semdaemon.refocus.networks import NetworkSpec
from semdaemon.training import checkpoint, course, degrade, learner, loop
from semdaemon.training.device import multiplies_bfloat16
from semdaemon.training.loss import loss
from semdaemon.training.plan import adapted
from semdaemon.training.recipe import OURS
from semdaemon.training.stopping import TrainingStoppedError
from semdaemon.training.trainer import Trainer
from semdaemon.training.validation import CONDITIONS, Pair, bounded

TINY = NetworkSpec(filters=4, blocks=1, kernel=3, unshuffle=2, residual=True, detach=False)
FAST = replace(OURS, crop_px=32, batch=1, warm_up_iterations=2)
ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        field = degrade.blur(rng.random((96, 96), dtype=np.float32), degrade.gaussian_kernel(3))
        Image.fromarray(np.where(field > 0.5, 200, 50).astype(np.uint8)).save(folder / f"f{number}.png")
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def saved(frames: Path, out: Path) -> loop.Plan:
    """A plan of 4 iterations that was stopped and saved after 2, and after 1 before that."""
    plan = loop.Plan(data=frames, out=out, spec=TINY, recipe=FAST, iterations=4)
    trainer = Trainer(plan)
    for _ in range(2):
        trainer.step()
        trainer.save()
    return plan


def iteration_of(path: Path) -> int:
    return int(checkpoint.read_header(path)["progress"]["iteration"])


def test_two_generations_of_checkpoints_are_kept(frames: Path, tmp_path: Path) -> None:
    saved(frames, tmp_path)
    assert iteration_of(tmp_path / checkpoint.NAME) == 2
    assert iteration_of(tmp_path / checkpoint.PREVIOUS) == 1


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_checkpoint_gives_way_to_the_previous_one(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    plan = saved(frames, tmp_path)
    content = (tmp_path / checkpoint.NAME).read_bytes()
    cut = content[: int(share * len(content))]
    (tmp_path / checkpoint.NAME).write_bytes(cut)
    trainer = Trainer(plan)
    assert trainer.resume()
    assert trainer.progress.iteration == 1
    assert "previous checkpoint, of iteration 1" in capsys.readouterr().err
    assert (tmp_path / checkpoint.BROKEN).read_bytes() == cut
    trainer.step()
    trainer.save()
    assert iteration_of(tmp_path / checkpoint.PREVIOUS) == 1


def test_a_crash_between_the_two_renames_loses_nothing(frames: Path, tmp_path: Path) -> None:
    plan = saved(frames, tmp_path)
    (tmp_path / checkpoint.NAME).replace(tmp_path / checkpoint.PREVIOUS)
    trainer = Trainer(plan)
    assert trainer.resume()
    assert trainer.progress.iteration == 2


def test_checkpoints_that_are_all_broken_are_an_error_and_stay(frames: Path, tmp_path: Path) -> None:
    plan = saved(frames, tmp_path)
    for name in (checkpoint.NAME, checkpoint.PREVIOUS):
        (tmp_path / name).write_bytes(b"x" * 50)
    with pytest.raises(SemdaemonError) as caught:
        loop.train(plan)
    assert caught.value.code == "checkpoint_broken"
    assert "--out" in caught.value.remedy
    assert (tmp_path / checkpoint.NAME).read_bytes() == b"x" * 50


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"spec": replace(TINY, blocks=2)}, "another_network", "blocks"),
        (
            {"recipe": replace(FAST, learning_rate=1e-5)},
            "another_recipe",
            "learning_rate was 0.002, is 1e-05",
        ),
        ({"seed": 7}, "another_seed", "seed 0, not 7"),
        ({"first_batch": 90}, "another_seed", "from batch 0 on, not 90"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_and_says_what(
    frames: Path, tmp_path: Path, change: dict[str, object], code: str, word: str
) -> None:
    plan = saved(frames, tmp_path)
    with pytest.raises(SemdaemonError) as caught:
        # another seed splits otherwise too; what is told first is the seed
        loop.train(replace(plan, **change))  # type: ignore[arg-type]
    assert caught.value.code == code
    assert word in caught.value.message
    assert iteration_of(tmp_path / checkpoint.NAME) == 2


def test_changed_new_and_gone_frames_are_told_when_a_training_goes_on(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = saved(frames, tmp_path / "out")
    name = Trainer(plan).corpus.train[0].name
    picture = np.array(Image.open(frames / name))
    Image.fromarray(picture[::-1].copy()).save(frames / name)
    assert Trainer(plan).resume()
    assert f"changed: {name}" in capsys.readouterr().err


def test_frames_that_would_cross_into_validation_are_refused(frames: Path, tmp_path: Path) -> None:
    plan = replace(saved(frames, tmp_path / "out"), validation_fraction=0.5)
    assert len(Trainer(plan).corpus.validation) > 1
    with pytest.raises(SemdaemonError) as caught:
        loop.train(plan)
    assert caught.value.code == "another_split"


def test_another_length_is_told_and_goes_on(
    frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = saved(frames, tmp_path)
    loop.train(replace(plan, iterations=5))
    assert "Planned for 4 iterations before, now for 5 iterations" in capsys.readouterr().err
    assert iteration_of(tmp_path / checkpoint.NAME) == 5


def test_a_loss_that_is_no_number_ends_the_training_with_the_last_good_checkpoint(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = saved(frames, tmp_path)
    monkeypatch.setattr(learner, "loss", lambda *a: loss(*a) * float("nan"))
    with pytest.raises(SemdaemonError) as caught:
        loop.train(plan)
    assert caught.value.code == "loss_not_finite"
    assert "of iteration 2" in caught.value.message
    assert "--learning-rate" in caught.value.remedy
    assert iteration_of(tmp_path / checkpoint.NAME) == 2
    kept = checkpoint.read_average(tmp_path / checkpoint.NAME)
    assert all(bool(value.isfinite().all()) for value in kept.values())


def test_weights_that_are_no_numbers_are_never_saved(frames: Path, tmp_path: Path) -> None:
    """Where a finite loss had an infinite gradient: the loss would only tell at the next step."""
    plan = saved(frames, tmp_path)
    trainer = Trainer(plan)
    trainer.resume()
    trainer.learner.average["fine.head.weight"][0] = float("nan")
    with pytest.raises(SemdaemonError) as caught:
        trainer.save()
    assert caught.value.code == "loss_not_finite"
    assert "of iteration 2" in caught.value.message
    assert iteration_of(tmp_path / checkpoint.NAME) == 2


def test_a_batch_too_large_for_the_accelerator_says_what_to_make_smaller(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    plan = saved(frames, tmp_path)
    monkeypatch.setattr(learner, "loss", full)
    with pytest.raises(SemdaemonError) as caught:
        loop.train(plan)
    assert caught.value.code == "out_of_memory"
    assert "batch of 1 and a crop of 32 px" in caught.value.message
    assert "--batch" in caught.value.remedy
    assert iteration_of(tmp_path / checkpoint.NAME) == 2


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_a_clear_error(frames: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SemdaemonError) as caught:
        loop.train(loop.Plan(data=frames, out=tmp_path, spec=TINY, recipe=FAST, device=name))
    assert caught.value.code == "device_missing"
    assert name in caught.value.message
    assert "\n" not in caught.value.message
    assert "--device" in caught.value.remedy


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_a_device_that_other_programs_have_filled_is_not_called_missing(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(SemdaemonError) as caught:
        loop.train(loop.Plan(data=frames, out=tmp_path, spec=TINY, recipe=FAST, device=name))
    assert caught.value.code == "out_of_memory"
    assert "End what else uses the device" in caught.value.remedy


def test_gpus_older_than_bfloat16_train_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    of_card = {"H100": (9, 0), "A100": (8, 0), "T4": (7, 5)}
    found = {}
    for card, capability in of_card.items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        found[card] = multiplies_bfloat16(torch.device("cuda"))
    assert found == {"H100": True, "A100": True, "T4": False}


def test_a_slow_first_run_does_not_shrink_the_validation() -> None:
    """A GPU spends seconds on choosing its kernels, once."""
    blank = np.zeros((16, 16), np.float32)
    pairs = tuple(Pair(0, 50, blank, blank) for _ in range(8 * len(CONDITIONS)))
    pauses_s = iter([0.05])

    def warming(seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        time.sleep(next(pauses_s, 0))
        return seen

    assert len(bounded(pairs, warming, budget_s=1.0)) == len(pairs)
    assert len(bounded(pairs, lambda seen: time.sleep(0.05) or seen, budget_s=0.7)) == 2 * len(CONDITIONS)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 1 MiB, where one may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root on Linux only")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False
    ).returncode:
        pytest.skip("a small file system may not be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_at_a_checkpoint_is_told_and_the_last_good_one_is_intact(
    frames: Path, small_disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "CHECKPOINT_EVERY_S", 0.0)  # at every step
    plan = saved(frames, small_disk)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 4096))
    with pytest.raises(SemdaemonError) as caught:
        loop.train(plan)
    assert caught.value.code == "checkpoint_not_saved"
    assert "Free " in caught.value.remedy
    assert "The training goes on." in capsys.readouterr().err
    assert iteration_of(small_disk / checkpoint.NAME) == 2
    assert not list(small_disk.glob("*.part"))
    filler.unlink()
    assert iteration_of(loop.train(plan)) == 4


def started(frames: Path, out: Path, *arguments: str) -> subprocess.Popen[str]:
    """A training of its own process that goes on for long, and has begun."""
    code = (
        "import sys; from dataclasses import replace; from semdaemon.training import course, loop;"
        "from semdaemon.training.plan import NETWORKS;"
        "course.CHECKPOINT_EVERY_S = 0.2;"
        "NETWORKS['light'] = replace(NETWORKS['light'], filters=4, blocks=1);"
        "sys.exit(loop.main(sys.argv[1:]))"
    )
    options = ["--data", str(frames), "--out", str(out), "--batch", "1", "--crop", "32", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *options, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("iteration"):
            return process
    raise AssertionError(f"it ended with {process.wait()}")


@ON_POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_saves_and_says_how_to_go_on(
    frames: Path, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> torch.Tensor:
        signal.raise_signal(number)
        return loss(*arguments)

    plan, before = saved(frames, tmp_path), signal.getsignal(number)
    monkeypatch.setattr(learner, "loss", interrupted)
    with pytest.raises(TrainingStoppedError) as caught:
        loop.train(plan)
    assert caught.value.exit_code == 128 + number
    assert "at iteration 3 (75 % of the plan), saved" in caught.value.message
    assert "same command" in caught.value.remedy
    assert iteration_of(tmp_path / checkpoint.NAME) == 3  # the step under way was ended, and nothing lost
    assert signal.getsignal(number) is before


@ON_POSIX
def test_a_signal_to_the_whole_group_leaves_the_workers_to_the_training(frames: Path, tmp_path: Path) -> None:
    """As Ctrl-C and timeout(1) send it: workers that died of it would take the step under way with them."""
    process = started(frames, tmp_path, "--iterations", "100000", "--workers", "1")
    os.killpg(process.pid, signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "saved" in said
    assert iteration_of(tmp_path / checkpoint.NAME) > 0


def test_a_killed_training_goes_on_from_its_last_checkpoint(frames: Path, tmp_path: Path) -> None:
    process = started(frames, tmp_path, "--iterations", "100000")
    path = tmp_path / checkpoint.NAME
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    before = iteration_of(path)
    header = checkpoint.read_header(path)
    recipe = adapted(OURS, 1, None, None, 32)
    spec = NetworkSpec(**header["spec"])
    plan = loop.Plan(data=frames, out=tmp_path, spec=spec, recipe=recipe, iterations=before + 1)
    assert iteration_of(loop.train(plan)) == before + 1


def test_a_slice_of_time_ends_with_code_zero_and_leaves_weights_to_carry(
    frames: Path, tmp_path: Path
) -> None:
    plan = replace(saved(frames, tmp_path), iterations=10**6, stop_after_minutes=0.005)
    with pytest.raises(TrainingStoppedError) as caught:
        loop.train(plan)
    assert caught.value.exit_code == 0
    assert "end of its slice of time" in caught.value.message
    assert checkpoint.read_average(tmp_path / checkpoint.AVERAGE)
