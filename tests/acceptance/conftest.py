"""What acceptance tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from acceptance import processes


@pytest.fixture(autouse=True)
def nobody_survives() -> Iterator[None]:
    """However a test ends, its workers end with it."""
    yield
    while processes.STARTED:
        process = processes.STARTED.pop()
        if process.poll() is None:
            processes.kill(process)
