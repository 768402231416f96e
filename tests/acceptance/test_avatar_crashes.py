"""kill -9 while the three angles of an avatar are made: each is bought once, and the rerun makes what is missing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.processes import start
from calls import person
from fundamentals.test_avatars import ANGLE, ANGLES, CONFIRM, THREE, Atelier, portraits
from fundamentals.test_clips import states
from hoasi import avatars
from hoasi.sandbox import Sandbox, serving_in_thread

pytestmark = pytest.mark.process
PLACES = [
    "hoasi.engine:open_all:after",
    "hoasi.ledger:Ledger.take_place:after:2",
    "hoasi.wire:Wire.pay:after:2",
    "hoasi.line:Line.hold:after:1",
    "hoasi.line:Line.hold:after:3",
    "hoasi.bringing:finish:after:1",
    "hoasi.fixed_names:lay:before:1",
]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Small pictures, but none below the 300 px that Kling takes; this process looks often, and believes soon."""
    monkeypatch.setattr("hoasi.sandbox.easel._TINY_SIDE", 420)
    monkeypatch.setattr("hoasi.sandbox.easel._TINY_LONGEST", 1000)
    monkeypatch.setattr("hoasi.pace.Schedule.wait_s", lambda *_: 0.02)
    monkeypatch.setattr("hoasi.flow.ARRIVAL_S", 0.2)
    monkeypatch.setattr("hoasi.flow.ARRIVAL_POLL_S", 0.05)
    return Sandbox(latency_s=0.05, pictures="tiny")


@pytest.fixture
def atelier(sandbox: Sandbox, workspace: Path) -> Iterator[Atelier]:
    """An avatar whose portrait was chosen; the sandbox survives everybody."""
    person(workspace / "a.png")
    with serving_in_thread(sandbox) as url:
        made = Atelier(workspace, url)
        asyncio.run(made.made(portraits(("a.png",))))
        asyncio.run(made.chosen())
        yield made


@pytest.mark.parametrize("place", PLACES)
def test_the_angles_may_die_at_any_step(place: str, atelier: Atelier, workspace: Path, sandbox: Sandbox) -> None:
    """Killed exactly there and asked for again: three purchases, three files, nothing half-done."""
    ask = {"requests": [r.model_dump(mode="json") for r in ANGLES.requests()], "output_dir": "avatars/lan"}
    process = start(workspace, atelier.environ["HOASI_ARK_URL"], ask, die=place, environ=atelier.environ)
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.communicate()
    again = [state.replace("skipped_existing", "succeeded") for state in states(asyncio.run(atelier.made(ANGLES)))]
    assert again == ["succeeded"] * 3
    assert sandbox.stats()["models"][ANGLE] == 3
    assert [name for name in atelier.files() if name.endswith(".png")] == [*THREE, *CONFIRM, "portrait.png"]
    assert avatars.load(workspace, "lan").missing == ()
