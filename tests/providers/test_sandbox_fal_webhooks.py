"""The sandbox tells the end of a request to whoever asked for it, signed as fal signs; our own check believes it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from aiohttp import web

from hoasi import webhooks
from hoasi.sandbox import Fault, Sandbox, serving
from hoasi.sandbox.faults import At, Kind

pytestmark = pytest.mark.anyio
BANANA, VEO = "fal-ai/nano-banana", "fal-ai/veo3.1"


class Mailbox:
    """A real server that takes deliveries and answers as told, 200 when nothing is."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[int] = []
        self.received: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((dict(request.headers), await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 200, headers={"Location": self.url})


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    box, app = Mailbox(), web.Application()
    app.router.add_post("/hook", box.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    box.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield box
    await runner.cleanup()


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.02, pictures="tiny")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers={"Authorization": "Key k"}) as client:
        yield client


async def submit(http: httpx.AsyncClient, hook: str, model: str = BANANA) -> dict[str, Any]:
    answer = await http.post(f"/{model}?fal_webhook={quote(hook, safe='')}", json={"prompt": "a kite"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def settled(sandbox: Sandbox) -> None:
    await asyncio.gather(*sandbox._errands, return_exceptions=True)


async def keys(http: httpx.AsyncClient) -> tuple[bytes, ...]:
    async with httpx.AsyncClient() as keyless:
        return webhooks.fal_keys((await keyless.get(f"{http.base_url}/.well-known/jwks.json")).content)


@pytest.mark.parametrize("model", [BANANA, VEO])
async def test_a_finished_request_is_told_signed_with_its_result(
    http: httpx.AsyncClient, sandbox: Sandbox, mailbox: Mailbox, model: str
) -> None:
    """The delivery names the request, carries the same result that can be asked for, and its signature is genuine."""
    receipt = await submit(http, mailbox.url, model)
    await settled(sandbox)
    ((headers, body),) = mailbox.received
    name = webhooks.fal(headers, body, keys=await keys(http), now=time.time())
    assert name == receipt["request_id"] == receipt["gateway_request_id"] == webhooks.request_of_fal(body)
    result = (await http.get(receipt["response_url"])).json()
    assert json.loads(body) == {
        "request_id": name,
        "gateway_request_id": name,
        "status": "OK",
        "payload": result,
    }
    assert headers["Content-Type"] == "application/json"
    stats = sandbox.stats()
    assert (stats["webhook_posts"], stats["webhooks_delivered"], stats["submissions"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("at", "kind", "value", "status", "payload_type"),
    [
        ("status", "completed_error", "content_policy_violation", 422, "content_policy_violation"),
        ("status", "completed_error", "runner_server_error", 500, None),
    ],
)
async def test_a_failed_request_is_told_with_its_error(
    http: httpx.AsyncClient,
    sandbox: Sandbox,
    mailbox: Mailbox,
    at: At,
    kind: Kind,
    value: str,
    status: int,
    payload_type: Any,
) -> None:
    """The delivery of a failure has the status of the error in words and the body of the error as payload."""
    sandbox.faults.add(Fault(at=at, kind=kind, value=value))
    receipt = await submit(http, mailbox.url)
    await settled(sandbox)
    ((headers, body),) = mailbox.received
    webhooks.fal(headers, body, keys=await keys(http), now=time.time())
    told = json.loads(body)
    assert (told["status"], told["error"]) == ("ERROR", f"Invalid status code: {status}")
    assert told["payload"] == (await http.get(receipt["response_url"])).json()
    if payload_type:
        assert told["payload"]["detail"][0]["type"] == payload_type


@pytest.mark.parametrize(
    ("answers", "posts", "delivered"),
    [([500], 2, 1), ([500, 404, 429], 4, 1), ([500] * 9, 4, 0), ([302, 200], 1, 0), ([204], 1, 1)],
)
async def test_delivery_is_tried_again_until_taken(
    http: httpx.AsyncClient, sandbox: Sandbox, mailbox: Mailbox, answers: list[int], posts: int, delivered: int
) -> None:
    """After anything but 2xx it is tried three times more, the same body under the same id; a redirect ends it."""
    mailbox.answers = answers
    await submit(http, mailbox.url)
    await settled(sandbox)
    assert len(mailbox.received) == posts
    assert len({body for _, body in mailbox.received}) == 1
    assert len({headers["X-Fal-Webhook-Request-Id"] for headers, _ in mailbox.received}) == 1
    assert (sandbox.stats()["webhook_posts"], sandbox.stats()["webhooks_delivered"]) == (posts, delivered)


async def test_nobody_at_home_is_no_accident(http: httpx.AsyncClient, sandbox: Sandbox, mailbox: Mailbox) -> None:
    """Where nobody listens the sandbox gives up after four tries, and the result can be asked for as ever."""
    receipt = await submit(http, "http://127.0.0.1:1/hook")
    await settled(sandbox)
    assert (sandbox.stats()["webhook_posts"], sandbox.stats()["webhooks_delivered"]) == (4, 0)
    assert (await http.get(receipt["response_url"])).status_code == 200


async def test_nothing_beyond_this_machine_is_called(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A webhook at another host is accepted, as the live service does, but the sandbox calls no stranger."""
    receipt = await submit(http, "https://example.com/hook")
    await http.get(receipt["status_url"] + "/stream")
    await settled(sandbox)
    assert sandbox.stats()["webhook_posts"] == 0


async def test_each_sandbox_has_its_own_key(http: httpx.AsyncClient, sandbox: Sandbox, mailbox: Mailbox) -> None:
    """What one sandbox signs another one's key does not fit; its own stays the same as long as it lives."""
    await submit(http, mailbox.url)
    await settled(sandbox)
    ((headers, body),) = mailbox.received
    async with serving(Sandbox()) as url, httpx.AsyncClient(base_url=url) as other:
        with pytest.raises(webhooks.Forged, match="signature"):
            webhooks.fal(headers, body, keys=await keys(other), now=time.time())
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url) as again:
        assert await keys(again) == await keys(http)


async def test_closing_forgets_what_was_to_be_told(mailbox: Mailbox) -> None:
    """A sandbox that ends takes its deliveries with it: none is left running."""
    sandbox = Sandbox(latency_s=60)
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers={"Authorization": "Key k"}) as http:
        await submit(http, mailbox.url)
        assert len(sandbox._errands) == 1
    await settled(sandbox)
    assert mailbox.received == []
