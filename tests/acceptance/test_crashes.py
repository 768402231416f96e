"""kill -9 at every step: nothing is paid twice, nothing paid is lost, and no trace of the dead process stays."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import calls
from acceptance.processes import check_all_told, ended, finish, kill, line, resumed, start, states, until
from calls import fal_environ, fault, pictures, told
from hoasi import Studio
from hoasi.sandbox import Sandbox, serving_in_thread

pytestmark = pytest.mark.process
BANANA, FLUX = "fal-ai/nano-banana", "fal-ai/flux/schnell"
ASK = {"prompt": "a quiet balcony", "job_id": "job-1", "scene_ids": ["SC_01"]}
STEPS = [
    # where the process dies, what the next one makes of it, how often the provider was asked to make it
    ("hoasi.presence:FileLock.acquire:after", None, 0),
    ("hoasi.presence:Presence.enter:after", None, 0),
    ("hoasi.opening:Desk.remember_folders:before", None, 0),
    ("hoasi.opening:Desk.remember_folders:after", None, 0),
    ("hoasi.engine:open_all:after", "succeeded", 1),
    ("hoasi.inputs:remember:before", "succeeded", 1),
    ("hoasi.ledger:Ledger.take_place:before", "succeeded", 1),
    ("hoasi.ledger:Ledger.take_place:after", "unknown", 0),
    ("hoasi.wire:Wire.pay:before", "unknown", 0),
    ("hoasi.spool:_settle:before", "unknown", 1),
    ("hoasi.spool:_settle:after", "succeeded", 1),
    ("hoasi.wire:Wire.pay:after", "succeeded", 1),
    ("hoasi.line:Line.hold:before", "succeeded", 1),
    ("hoasi.line:Line.hold:after", "succeeded", 1),
    ("hoasi.following:until_ready:before", "succeeded", 1),
    ("hoasi.following:until_ready:after", "succeeded", 1),
    ("hoasi.providers.fal:Fal.collect:before", "succeeded", 1),
    ("hoasi.providers.fal:Fal.collect:after", "succeeded", 1),
    ("hoasi.artifacts:_pour:before", "succeeded", 1),
    ("hoasi.artifacts:_pour:after", "succeeded", 1),
    ("hoasi.artifacts:_settle:before", "succeeded", 1),
    ("hoasi.files:_fill:after:1", "succeeded", 1),
    ("hoasi.files:sync_folder:before:1", "succeeded", 1),
    ("hoasi.bringing:finish:before", "succeeded", 1),
    ("hoasi.bringing:finish:after", "succeeded", 1),
    ("hoasi.scribe:Scribe._tell_one:before", "succeeded", 1),
    ("hoasi.files:_fill:before:2", "succeeded", 1),
    ("hoasi.files:_fill:after:2", "succeeded", 1),
    ("hoasi.exports.asset_semantics:write:after", "succeeded", 1),
    ("hoasi.exports.joblog:write:before", "succeeded", 1),
    ("hoasi.files:_fill:after:3", "succeeded", 1),
    ("hoasi.exports.joblog:write:after", "succeeded", 1),
    ("hoasi.scribe:told:after", "succeeded", 1),
    ("hoasi.scribe:Scribe._tell_one:after", "succeeded", 1),
    ("hoasi.scribe:Scribe.close:before", "succeeded", 1),
    ("hoasi.ledger:Ledger.release:before", "succeeded", 1),
]


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.1, pictures="tiny")


@pytest.fixture
def url(sandbox: Sandbox) -> Iterator[str]:
    """The sandbox, in a thread: it survives everybody."""
    with serving_in_thread(sandbox) as address:
        yield address


@pytest.mark.parametrize(("place", "state", "submissions"), STEPS, ids=[step[0] for step in STEPS])
def test_a_process_may_die_at_any_step(
    place: str, state: str | None, submissions: int, workspace: Path, url: str, sandbox: Sandbox
) -> None:
    """Killed exactly there, resumed by another process: the right end, one submission at most, everything told."""
    Image.new("RGB", (64, 64)).save(workspace / "ref.png")
    ask = {**ASK, "references": ["ref.png"], "no_faces": True} if "inputs" in place else ASK
    process = start(workspace, url, ask, die=place)
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.communicate()
    reply = resumed(workspace, url)
    assert [entry.state for entry in reply.generations] == ([state] if state else [])
    assert sandbox.stats()["submissions"] == submissions
    assert len(pictures(workspace)) == (state == "succeeded")
    check_all_told(workspace)


@pytest.mark.parametrize(
    ("at", "counter", "state"),
    [
        ("submit", "posts_received", "unknown"),
        ("stream", "streams", "succeeded"),
        ("download", "downloads", "succeeded"),
    ],
)
def test_a_process_may_die_while_it_waits_for_a_reply(
    at: str, counter: str, state: str, workspace: Path, url: str, sandbox: Sandbox
) -> None:
    """Killed from outside in the middle of an exchange; only a submission whose reply was lost is unknown."""
    sandbox.faults.add(fault(at, "hang"))
    process = start(workspace, url, ASK)
    until(lambda: sandbox.stats()[counter] == 1)
    kill(process)
    assert [entry.state for entry in resumed(workspace, url).generations] == [state]
    assert sandbox.stats()["submissions"] == 1
    check_all_told(workspace)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_may_die_while_it_cancels(when: str, workspace: Path, url: str, sandbox: Sandbox) -> None:
    """The wish is written down: the next process carries it out."""
    sandbox.change(latency_s=600, cancel_stops_running=True)
    process = start(workspace, url, ASK)
    until(lambda: sandbox.stats()["streams"] == 1)
    kill(process)
    process = start(workspace, url, ASK, cancel=True, die=f"hoasi.providers.fal:Fal.cancel:{when}")
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.communicate()
    assert [(entry.state, entry.paid) for entry in resumed(workspace, url).generations] == [("cancelled", "no")]
    check_all_told(workspace)


def test_a_dead_process_is_followed_by_who_waits_for_the_same(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """Two ask for one picture; the one that works on it is killed; the other, who had nothing to do, brings it home."""
    sandbox.change(latency_s=600)
    first = start(workspace, url, ASK)
    until(lambda: sandbox.stats()["streams"] == 1)
    second = start(workspace, url, ASK)
    line(second, "begun")
    kill(first)
    until(lambda: sandbox.stats()["streams"] == 2)
    assert finish(url) == 1
    assert ended(second) == ["succeeded"]
    assert sandbox.stats()["submissions"] == 1
    check_all_told(workspace)


def test_a_dead_process_is_followed_by_who_is_at_work(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """A process at work on something else takes over what a dead one had paid for, without being asked."""
    sandbox.change(latency_s=600)
    first = start(workspace, url, ASK)
    until(lambda: sandbox.stats()["streams"] == 1)
    second = start(workspace, url, {**ASK, "model": FLUX})
    until(lambda: sandbox.stats()["streams"] == 2)
    kill(first)
    until(lambda: sandbox.stats()["streams"] == 3)
    assert finish(url, model=BANANA) == 1
    until(lambda: states(workspace)[0] == "succeeded")
    assert finish(url, model=FLUX) == 1
    assert ended(second) == ["succeeded"]
    assert states(workspace) == ["succeeded", "succeeded"]
    resumed(workspace, url)
    assert (sandbox.stats()["submissions"], sandbox.stats()["downloads"]) == (2, 2)
    check_all_told(workspace)


def test_a_sleeping_process_keeps_its_work(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """A laptop that slept, or a stopped process, is not dead: nobody takes its work, and it goes on when it wakes."""
    sandbox.change(latency_s=600)
    process = start(workspace, url, ASK)
    until(lambda: sandbox.stats()["streams"] == 1)
    os.kill(process.pid, signal.SIGSTOP)
    seen = [entry.state for entry in resumed(workspace, url).generations]
    assert finish(url) == 1
    os.kill(process.pid, signal.SIGCONT)
    assert seen == ["running"]
    assert ended(process) == ["succeeded"]
    assert sandbox.stats()["downloads"] == 1
    check_all_told(workspace)


def test_a_starting_process_tells_what_a_dead_one_could_not(workspace: Path, url: str) -> None:
    """Finished, but killed before the log was written: the next process writes it without being asked for anything."""
    process = start(workspace, url, ASK, die="hoasi.scribe:Scribe._tell_one:before")
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.communicate()

    async def stand_by() -> None:
        async with Studio(workspace, environ=fal_environ(url)) as studio:
            studio.start()
            await calls.until(lambda: told(workspace) != [])

    asyncio.run(stand_by())
    check_all_told(workspace)


def test_the_command_line_resumes_what_was_killed(workspace: Path, url: str, sandbox: Sandbox) -> None:
    """`hoasi generate`, kill -9, `hoasi resume`: exit 0, the picture is there; again: nothing to do, exit 0."""
    command = [sys.executable, "-m", "hoasi.cli", "--workspace", str(workspace), "--json"]
    environ = {**os.environ, **fal_environ(url)}
    sandbox.change(latency_s=600)
    generate = [*command, "generate", "--prompt", "a kite", "--job", "job-1"]
    process = subprocess.Popen(generate, env=environ, stdout=subprocess.PIPE, text=True)
    until(lambda: sandbox.stats()["streams"] == 1)
    kill(process)
    assert finish(url) == 1
    answers = []
    for _ in range(2):
        done = subprocess.run([*command, "resume"], env=environ, capture_output=True, text=True, check=True)
        answers.append(json.loads(done.stdout))
    assert [[g["state"] for g in answer["generations"]] for answer in answers] == [["succeeded"], []]
    assert sandbox.stats()["submissions"] == 1
    check_all_told(workspace)
