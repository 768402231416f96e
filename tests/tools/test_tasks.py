"""Tasks (SEP-2663): a client that knows them gets a handle at once, and later what the tool would have said."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.client import Client
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitResult, Result
from tasking import Patient, ask, begun, ended
from test_consent import User, records, with_photo
from test_server import KEY, Process, generations, over_http, running, wait_for
from tooling import Connect, fault, let_go, refused, submitted, told

from acceptance.processes import finish
from hoasi.errors import FileBroken
from hoasi.extensions.tasks import ID
from hoasi.sandbox import Sandbox, serving_in_thread
from hoasi.tools._options import Making

CALL = {"prompt": "a quiet balcony", "scene_id": "SC_01"}
MODERN = "2026-07-28"


@pytest.fixture
def era() -> str:
    """Tasks are of the era without sessions; the handshake era has a test of its own."""
    return MODERN


def rows(workspace: Path) -> list[Any]:
    """Tasks on disk."""
    with closing(sqlite3.connect(f"file:{workspace / '.hoasi' / 'ledger.db'}?mode=ro", uri=True)) as db:
        return db.execute("SELECT id, status FROM task ORDER BY created_at").fetchall()


@pytest.mark.anyio
async def test_a_task_brings_what_the_tool_would_have_answered(
    connect: Connect, sandbox: Sandbox, workspace: Path
) -> None:
    """The handle comes while the provider works and is on disk by then; the result is that of a client that waits."""
    sandbox.change(latency_s=600)
    plain: list[Any] = []

    async def wait_for_it() -> None:
        async with connect() as client:
            plain.append(await client.call_tool("generate_image", CALL))

    async with connect(extensions=[Patient()]) as client, anyio.create_task_group() as group:
        task = await begun(client, "generate_image", CALL)
        assert (task.status, task.ttl_ms) == ("working", None)
        assert rows(workspace) == [(task.task_id, "working")]
        group.start_soon(wait_for_it)
        await submitted(sandbox, 1)
        seen = await ask(client.session, "tasks/get", task.task_id)
        assert (seen.status, seen.result, seen.created_at) == ("working", None, task.created_at)
        assert 1000 <= (seen.poll_interval_ms or 0) <= 15_000
        assert "1" in seen.status_message
        let_go(sandbox)
        seen = await ended(client.session, task.task_id)
        again = await ask(client.session, "tasks/get", task.task_id)
    assert seen.status == "completed"
    assert seen.result == plain[0].model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta"})
    assert told(plain[0])["generations"][0]["state"] == "succeeded"
    assert again == seen
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.anyio
async def test_a_client_that_knows_tasks_need_not_know_more(connect: Connect, sandbox: Sandbox) -> None:
    """An ordinary call of the SDK's client ends with the finished picture; nobody else sees a difference."""
    patient = Patient()
    async with connect(extensions=[patient]) as client:
        reply = told(await client.call_tool("generate_image", CALL))
    assert (reply["generations"][0]["state"], reply["cost_usd"]) == ("succeeded", 0.039)
    assert len(patient.tasks) == 1
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.anyio
async def test_what_needs_no_waiting_is_answered_at_once(connect: Connect, sandbox: Sandbox, workspace: Path) -> None:
    """Previews, refusals, pictures that are there, and tools that make nothing: results, not tasks."""
    patient = Patient()
    async with connect(extensions=[patient]) as client:
        assert told(await client.call_tool("generate_image", {**CALL, "dry_run": True}))["generations"]
        assert refused(await client.call_tool("generate_image", {}))["key"] == "arguments_wrong"
        assert refused(await client.call_tool("generate_image", {**CALL, "max_cost_usd": 0.001}))["paid"] == "no"
        assert not (workspace / ".hoasi" / "ledger.db").exists() or rows(workspace) == []
        told(await client.call_tool("generate_image", CALL))
        there = told(await client.call_tool("generate_image", CALL))
        told(await client.call_tool("list_generations", {}))
        told(await client.call_tool("get_generations", {"ids": [there["generations"][0]["id"]]}))
    assert there["generations"][0]["state"] == "skipped_existing"
    assert len(patient.tasks) == len(rows(workspace)) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("era", ["legacy", MODERN])
async def test_who_does_not_declare_tasks_gets_none(connect: Connect, workspace: Path, era: str) -> None:
    """A plain call has a plain result; questions about tasks are refused: -32601 before 2026-07-28, else -32021."""
    async with connect() as client:
        told(await client.call_tool("generate_image", CALL))
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            with pytest.raises(MCPError) as refusal:
                await ask(client.session, method, "task-0")
            assert refusal.value.error.code == (-32601 if era == "legacy" else -32021)
    assert rows(workspace) == []


@pytest.mark.anyio
async def test_the_handshake_era_knows_no_task(connect: Connect, workspace: Path, monkeypatch: Any) -> None:
    """A client that declares the extension in an older protocol still gets results."""
    from hoasi.server import build

    async with Client(build(workspace), mode="legacy", extensions=[advertise(ID)]) as client:
        told(await client.call_tool("generate_image", {**CALL, "provider": "local"}))
    assert rows(workspace) == []


@pytest.mark.anyio
async def test_a_task_that_nobody_keeps_is_an_error(connect: Connect, workspace: Path) -> None:
    """-32602 for an id that is not known; asking leaves an untouched workspace untouched."""
    async with connect(extensions=[Patient()]) as client:
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            with pytest.raises(MCPError) as refusal:
                await ask(client.session, method, "task-0")
            assert refusal.value.error.code == -32602
    assert not (workspace / ".hoasi").exists()


@pytest.mark.anyio
async def test_a_failed_picture_is_a_completed_task(connect: Connect, sandbox: Sandbox) -> None:
    """What the provider refuses ends the task as `completed`: the call's answer tells what went wrong, and the cost."""
    sandbox.faults.add(fault("status", "completed_error", value="internal error"))
    async with connect(extensions=[Patient()]) as client:
        task = await begun(client, "generate_image", CALL)
        seen = await ended(client.session, task.task_id)
    assert (seen.status, (seen.result or {})["isError"]) == ("completed", False)
    (entry,) = (seen.result or {})["structuredContent"]["generations"]
    assert (entry["state"], entry["error"]["kind"]) == ("failed", "ProviderRefused")


@pytest.mark.anyio
async def test_an_answer_that_cannot_be_given_is_a_completed_task_with_an_error(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that fails at its end: `completed` and isError, and it stays so; `failed` is for the protocol alone."""
    is_broken = False

    def broken(_: Making, __: Any, reply: Any) -> Any:
        if is_broken:
            raise FileBroken("avatar_broken", file="x", where="line 1")
        return reply

    monkeypatch.setattr(Making, "told", broken)
    async with connect(extensions=[Patient()]) as client:
        task = await begun(client, "generate_image", CALL)
        is_broken = True
        seen = await ended(client.session, task.task_id)
        is_broken = False
        again = await ask(client.session, "tasks/get", task.task_id)
    assert seen.status == "completed"
    assert seen.result is not None
    assert seen.result["isError"] is True
    assert again == seen


@pytest.mark.anyio
async def test_what_is_followed_no_longer_ends_its_task(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a tool would stop waiting, the task ends too; its answer says that the work is open, and how to go on."""

    async def broken(_: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("hoasi.runner.advance", broken)
    async with connect(extensions=[Patient()]) as client:
        task = await begun(client, "generate_image", CALL)
        seen = await ended(client.session, task.task_id)
    reply = (seen.result or {})["structuredContent"]
    assert (seen.status, reply["generations"][0]["state"]) == ("completed", "queued")
    assert reply["next"].startswith("get_generations(")


@pytest.mark.anyio
async def test_a_call_of_another_version_keeps_its_pictures(
    connect: Connect, sandbox: Sandbox, workspace: Path
) -> None:
    """Arguments that we no longer understand do not hide what was made for them."""
    sandbox.change(latency_s=600)
    async with connect(extensions=[Patient()]) as client:
        task = await begun(client, "generate_image", CALL)
        with closing(sqlite3.connect(workspace / ".hoasi" / "ledger.db", isolation_level=None)) as db:
            db.execute("UPDATE task SET arguments=?", ('{"words": "of another time"}',))
        await submitted(sandbox, 1)
        let_go(sandbox)
        seen = await ended(client.session, task.task_id)
    assert (seen.result or {})["structuredContent"]["generations"][0]["state"] == "succeeded"


# ---------------------------------------------------------------------- consent, cancelling


@pytest.mark.anyio
async def test_consent_is_asked_before_there_is_a_task(
    connect: Connect, sandbox: Sandbox, workspace: Path, photo: str
) -> None:
    """The question is part of the call; accepted, the call becomes a task, whose picture comes."""
    user, patient = User(shows="consent_given", words="Lan ok"), Patient()
    async with connect("lan-client", extensions=[patient], elicitation_callback=user) as client:
        reply = told(await client.call_tool("generate_image", with_photo(photo)))
    assert reply["generations"][0]["state"] == "succeeded"
    assert (len(user.questions), len(patient.tasks)) == (1, 1)
    assert [record["words"] for record in records(workspace)] == ["Lan ok"]
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.anyio
async def test_a_no_is_no_task(connect: Connect, sandbox: Sandbox, photo: str) -> None:
    """Declined: an error at once, nothing sent, no task."""
    patient = Patient()

    async def decline(*_: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    async with connect(extensions=[patient], elicitation_callback=decline) as client:
        assert refused(await client.call_tool("generate_image", with_photo(photo)))["key"] == "consent_declined"
    assert patient.tasks == []
    assert sandbox.stats()["posts_received"] == 0


@pytest.mark.anyio
async def test_a_cancelled_task_takes_its_pictures_back(
    connect: Connect, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty acknowledgement at once; then `cancelled`, without a result, saying what it cost; and again the same."""
    monkeypatch.setenv("HOASI_FAL_CONCURRENCY", "1")
    sandbox.change(latency_s=600, cancel_stops_running=True)
    prompts = [{"scene_id": f"S{k}", "prompt": f"a kite {k}"} for k in range(3)]
    async with connect(extensions=[Patient()]) as client:
        task = await begun(client, "generate_batch", {"prompts": prompts})
        await submitted(sandbox, 1)
        for _ in range(2):
            done: Result = await ask(client.session, "tasks/cancel", task.task_id)
            assert set(done.model_dump(exclude_none=True)) <= {"meta", "result_type"}
        seen = await ended(client.session, task.task_id)
        await ask(client.session, "tasks/cancel", task.task_id)
        assert await ask(client.session, "tasks/get", task.task_id) == seen
        listed = told(await client.call_tool("list_generations", {}))["generations"]
    assert (seen.status, seen.result) == ("cancelled", None)
    assert "$" in seen.status_message
    assert {entry["state"] for entry in listed} == {"cancelled"}
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.anyio
async def test_cancelled_too_late_is_completed(connect: Connect, sandbox: Sandbox) -> None:
    """What the provider finishes all the same is kept, paid once and told."""
    sandbox.change(latency_s=600, cancel_stops_running=False)
    async with connect(extensions=[Patient()]) as client:
        task = await begun(client, "generate_image", CALL)
        await submitted(sandbox, 1)
        await ask(client.session, "tasks/cancel", task.task_id)
        let_go(sandbox)
        seen = await ended(client.session, task.task_id)
    assert seen.status == "completed"
    assert seen.result is not None
    assert seen.result["structuredContent"]["generations"][0]["state"] == "succeeded"


@pytest.mark.anyio
async def test_a_task_of_ours_asks_for_nothing(connect: Connect, sandbox: Sandbox) -> None:
    """`tasks/update` is acknowledged and changes nothing: answers to what was never asked are ignored."""
    sandbox.change(latency_s=600)
    async with connect(extensions=[Patient()]) as client:
        task = await begun(client, "generate_image", CALL)
        await ask(client.session, "tasks/update", task.task_id, input_responses={"never": {"action": "accept"}})
        assert (await ask(client.session, "tasks/get", task.task_id)).status == "working"
        let_go(sandbox)
        assert (await ended(client.session, task.task_id)).status == "completed"


# ---------------------------------------------------------------------- HTTP


def body(method: str, declared: bool = True, **params: Any) -> dict[str, Any]:
    """A request of the era without sessions."""
    capabilities = {"extensions": {ID: {}}} if declared else {}
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}


@pytest.mark.process
@pytest.mark.anyio
async def test_over_http_the_header_names_the_task(workspace: Path) -> None:
    """A task over HTTP ends like any other; a header that names another task, or none, is refused: 400 and -32020."""
    patient = Patient()
    with over_http(workspace) as url:
        async with Client(url, mode=MODERN, extensions=[patient]) as client:
            reply = told(await client.call_tool("generate_image", {"prompt": "a kite", "provider": "local"}))
            assert reply["generations"][0]["state"] == "succeeded"
            (task,) = patient.tasks
            assert (await ask(client.session, "tasks/get", task.task_id)).status == "completed"
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": MODERN}
        async with httpx.AsyncClient(headers={**headers, "Mcp-Method": "tasks/get"}) as http:
            for name in ({"Mcp-Name": "task-0"}, {}):
                answer = await http.post(url, json=body("tasks/get", taskId=task.task_id), headers=name)
                assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)
            listen = body("subscriptions/listen", declared=False, notifications={"taskIds": [task.task_id]})
            answer = await http.post(url, json=listen, headers={"Mcp-Method": "subscriptions/listen"})
            assert answer.json()["error"]["code"] == -32021


# ---------------------------------------------------------------------- kill -9


def called(server: Process, method: str, **params: Any) -> dict[str, Any]:
    """Ask a process, as a client that knows tasks."""
    return server.answer(server.send(method, **body(method, **params)["params"]))


def until_ended(server: Process, task_id: str) -> dict[str, Any]:
    """Ask until it has ended."""
    while (seen := called(server, "tasks/get", taskId=task_id))["status"] == "working":
        time.sleep(0.05)
    return seen


@pytest.mark.process
def test_a_task_survives_kill_9(workspace: Path) -> None:
    """Killed while the provider works: the next server knows the task and brings its picture; one submission."""
    sandbox = Sandbox(latency_s=600, pictures="tiny")
    with serving_in_thread(sandbox) as url:
        environ = dict.fromkeys(("HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_FAL_CDN_URL"), url) | {"FAL_KEY": KEY}
        with running(workspace, **environ) as server:
            task = called(server, "tools/call", name="generate_image", arguments=CALL)
            assert task["resultType"] == "task"
            wait_for(lambda: generations(workspace, "handle IS NOT NULL"))
            server.process.kill()
            server.process.wait()
        assert finish(url) == 1
        with running(workspace, **environ) as server:
            seen = until_ended(server, task["taskId"])
            server.rest()
    assert (seen["status"], seen["createdAt"]) == ("completed", task["createdAt"])
    (entry,) = seen["result"]["structuredContent"]["generations"]
    assert (entry["state"], entry["paid"], Path(entry["outputs"][0]).is_file()) == ("succeeded", "yes", True)
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.process
def test_work_that_was_only_intended_goes_on_when_its_task_is_asked_for(workspace: Path) -> None:
    """Killed before anything was sent: nobody works on what is queued, until somebody asks for the task."""
    sandbox = Sandbox(latency_s=600, pictures="tiny")
    prompts = [{"scene_id": f"S{k}", "prompt": f"a kite {k}"} for k in range(3)]
    with serving_in_thread(sandbox) as url:
        environ = dict.fromkeys(("HOASI_FAL_URL", "HOASI_FAL_REST_URL", "HOASI_FAL_CDN_URL"), url) | {"FAL_KEY": KEY}
        environ["HOASI_FAL_CONCURRENCY"] = "1"
        with running(workspace, **environ) as server:
            task = called(server, "tools/call", name="generate_batch", arguments={"prompts": prompts})
            wait_for(lambda: generations(workspace, "handle IS NOT NULL"))
            server.process.kill()
            server.process.wait()
        assert len(generations(workspace, "state = 'queued'")) == 2
        sandbox.change(latency_s=0.05)
        assert finish(url) == 1
        with running(workspace, **environ) as server:
            seen = until_ended(server, task["taskId"])
            server.rest()
    states = [entry["state"] for entry in seen["result"]["structuredContent"]["generations"]]
    assert (seen["status"], states) == ("completed", ["succeeded"] * 3)
    assert sandbox.stats()["submissions"] == 3


def test_ids_cannot_be_guessed(tmp_path: Path) -> None:
    """32 hexadecimal digits of chance."""
    from hoasi import tasks
    from hoasi.ledger import Ledger
    from hoasi.records import Batch

    with closing(Ledger(tmp_path / "ledger.db")) as ledger, ledger.transaction() as db:
        made = {tasks.keep(db, "generate_image", {}, Batch(ids=("a",))).id for _ in range(50)}
    assert len(made) == 50
    assert all(len(name) == len("task-") + 32 for name in made)


def test_the_answer_that_was_put_down_first_stands(tmp_path: Path) -> None:
    """Two that ask at the same end give the same answer; cancelling what has ended changes nothing."""
    from hoasi import tasks
    from hoasi.ledger import Ledger
    from hoasi.records import Batch

    with closing(Ledger(tmp_path / "ledger.db")) as ledger, ledger.transaction() as db:
        name = tasks.keep(db, "generate_image", {}, Batch(ids=("a",))).id
        first = tasks.end(db, name, "completed", {"is": "first"})
        tasks.unwanted(db, name)
        second = tasks.end(db, name, "cancelled", {"is": "second"})
    assert (first.result, first.status) == ({"is": "first"}, "completed")
    assert second == first
