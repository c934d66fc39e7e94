"""Batches are the same whoever makes them: between the steps, or in processes ahead of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from semdaemon.refocus.networks import NetworkSpec
from semdaemon.training import checkpoint, feeding, loop
from semdaemon.training.corpus import Corpus, corpus_of_scenes
from semdaemon.training.feeding import feed, workers_for
from semdaemon.training.plan import NETWORKS, adapted, recipe_of
from semdaemon.training.recipe import MRN, OURS
from semdaemon.training.trainer import Trainer

TINY = NetworkSpec(filters=4, blocks=1, kernel=3, unshuffle=2, residual=True, detach=False)
FAST = replace(OURS, crop_px=32, batch=2)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return corpus_of_scenes(4, 96)


def batches(corpus: Corpus, start: int, count: int) -> list[torch.Tensor]:
    made = feed(corpus, FAST, 3, start=start, workers=0, pinned=False)
    return [torch.cat(pair) for pair in islice(made, count)]


def test_batches_depend_on_seed_and_number_alone(corpus: Corpus) -> None:
    whole, later = batches(corpus, 0, 5), batches(corpus, 2, 3)
    for a, b in zip(whole[2:], later, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(whole[0], whole[1])


def test_a_training_that_goes_on_from_weights_sees_other_crops_where_its_batches_are_counted_on(
    tmp_path: Path,
) -> None:
    torch.set_num_threads(1)
    first = loop.Plan(data=None, out=tmp_path, spec=TINY, recipe=FAST, iterations=6)
    later = replace(first, first_batch=2)
    a, b = (Trainer(plan, corpus_of_scenes(4, 96)) for plan in (first, later))
    third = [a.supply.take(0) for _ in range(3)][2]
    torch.testing.assert_close(b.supply.take(0), third, rtol=0, atol=0)


@pytest.mark.timeout(400)  # a process that imports torch
def test_a_training_that_goes_on_with_a_worker_ends_like_one_without_in_one_piece(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    plan = loop.Plan(data=None, out=tmp_path / "a", spec=TINY, recipe=FAST, iterations=6)
    whole = checkpoint.read_average(loop.train(plan))
    cut = replace(plan, out=tmp_path / "b", workers=1)
    trainer = Trainer(replace(cut, workers=0))
    for _ in range(2):
        trainer.step()
    trainer.save()
    halves = checkpoint.read_average(loop.train(cut))
    for name, value in whole.items():
        torch.testing.assert_close(value, halves[name], rtol=0, atol=0)


def test_pairs_are_made_between_the_steps_on_a_cpu_and_ahead_of_them_on_a_gpu() -> None:
    assert workers_for(torch.device("cpu"), None) == 0
    assert 1 <= workers_for(torch.device("cuda"), None) <= 8
    assert workers_for(torch.device("cuda"), 3) == 3


@pytest.mark.parametrize(("free_mib", "expected"), [(4096, (8, 4)), (64, (8, 1)), (32, (5, 1)), (1, (1, 1))])
def test_workers_keep_to_a_container_s_small_shared_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mib: int, expected: tuple[int, int]
) -> None:
    monkeypatch.setattr(feeding, "_SHARED", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_mib * 2**20))
    assert feeding.fitting(8, MRN) == expected  # ten pairs of 256 px are 5 MiB


@pytest.mark.gpu
def test_the_mrn_trains_on_a_gpu_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    recipe = adapted(recipe_of("mrn", "ours"), 2, None, None, 64)
    plan = loop.Plan(
        data=None, out=tmp_path, spec=NETWORKS["mrn"], recipe=recipe, iterations=4, device="cuda"
    )
    trainer = Trainer(plan)
    trainer.step()
    trainer.save()
    assert checkpoint.read_header(loop.train(plan))["progress"]["iteration"] == 4
