"""A provider's report is a reason to ask, never an answer: it ends a pause; forged or repeated it changes nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from mcp.client import Client

from calls import fal_environ, fault, until
from hoasi import pace
from hoasi.ledger import Ledger
from hoasi.sandbox import Sandbox
from hoasi.sandbox.kling_callbacks import KLING_WEBHOOK_SECRET
from hoasi.server import build

pytestmark = pytest.mark.anyio


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody polls for an hour: only a report can end the waiting."""
    monkeypatch.setattr(pace.Schedule, "wait_s", lambda *_: 3600.0)


@pytest.fixture
async def address(workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Our HTTP server, and a provider that knows where to report to and tells its progress in no other way."""
    sandbox.faults.add(fault("stream", "5xx", times=0))
    place = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{place.getsockname()[1]}"
    for name, value in fal_environ(fal, CALLBACK_BASE_URL=url).items():
        monkeypatch.setenv(name, value)
    config = uvicorn.Config(build(workspace).streamable_http_app(), log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[place]))
    while not server.started:  # noqa: ASYNC110  (uvicorn gives no event)
        await asyncio.sleep(0.01)
    yield url
    server.should_exit = server.force_exit = True
    await task
    place.close()


async def make(url: str, **arguments: Any) -> dict[str, Any]:
    """One picture, asked for through the server."""
    async with Client(f"{url}/mcp") as client:
        given = {"prompt": "a kite", "job_id": "job-1", "wait_seconds": 60, **arguments}
        result = await client.call_tool("generate_image", given)
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def test_a_report_ends_the_waiting(patient: None, address: str, sandbox: Sandbox) -> None:
    """The result is asked for when the provider says that it is there, and not before."""
    task = await at_work(address, sandbox)
    sandbox.line.finish()
    assert (await task)["generations"][0]["state"] == "succeeded"
    stats = sandbox.stats()
    assert (stats["submissions"], stats["polls"], stats["webhooks_delivered"]) == (1, 1, 1)


async def test_klings_reports_end_the_waiting_too(
    patient: None, address: str, workspace: Path, fal: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed with the secret of its console, at every change."""
    for name, value in (("KLING_API_KEY", "kling-5f3c9a-key"), ("HOASI_KLING_URL", f"{fal}/kling")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KLING_WEBHOOK_SECRET", KLING_WEBHOOK_SECRET)
    sandbox.change(latency_s=600)
    task = asyncio.create_task(make(address, provider="kling"))
    with closing(
        Ledger(workspace / ".hoasi" / "ledger.db")
    ) as ledger:  # what is reported before its receipt is in hand is lost
        await until(lambda: any(generation.handle for generation in ledger.find()[0]))
    assert sandbox.line.finish() == 1
    assert (await task)["generations"][0]["state"] == "succeeded"
    assert sandbox.stats()["webhooks_delivered"] >= 1
    assert sandbox.stats()["submissions"] == 1


async def test_what_is_forged_or_repeated_changes_nothing(patient: None, address: str, sandbox: Sandbox) -> None:
    """Without the provider's signature nothing is asked; with it only once, however often it comes."""
    task = await at_work(address, sandbox)
    (submission,) = sandbox.line._all.values()
    body = b'{"request_id": "%s", "status": "OK", "payload": {"images": []}}' % submission.id.encode()
    signed = signed_by(sandbox, "a-report-of-its-own", body)
    async with httpx.AsyncClient(base_url=address) as world:
        wrong = {**signed, "x-fal-webhook-signature": "00" * 64}
        for headers, content in (({}, body), (wrong, body), (signed, body + b" ")):
            assert (await world.post("/callbacks/fal", content=content, headers=headers)).status_code == 401
        assert sandbox.stats()["polls"] == 0
        for _ in range(3):
            assert (await world.post("/callbacks/fal", content=body, headers=signed)).status_code == 204
        await until_polled(sandbox, 1)
        assert (await world.post("/callbacks/local", content=body)).status_code == 404
        assert (await world.post("/callbacks/nobody", content=body)).status_code == 404
        assert (await world.get("/callbacks/fal")).status_code == 405
        assert (await world.post("/callbacks/fal", content=bytes(2_000_000), headers=signed)).status_code == 401
        assert sandbox.stats()["polls"] == 1
        assert not task.done(), "a report was believed"
        sandbox.line.end(submission)
    assert (await task)["generations"][0]["state"] == "succeeded"


async def at_work(address: str, sandbox: Sandbox) -> asyncio.Task[dict[str, Any]]:
    """A picture that its provider works on for ten minutes; its stream is refused, so nothing but polls would tell."""
    sandbox.change(latency_s=600)
    task = asyncio.create_task(make(address))
    while not sandbox.stats()["streams"]:  # noqa: ASYNC110  (the engine makes it so)
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    return task


async def until_polled(sandbox: Sandbox, times: int) -> None:
    """Asked so often, and after a moment still no oftener."""
    while sandbox.stats()["polls"] < times:  # noqa: ASYNC110  (the sandbox makes it so)
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)


def signed_by(sandbox: Sandbox, request_id: str, body: bytes) -> dict[str, str]:
    """Headers as fal would send them."""
    from hoasi.sandbox.fal_webhooks import Webhooks
    from hoasi.sandbox.fal_work import Work

    headers: dict[str, str] = Webhooks(sandbox, Work(sandbox))._signed(request_id, body)
    return {name.lower(): value for name, value in headers.items()}
