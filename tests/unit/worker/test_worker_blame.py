"""The decision table of docs/worker.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from semdaemon.worker.blame import DEATHS, SUSPICIOUS, blame
from semdaemon.worker.faults import ends_the_process, kind_of

PAGE = (Path(__file__).parents[3] / "docs" / "worker.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", sorted(SUSPICIOUS | DEATHS))
@pytest.mark.parametrize(("passed", "guilty"), [(None, "undecided"), (True, "frame"), (False, "worker")])
def test_the_probe_decides_after_deaths_and_after_what_a_sick_device_could_cause(
    code: str, passed: bool | None, guilty: str
) -> None:
    if code == "out_of_memory" and passed is False:
        guilty = (
            "undecided"  # a process whose memory is in pieces fails the picture too: a fresh one can tell
        )
    assert blame(code, passed) == guilty


def test_a_refusal_in_words_is_the_frames_own_whatever_a_probe_says() -> None:
    for passed in (None, True, False):
        assert blame("region_too_small", passed) == "frame"


def test_the_page_names_every_code_of_the_table() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert named >= DEATHS | SUSPICIOUS | {"worker_gone", "worker_sick", "probe_failed", "quarantined"}


class OutOfMemoryError(RuntimeError):
    """As torch names its own."""


class AcceleratorError(RuntimeError):
    """As torch names its own."""


@pytest.mark.parametrize(
    ("error", "kind", "ends"),
    [
        (MemoryError(), "out_of_memory", False),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory", False),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
         "out_of_memory", False),
        (RuntimeError("MPS backend out of memory (MPS allocated: 7 GB)"), "out_of_memory", False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
         "out_of_memory", False),
        (RuntimeError("could not create a primitive"), "out_of_memory", False),
        (AcceleratorError("CUDA error: out of memory"), "out_of_memory", True),
        (AcceleratorError("CUDA error: an illegal memory access was encountered"), "accelerator_fault", True),
        (AcceleratorError("unspecified launch failure"), "accelerator_fault", True),
        (RuntimeError("CUDA error: device-side assert triggered"), "accelerator_fault", True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "accelerator_fault", True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "worker_exception", False),
        (RuntimeError("the frame's timestamps are odd"), "worker_exception", False),
        (ValueError("a frame about cuda barracudas"), "worker_exception", False),
        (OSError(12, "Cannot allocate memory"), "out_of_memory", False),
    ],
)  # fmt: skip
def test_faults_are_told_apart_by_type_and_by_torchs_words(error: Exception, kind: str, ends: bool) -> None:
    assert kind_of(error) == kind
    assert ends_the_process(error) is ends


def test_torchs_own_errors_are_recognised() -> None:
    import torch

    assert kind_of(torch.OutOfMemoryError("no room")) == "out_of_memory"
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert kind_of(caught.value) == "out_of_memory"
