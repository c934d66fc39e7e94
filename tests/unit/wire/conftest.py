"""A publisher on free ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from semdaemon.settings import Publish
from semdaemon.wire.publisher import Publisher

MakePublisher = Callable[..., Publisher]


@pytest.fixture
def make_publisher() -> Iterator[MakePublisher]:
    """Make started publishers; they are closed after the test."""
    made: list[Publisher] = []

    def make(status: Callable[[], dict[str, Any]] | None = None, **settings: Any) -> Publisher:
        chosen = {
            "endpoint": "tcp://127.0.0.1:*",
            "control": "tcp://127.0.0.1:*",
            "heartbeat_s": 0.1,
            **settings,
        }
        made.append(Publisher(Publish(**chosen), status=status).start())
        return made[-1]

    yield make
    for publisher in made:
        publisher.close(linger_s=0)
