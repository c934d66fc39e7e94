"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def _data_root() -> Path:
    return Path(os.environ.get("SEMDAEMON_TEST_DATA", HERE.parent.parent / "shared" / "data"))


def _need(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"real SEM data are not on this machine ({folder.name}/); set SEMDAEMON_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def sem_data() -> Path:
    """Folder with ``train/``, ``heldout/`` and ``index.csv`` (real SEM frames)."""
    return _need(_data_root() / "sem")


@pytest.fixture(scope="session")
def vendor_data() -> Path:
    """Folder with files as instruments wrote them."""
    return _need(_data_root() / "vendor")
