"""What a survey says, in messages and to people."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from semdaemon.focus.artefacts import Artefact
from semdaemon.focus.astigmatism import Astigmatism
from semdaemon.focus.axes import Region
from semdaemon.focus.plane import Plane
from semdaemon.focus.sentences import sentences, stored_sentences, towards
from semdaemon.focus.step import Step
from semdaemon.focus.survey import Survey
from semdaemon.frame import Area

PAGE = Path(__file__).parents[3] / "docs" / "wire-format.md"
PLANE = Plane(3.9, 0.2, 24.6, 0.3, 0.4, 2.9, 0.7, True, False, 95)
AXES = Astigmatism("astigmatism", 3.4, 1.9, 112.0, 8.2, 77)
FULL = Survey(
    artefacts=(Artefact("lettering", 1),),
    plane=PLANE,
    astigmatism=AXES,
    regions=(Region(Area(0, 0, 512, 640), Astigmatism("cannot_tell", significance=2.1, tiles=19)),),
)


def keys(value: Any) -> Any:
    """The keys of nested objects, without their values."""
    if isinstance(value, dict):
        return {key: keys(item) for key, item in value.items()}
    return [keys(item) for item in value] if isinstance(value, list) else None


def test_the_pages_example_has_the_keys_that_are_sent() -> None:
    found = re.search(r"<!-- the tests compare these keys.*?```json\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert found is not None
    shown, sent = json.loads(found[1]), FULL.as_json(5e-3)
    assert keys(shown) == keys({name: sent[name] for name in shown})
    assert shown["artefacts"][0]["message"] == sent["artefacts"][0]["message"]  # type: ignore[index]


def test_it_is_plain_json_whatever_is_unknown() -> None:
    for survey in (FULL, Survey(), Survey(astigmatism=Astigmatism("cannot_tell"))):
        json.dumps(survey.as_json(), allow_nan=False)
    assert math.isnan(Astigmatism("round").sigma_long_px)


@pytest.mark.parametrize("aperture_rad", [None, 5e-3])
def test_the_journal_says_the_same_as_the_frame_did(aperture_rad: float | None) -> None:
    level = Plane(0.2, 0.2, 0.0, 0.0, 0.1, 1.0, 0.7, False, False, 95)
    stepped = replace(level, step=Step(0.9, 3.125, 20.5, -40.25, 8.5))
    for survey in (
        FULL,
        Survey(plane=stepped),
        Survey(plane=level, astigmatism=Astigmatism("round")),
        Survey(),
    ):
        stored = json.loads(json.dumps(survey.as_json(aperture_rad)))
        assert stored_sentences(stored) == sentences(survey, aperture_rad)


def test_facts_of_another_version_are_left_out_one_by_one() -> None:
    stored = {**FULL.as_json(), "plane": {"tilted": True}, "astigmatism": "round"}
    assert [sentence.text for sentence in stored_sentences(stored)] == [FULL.artefacts[0].message]
    assert stored_sentences({}) == []


def test_people_are_told_what_asks_for_attention_and_what_does_not() -> None:
    said = {sentence.text: sentence.warns for sentence in sentences(FULL, 5e-3)}
    assert any(text.startswith("tilted: 3.9 ± 0.2 px") and "sample tilted by 57" in text for text in said)
    assert any(text.startswith("astigmatic: 3.4 px of blur along 112°, 1.9 px across") for text in said)
    assert all(said.values())
    level = Plane(0.2, 0.2, 0.0, 0.0, 0.1, 1.0, 0.7, False, False, 95)
    calm = sentences(Survey(plane=level, astigmatism=Astigmatism("round")))
    assert [sentence.warns for sentence in calm] == [False, False]
    assert "less than 0.6 px" in calm[0].text


@pytest.mark.parametrize(
    ("direction_deg", "words"),
    [(0, "to the right"), (92, "downwards"), (350, "to the right"), (225, "to the upper left")],
)
def test_directions_in_words(direction_deg: float, words: str) -> None:
    assert towards(direction_deg) == words
