"""What kind of fault an exception in the worker process is; torch tells most of them by their text alone."""

from __future__ import annotations

import re
from typing import Literal

Fault = Literal["out_of_memory", "accelerator_fault", "worker_exception"]

# As torch 2.x, CUDA, cuDNN, cuBLAS and MPS write them; compared in lower case.
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "alloc_failed",
    "cannot allocate memory",
    "unable to allocate",
    "could not create a primitive",  # oneDNN says no more than that where it gets no scratch memory
)
_ACCELERATOR = re.compile(r"cuda|cudnn|cublas|\bhip error|\bmps\b|accelerator|\bdriver error")


def kind_of(error: BaseException) -> Fault:
    """Classify what a job raised."""
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error).lower()
    if isinstance(error, MemoryError) or "OutOfMemoryError" in names:
        return "out_of_memory"
    if not ({"RuntimeError", "OSError"} & names):
        return "worker_exception"
    if any(words in text for words in _NO_MEMORY):
        return "out_of_memory"
    if "AcceleratorError" in names or _ACCELERATOR.search(text):
        return "accelerator_fault"
    return "worker_exception"


def ends_the_process(error: BaseException) -> bool:
    """True where no later answer of this process may be trusted.

    A CUDA fault stays until the process exits (pytorch#81620). An accelerator error that tells of memory
    may be one of them as well, unlike torch's own `OutOfMemoryError`.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    return kind_of(error) == "accelerator_fault" or "AcceleratorError" in names
