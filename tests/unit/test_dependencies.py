"""What is installed with semdaemon: licences that a lab and a company may use, and pinned versions in CI."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

ALLOWED = re.compile(
    r"\b(0BSD|BSD|MIT|MIT-CMU|Apache|ISC|MPL|Mozilla Public License|PSF|Python Software Foundation|Zlib|"
    r"CC0|BSL-1\.0|Boost|Public Domain|Unlicense)\b"
)
REFUSED = re.compile(r"\b[AL]?GPL|GNU|SSPL|Commons Clause|proprietary", re.IGNORECASE)
TESTS_ALONE = {
    "pymmcore": "LGPL-2.1: the device interface, for micromanager.python_backend alone",
    "mm-test-adapters": "states no licence; Micro-Manager's own adapters, installed for the tests alone",
}


def installed_with(requirements: list[str]) -> set[str]:
    """Names of everything that these requirements bring on this machine."""
    found: set[str] = set()
    pending = [Requirement(text) for text in requirements]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        extras = ["", *requirement.extras]
        wanted = requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras)
        if not wanted or name in found:
            continue
        found.add(name)
        try:
            brings = distribution(name).requires or []
        except PackageNotFoundError:
            found.discard(name)
            continue
        for text in brings:
            other = Requirement(text)
            if other.marker is None or any(other.marker.evaluate({"extra": extra}) for extra in extras):
                other.marker = None
                pending.append(other)
    return found


def licence_of(name: str) -> str:
    """What a distribution says of its licence: expression, classifiers, or the first line of its text.

    One that says nothing of the kind is taken by the first line of its licence file.
    """
    about = distribution(name).metadata
    classifiers = [text.split("::")[-1] for text in about.get_all("Classifier") or [] if "License ::" in text]
    text = (about.get("License") or "").strip().splitlines()
    said = [about.get("License-Expression") or "", *classifiers, *text[:1]]
    return " ".join(said if any(said) else [*_first_lines(name)])


def _first_lines(name: str) -> list[str]:
    """The first line of each licence file that a distribution brings."""
    files = distribution(name).files or []
    texts = [file.read_text() for file in files if "dist-info" in str(file) and "LICEN" in file.name]
    return [text.strip().splitlines()[0] for text in texts]


CORE = sorted(installed_with(PROJECT["dependencies"]))
EXTRAS = sorted(
    installed_with([each for extra in PROJECT["optional-dependencies"].values() for each in extra])
    - set(CORE)
)


def test_the_walk_finds_what_is_known_to_be_there() -> None:
    assert {"numpy", "torch", "starlette", "anyio", "pydantic-core"} <= set(CORE)
    assert {"pytest", "pycromanager", "pyjavaz"} <= set(EXTRAS)


@pytest.mark.parametrize("name", CORE)
def test_the_core_brings_permissive_licences_alone(name: str) -> None:
    licence = licence_of(name)
    assert ALLOWED.search(licence), f"{name}: {licence!r}"
    assert not REFUSED.search(licence), f"{name}: {licence!r}"


@pytest.mark.parametrize("name", [name for name in EXTRAS if name not in TESTS_ALONE])
def test_extras_bring_permissive_licences_too(name: str) -> None:
    licence = licence_of(name)
    assert ALLOWED.search(licence), f"{name}: {licence!r}"
    assert not REFUSED.search(licence), f"{name}: {licence!r}"


def test_every_dependency_is_pinned_for_ci_and_installed_as_pinned() -> None:
    lines = (REPOSITORY / "config" / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    named = [
        *PROJECT["dependencies"],
        *(r for extra in PROJECT["optional-dependencies"].values() for r in extra),
    ]
    missing = sorted({canonicalize_name(Requirement(text).name) for text in named} - pinned.keys())
    assert missing == []
    differing = {
        name: distribution(name).version
        for name, version in pinned.items()
        if name in {*CORE, *EXTRAS}
        and distribution(name).version.partition("+")[0] != version.partition("+")[0]
    }
    assert differing == {}
