"""Processes that run graphs are killed (SIGKILL) at every step of money: found where that can be, never made twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calls import check_invariants, pictures
from hoasi import Studio
from hoasi.answers import Reply
from hoasi.sandbox import Sandbox, serving_in_thread

from .processes import LIMIT_S, finish, kill, line, start, states, until

STEPS = [
    ("hoasi.ledger:Ledger.take_place:after", "succeeded", "unknown", 0),
    ("hoasi.wire:Wire.pay:before", "succeeded", "unknown", 0),
    ("hoasi.wire:Wire.pay:after", "succeeded", "succeeded", 1),
    ("hoasi.line:Line.hold:before", "succeeded", "succeeded", 1),
    ("hoasi.line:Line.hold:after", "succeeded", "succeeded", 1),
    ("hoasi.artifacts:fetch:before", "succeeded", "succeeded", 1),
    ("hoasi.artifacts:fetch:after", "succeeded", "succeeded", 1),
    ("hoasi.line:Line.end:before", "succeeded", "succeeded", 1),
]
"""Where it dies; how ComfyUI's ends (looked up, or sent where it never arrived), how RunPod's; what RunPod took."""


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.1, pictures="tiny")


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox, in a thread: it survives everybody."""
    with serving_in_thread(sandbox) as address:
        yield address


def environ(url: str) -> dict[str, str]:
    keys = {"RUNPOD_API_KEY": "rpa_5f3c9a7d1e2b", "HOASI_RUNPOD_URL": url, "HOASI_COMFYUI_URL": f"{url}/comfyui"}
    return {**keys, "RUNPOD_SERVER_100_ID": "wizard1", "POLLING_INTERVAL": "0.05"}


def resumed(workspace: Path, url: str) -> Reply:
    """The next process on this workspace (this one), after it brought everything to its end and left."""

    async def resume() -> Reply:
        async with Studio(workspace, environ=environ(url)) as studio:
            await studio.resume(timeout_s=LIMIT_S)
            return studio.list(limit=100)[0]

    return asyncio.run(resume())


def asked(provider: str) -> dict[str, Any]:
    """One picture; `runpod sync` goes by the door whose reply may hold the result."""
    name, _, is_sync = provider.partition(" ")
    options = {"options": {"sync": True}} if is_sync else {}
    return {"prompt": "a kite over a dike", "job_id": "job-1", "provider": name, **options}


@pytest.mark.parametrize("provider", ["comfyui", "runpod", "runpod sync"])
@pytest.mark.parametrize(("place", "found", "lost", "taken"), STEPS, ids=[step[0] for step in STEPS])
def test_a_process_may_die_at_any_step(
    provider: str,
    place: str,
    found: str,
    lost: str,
    taken: int,
    workspace: Path,
    url: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed exactly there, resumed by another process: one submission at most, and the right word for its end."""
    monkeypatch.setattr("hoasi.flow.ARRIVAL_S", 0.5)
    monkeypatch.setattr("hoasi.flow.ARRIVAL_POLL_S", 0.1)
    process = start(workspace, url, asked(provider), die=place, environ=environ(url))
    assert process.wait(timeout=LIMIT_S) == -signal.SIGKILL
    process.communicate()
    state, submissions = (found, 1) if provider == "comfyui" else (lost, taken)
    reply = resumed(workspace, url)
    assert [entry.state for entry in reply.generations] == [state]
    assert sandbox.stats()["submissions"] == submissions
    assert len(pictures(workspace)) == (state == "succeeded")
    check_invariants(workspace)


@pytest.mark.parametrize("provider", ["runpod", "runpod sync"])
def test_a_process_may_die_while_the_job_runs(provider: str, workspace: Path, url: str, sandbox: Sandbox) -> None:
    """Its id is on disk long before the job ends, by either door: the next process brings the picture home."""
    sandbox.change(latency_s=600)
    process = start(workspace, url, asked(provider), environ=environ(url))
    line(process, "begun")
    until(lambda: states(workspace) == ["running"])
    (job,) = sandbox.runpod._jobs.values()
    assert job.ended_at is None
    kill(process)
    assert job.ended_at is None
    assert finish(url) == 1
    reply = resumed(workspace, url)
    assert [(entry.state, sandbox.stats()["submissions"]) for entry in reply.generations] == [("succeeded", 1)]
    assert len(pictures(workspace)) == 1
    check_invariants(workspace)
