"""A call answers before its client gives up; the work goes on without it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from tooling import Connect, let_go, submitted, told, until

from hoasi.answers import Progress
from hoasi.catalogue import load
from hoasi.sandbox import Sandbox
from hoasi.settings import Settings
from hoasi.tools import _waiting
from hoasi.tools._client import ANYBODY, PATIENCE, patience_s
from hoasi.tools._waiting import _phase

pytestmark = pytest.mark.anyio

CALL = {"prompt": "a quiet balcony", "scene_id": "SC_01"}


async def test_a_handle_comes_in_time_and_the_picture_later(connect: Connect, sandbox: Sandbox) -> None:
    """When the wait is over a normal result names the running work and the call that finishes it."""
    sandbox.change(latency_s=600)
    async with connect() as client:
        reply = told(await client.call_tool("generate_image", {**CALL, "wait_seconds": 0.5}))
        (entry,) = reply["generations"]
        assert entry["state"] in {"queued", "submitting", "running"}
        assert reply["next"] == f'get_generations(ids=["{entry["id"]}"])'
        assert reply["poll_after_seconds"] > 0
        assert entry["expected_seconds"] > 0
        await submitted(sandbox, 1)
        let_go(sandbox)
        final = told(await client.call_tool("get_generations", {"ids": [entry["id"]]}))
    assert (final["generations"][0]["state"], final["cost_usd"]) == ("succeeded", 0.039)
    assert sandbox.stats()["submissions"] == 1


async def test_a_call_that_was_given_up_does_not_stop_the_work(connect: Connect, sandbox: Sandbox) -> None:
    """The cancelled call's picture is finished, the repeated call gets it, and it was paid once."""
    sandbox.change(latency_s=600)
    async with connect() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "generate_image", CALL)
            await submitted(sandbox, 1)
            group.cancel_scope.cancel()
        let_go(sandbox)
        reply = told(await client.call_tool("generate_image", CALL))
    assert reply["generations"][0]["state"] in {"succeeded", "skipped_existing"}
    assert sandbox.stats()["submissions"] == 1


async def test_a_repeat_joins_what_runs(connect: Connect, sandbox: Sandbox) -> None:
    """Two equal calls at once share one paid generation, also with `overwrite`."""
    sandbox.change(latency_s=600)
    replies: list[dict[str, Any]] = []

    async def call(client: Client, **more: Any) -> None:
        replies.append(told(await client.call_tool("generate_image", {**CALL, **more})))

    async with connect() as client, anyio.create_task_group() as group:
        group.start_soon(call, client)
        await submitted(sandbox, 1)
        for _ in range(2):
            handle = told(await client.call_tool("generate_image", {**CALL, "overwrite": True, "wait_seconds": 0}))
        let_go(sandbox)
    assert replies[0]["generations"][0]["id"] == handle["generations"][0]["id"]
    assert sandbox.stats()["submissions"] == 1


async def test_giving_up_in_the_middle_of_the_decision_leaves_nothing_half_done(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancellation during `begin` waits for its end: all pictures of the batch are set to work, or none."""
    from hoasi.engine import Engine

    inside, finished = anyio.Event(), anyio.Event()
    real = Engine.begin

    async def slow(self: Engine, *args: Any, **more: Any) -> Any:
        inside.set()
        await anyio.sleep(0.05)
        batch = await real(self, *args, **more)
        finished.set()
        return batch

    monkeypatch.setattr(Engine, "begin", slow)
    async with connect() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "generate_image", CALL)
            await inside.wait()
            group.cancel_scope.cancel()
        await finished.wait()
        await submitted(sandbox, 1)
        told(await client.call_tool("generate_image", CALL))
    assert sandbox.stats()["submissions"] == 1


async def test_progress_is_told_at_once_and_grows(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first report comes before anything is finished; numbers grow, words are Vietnamese with counts."""
    monkeypatch.setattr(_waiting, "HEARTBEAT_S", 0.2)
    sandbox.change(latency_s=600)
    heard: list[tuple[float, float | None, str | None]] = []
    is_first = anyio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))
        is_first.set()

    prompts = [{"scene_id": f"S{k}", "prompt": f"a kite {k}"} for k in range(3)]

    async def call(client: Client) -> None:
        await client.call_tool("generate_batch", {"prompts": prompts}, progress_callback=hear)

    async with connect() as client, anyio.create_task_group() as group:
        group.start_soon(call, client)
        await is_first.wait()
        assert sandbox.stats()["results"] == 0
        await submitted(sandbox, 2)
        await until(lambda: len(heard) >= 2)
        let_go(sandbox)
    numbers = [number for number, _, _ in heard]
    assert numbers == sorted(set(numbers))
    assert {total for _, total, _ in heard} == {3}
    assert all("/3" in (words or "") or "3 mục" in (words or "") for _, _, words in heard)
    assert all("3 ảnh" in (words or "") for _, _, words in heard)


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        ({"queued": 3}, "queued"),
        ({"queued": 2, "working": 1}, "working"),
        ({"working": 2, "done": 1}, "working"),
        ({"working": 2, "fetching": 1, "done": 1}, "working"),
        ({"working": 1, "fetching": 1, "queued": 1, "done": 1}, "working"),
        ({"working": 2, "fetching": 2, "done": 1}, "fetching"),
        ({"done": 2, "failed": 1}, "working"),
    ],
)
def test_the_phase_is_where_most_would_say_it_stands(counts: dict[str, int], phase: str) -> None:
    """In a line while all wait; on the way home once nothing else is left to do; else at work."""
    numbers = {"total": 3, "done": 0, "failed": 0, "working": 0, "queued": 0, **counts}
    assert _phase(Progress(**numbers)) == phase


async def test_what_is_made_is_counted_by_kind(connect: Connect, sandbox: Sandbox) -> None:
    """Several pictures of one request count as so many."""
    heard: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    async with connect() as client:
        call = {"prompt": "a kite", "num_images": 4}
        told(await client.call_tool("generate_image", call, progress_callback=hear))
    assert "4 ảnh" in heard[0]


# ---------------------------------------------------------------------- how long it takes


async def test_a_handle_says_how_long_it_usually_takes_here(
    connect: Connect, workspace: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card's word until three results are known, then their median; the pause is what is left, 5 to 60 s."""
    monkeypatch.setenv("HOASI_WAIT_SECONDS", "0")
    monkeypatch.setenv("HOASI_FAL_CONCURRENCY", "8")
    card = next(card.typical_s for card in load("fal").cards if card.id == "fal-ai/nano-banana")
    sandbox.change(latency_s=600)

    async def handle(client: Client, number: int) -> dict[str, Any]:
        reply = told(await client.call_tool("generate_image", {"prompt": f"a kite {number}"}))
        await submitted(sandbox, number)
        (entry,) = told(await client.call_tool("get_generations", {"ids": [reply["generations"][0]["id"]]}))[
            "generations"
        ]
        return {**reply, **entry}

    async with connect() as client:
        ids = []
        for number in (1, 2, 3):
            reply = await handle(client, number)
            ids.append(reply["id"])
            assert reply["expected_seconds"] == card
            assert 5.0 <= reply["poll_after_seconds"] <= card
        let_go(sandbox)
        await client.call_tool("get_generations", {"ids": ids, "wait_seconds": 20})
        for number, seconds in ((1, 20.0), (2, 31.0), (3, 500.0)):
            lasted(workspace, f"a kite {number}", seconds)
        sandbox.change(latency_s=600)
        reply = await handle(client, 4)
        assert reply["expected_seconds"] == 31.0
        assert 25.0 < reply["poll_after_seconds"] <= 31.0
        began(workspace, "a kite 4", seconds_ago=20.0)
        again = told(await client.call_tool("get_generations", {"ids": [reply["id"]]}))
        assert again["generations"][0]["expected_seconds"] == 31.0
        assert 5.0 <= again["poll_after_seconds"] <= 11.0


def lasted(workspace: Path, prompt: str, seconds: float) -> None:
    """As if it had taken so long."""
    with closing(sqlite3.connect(workspace / ".hoasi" / "ledger.db")) as db, db:
        db.execute("UPDATE generation SET duration_s=? WHERE planned LIKE ?", (seconds, f"%{prompt}%"))


def began(workspace: Path, prompt: str, *, seconds_ago: float) -> None:
    """As if it had been sent so long ago."""
    with closing(sqlite3.connect(workspace / ".hoasi" / "ledger.db")) as db, db:
        db.execute(
            "UPDATE generation SET submitted_at=submitted_at-? WHERE planned LIKE ?", (seconds_ago, f"%{prompt}%")
        )


async def test_silence_never_lasts_longer_than_a_heartbeat(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing changes the same words come again, with a greater number."""
    monkeypatch.setattr(_waiting, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(_waiting, "LOOK_S", 0.05)
    sandbox.change(latency_s=600)
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)
        if len(heard) == 6:
            let_go(sandbox)

    async with connect() as client:
        reply = told(await client.call_tool("generate_image", CALL, progress_callback=hear))
    assert reply["generations"][0]["state"] == "succeeded"
    assert heard == sorted(set(heard))


async def test_cancelling_takes_back_what_was_chosen(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All unfinished generations of a job are cancelled, others go on; then everything; then there is nothing."""
    monkeypatch.setenv("HOASI_FAL_CONCURRENCY", "1")
    sandbox.change(latency_s=600, cancel_stops_running=True)
    async with connect() as client:
        other = told(await client.call_tool("generate_image", {**CALL, "wait_seconds": 0}))["generations"][0]["id"]
        await until(lambda: sandbox.stats()["streams"] == 1)
        await client.call_tool("generate_from_creative_plan", {"job_id": "job-1", "wait_seconds": 0})
        of_job = told(await client.call_tool("cancel_generations", {"all_of_job": "job-1"}))
        still = told(await client.call_tool("get_generations", {"ids": [other], "wait_seconds": 0}))
        everything = told(await client.call_tool("cancel_generations", {"everything": True}))
        nothing = told(await client.call_tool("cancel_generations", {"everything": True}))
    assert [entry["state"] for entry in of_job["generations"]] == ["cancelled", "cancelled"]
    assert still["generations"][0]["state"] == "running"
    assert [(e["id"], e["state"]) for e in everything["generations"]] == [(other, "cancelled")]
    assert nothing.get("generations", []) == []
    assert sandbox.stats()["submissions"] == 1


# ---------------------------------------------------------------------- patience


class Asked:
    """As much of a call's context as `patience_s` looks at."""

    def __init__(self, client: str, *, wants_progress: bool) -> None:
        from types import SimpleNamespace as Bare

        self.session = Bare(client_params=Bare(client_info=Bare(name=client)))
        self.request_context = Bare(meta={"progress_token": 1} if wants_progress else {})


def wait_of(settings: Settings, client: str, wanted: float | None = None, *, wants_progress: bool = False) -> float:
    return patience_s(Asked(client, wants_progress=wants_progress), settings, wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("client", "silent_s", "progress_s"),
    [
        ("claude-code", 110, 110),
        ("codex-mcp-client", 240, 240),
        ("copilot-cli", 150, 240),
        ("opencode", 50, 240),
        ("gemini-cli-mcp-client", 240, 240),
        ("GitHub Copilot for JetBrains", 25, 25),
        ("claude-ai", 45, 45),
        ("Visual Studio Code", 45, 45),
        ("somebody", 45, 45),
        ("", 45, 45),
    ],
)
def test_the_wait_fits_the_client(workspace: Any, client: str, silent_s: float, progress_s: float) -> None:
    """Every known client gets its measured limit with a margin; everybody else less than a minute."""
    settings = Settings(workspace=workspace, environ={})
    assert wait_of(settings, client) == silent_s
    assert wait_of(settings, client, wants_progress=True) == progress_s


def test_the_call_and_the_environment_decide_first(workspace: Any) -> None:
    """`wait_seconds` wins over HOASI_WAIT_SECONDS, which wins over the table; zero is a value."""
    settings = Settings(workspace=workspace, environ={"HOASI_WAIT_SECONDS": "7"})
    assert wait_of(settings, "claude-code") == 7
    assert wait_of(settings, "claude-code", 0) == 0


def test_no_wait_is_longer_than_the_hardest_limit() -> None:
    """Codex hangs up after 300 s whatever we tell it, and an unknown client after 60 s."""
    assert max(row.progress_s for row in PATIENCE) < 300
    assert ANYBODY.progress_s < 60


async def test_an_impatient_setting_reaches_the_tool(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HOASI_WAIT_SECONDS=0 gives every call its handle at once."""
    monkeypatch.setenv("HOASI_WAIT_SECONDS", "0")
    sandbox.change(latency_s=600)
    async with connect() as client:
        reply = told(await client.call_tool("generate_image", CALL))
        await submitted(sandbox, 1)
    assert reply["next"].startswith("get_generations")
