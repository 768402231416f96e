"""Kling's keys and tokens, its slots, what can go wrong in its own words, and its callbacks."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calls import until
from hoasi import webhooks
from hoasi.sandbox import Fault, Sandbox, serving
from hoasi.sandbox.kling_auth import SECRET_KEY
from hoasi.sandbox.kling_callbacks import KLING_WEBHOOK_SECRET, signature
from hoasi.sandbox.kling_errors import ERRORS
from providers.kling_calls import KEY, PICTURES, TEXT, V1, accepted, end, problem, told

pytestmark = pytest.mark.anyio
NEW = "/text-to-video/kling-3.0"
KILOBYTES = "x" * 2000


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=600, pictures="tiny")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers=KEY, timeout=30) as client:
        yield client


def token(*, key: str = SECRET_KEY, algorithm: str = "HS256", **claims: Any) -> dict[str, str]:
    now = int(time.time())
    facts = {"iss": "access", "exp": now + 1800, "nbf": now - 5, **claims}
    with warnings.catch_warnings():  # the stand-in's secret is shorter than PyJWT likes
        warnings.simplefilter("ignore")
        signed = jwt.encode({name: value for name, value in facts.items() if value is not None}, key, algorithm)
    return {"Authorization": f"Bearer {signed}"}


class Ears:
    """A server that hears callbacks and answers with the next of some statuses, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self._news = anyio.Event()

    async def hear(self, request: Request) -> Response:
        self.heard.append((dict(request.headers), await request.body()))
        self._news.set()
        self._news = anyio.Event()
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        with anyio.fail_after(20):
            while len(self.heard) < count:
                await self._news.wait()
        return [json.loads(body) for _, body in self.heard]

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/cb", self.hear, methods=["POST"])])


class Listener(Sandbox):
    """Serves ears instead of a sandbox, with the same server."""

    def __init__(self, ears: Ears) -> None:
        super().__init__()
        self.ears = ears

    def app(self) -> Starlette:
        return self.ears.app()


@pytest.fixture
async def ears() -> AsyncIterator[tuple[Ears, str]]:
    hearing = Ears()
    async with serving(Listener(hearing)) as url:
        yield hearing, f"{url}/cb"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Authorization": ""}, 1001),
        ({"Authorization": "Bearer"}, 1001),
        ({"Authorization": "Key id:secret"}, 1002),
        (token(key="another-secret-of-the-right-length"), 1002),
        (token(algorithm="HS384"), 1002),
        (token(iss=None), 1002),
        (token(exp=None), 1002),
        (token(nbf=None), 1002),
        (token(exp=1), 1004),
        (token(nbf=2**31), 1003),
    ],
)
async def test_a_wrong_key_is_told_why(
    http: httpx.AsyncClient, sandbox: Sandbox, headers: dict[str, str], code: int
) -> None:
    """Nothing, nonsense, and tokens that are forged, expired or early each have their own code; all are 401."""
    assert problem(await http.post(TEXT, json=V1, headers=headers)) == (401, code)
    assert problem(await http.get(f"{TEXT}/1", headers=headers)) == (401, code)
    assert sandbox.stats()["submissions"] == 0


async def test_keys_and_tokens_open_the_old_standard_keys_alone_the_new(http: httpx.AsyncClient) -> None:
    """A signed token creates and asks in v1; the new standard refuses it; a key with dots is no token."""
    task_id = (await http.post(TEXT, json=V1, headers=token())).json()["data"]["task_id"]
    assert (await http.get(f"{TEXT}/{task_id}", headers=token())).status_code == 200
    assert problem(await http.post(NEW, json=V1, headers=token())) == (401, 1002)
    assert (await http.post(NEW, json=V1, headers={"Authorization": "Bearer a.b.c"})).status_code == 200


async def test_all_keys_are_rejected_where_set(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """`reject_key` is 1000 everywhere, for keys and for tokens."""
    sandbox.change(reject_key=True)
    for method, path in (("POST", TEXT), ("GET", "/tasks"), ("GET", "/account/costs"), ("POST", NEW)):
        assert problem(await http.request(method, path)) == (401, 1000)
    assert problem(await http.post(TEXT, json=V1, headers=token())) == (401, 1000)


@pytest.mark.parametrize("code", sorted(ERRORS))
async def test_every_error_can_be_asked_for(http: httpx.AsyncClient, sandbox: Sandbox, code: int) -> None:
    """`error_type` names a code; the answer has its HTTP status, and nothing is accepted."""
    sandbox.faults.add(Fault(at="submit", kind="error_type", value=str(code)))
    assert problem(await http.post(TEXT, json=V1)) == (ERRORS[code][0], code)
    assert sandbox.stats()["submissions"] == 0


async def test_refusals_are_in_klings_words(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Too fast is 1302, the limit 1303, a bad input 1201 with its sentence, gone 1203."""
    for kind, value in ("429", 7), ("concurrent_requests_limit", None), ("validation", "n too big"), ("gone", None):
        sandbox.faults.add(Fault(at="submit", kind=kind, value=value))  # type: ignore[arg-type]
    fast, limit, wrong, gone = [await http.post(TEXT, json=V1) for _ in range(4)]
    assert [problem(answer) for answer in (fast, limit, wrong, gone)] == [
        (429, 1302),
        (429, 1303),
        (400, 1201),
        (404, 1203),
    ]
    assert (fast.headers["retry-after"], wrong.json()["message"]) == ("7", "n too big")
    assert limit.json()["message"] == "parallel task over resource pack limit"


@pytest.mark.parametrize(
    ("kind", "experience", "accepted"),
    [
        ("lost_reply", "RemoteProtocolError", 1),
        ("hang", "ReadTimeout", 1),
        ("truncated", "RemoteProtocolError", 1),
        ("garbage", "200", 1),
        ("wrong_type", "200", 1),
        ("hang_before", "ReadTimeout", 0),
        ("reset", "ReadError", 0),
        ("5xx", "500", 0),
    ],
)
async def test_a_spoiled_create_can_be_recovered_by_the_callers_id(
    http: httpx.AsyncClient, sandbox: Sandbox, kind: Any, experience: str, accepted: int
) -> None:
    """After any spoiled answer the external id tells whether a task exists, that is: whether it was paid."""
    sandbox.faults.add(Fault(at="submit", kind=kind))
    try:
        waits = httpx.Timeout(30, read=0.5 if kind.startswith("hang") else 30)
        answer = await http.post(TEXT, json={**V1, "external_task_id": "mine"}, timeout=waits)
        seen = str(answer.status_code)
    except httpx.TransportError as error:
        seen = type(error).__name__
    found = await http.get(f"{TEXT}/mine")
    assert (seen, sandbox.stats()["submissions"]) == (experience, accepted)
    assert found.status_code == (200 if accepted else 404)


async def test_status_and_download_go_wrong_as_asked(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A fault at the status spoils a query and a list once; one at the download spoils the file of its model."""
    task_id = await accepted(http, PICTURES, prompt="x")
    end(sandbox, task_id)
    sandbox.faults.add(
        Fault(at="status", kind="error_type", value=5002),
        Fault(at="status", kind="garbage"),
        Fault(at="download", kind="not_a_picture", model="kling/images/generations"),
    )
    assert problem(await http.get(f"{PICTURES}/{task_id}")) == (504, 5002)
    assert "not json" in (await http.get(PICTURES)).text
    url = (await told(http, PICTURES, task_id))["task_result"]["images"][0]["url"]
    async with httpx.AsyncClient() as keyless:
        spoiled, whole = [(await keyless.get(url)).content for _ in range(2)]
    assert (whole[:4], spoiled == whole) == (b"\x89PNG", False)
    assert (await http.get(url)).status_code == 200
    assert sandbox.stats()["leaks"] == 1


async def test_slots_are_held_from_submit_to_end(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A clip holds one slot and `n` pictures hold `n`; what finds no room is refused, not queued, and not billed."""
    sandbox.change(slots=4)
    three = await accepted(http, PICTURES, prompt="x", n=3)
    assert problem(await http.post(PICTURES, json={"prompt": "x", "n": 2})) == (429, 1303)
    clip = await accepted(http, NEW, prompt="x")
    assert problem(await http.post(TEXT, json=V1)) == (429, 1303)
    assert (sandbox.stats()["submissions"], sandbox.stats()["in_flight"]) == (2, 2)
    end(sandbox, three)
    await accepted(http, PICTURES, prompt="x", n=3)
    sandbox.faults.add(Fault(at="status", kind="completed_error"))
    end(sandbox, clip)
    await accepted(http)


async def test_more_pictures_than_slots_never_fit(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """With one slot, two pictures at once are refused for ever, one is taken."""
    sandbox.change(slots=1)
    body = {"prompt": "x", "model_name": "kling-v3-omni", "result_type": "series", "series_amount": "auto"}
    for path, wanted in ((PICTURES, {"prompt": "x", "n": 2}), ("/v1/images/omni-image", body)):
        assert problem(await http.post(path, json=wanted)) == (429, 1303)
    await accepted(http, PICTURES, prompt="x", n=1)


async def test_a_full_line_of_another_provider_leaves_no_room(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The slots are those of the whole sandbox, and fal's waiting submissions still start in order."""
    sandbox.change(slots=1)
    for seed in range(2):
        answer = await http.post(
            "/fal-ai/nano-banana", json={"prompt": "x", "seed": seed}, headers={"Authorization": "Key k"}
        )
        assert answer.status_code == 200
    assert problem(await http.post(TEXT, json=V1)) == (429, 1303)
    sandbox.change(slots=3)
    await accepted(http)
    assert sandbox.stats()["max_running"] == 3


async def test_callbacks_tell_every_change_and_are_signed(
    http: httpx.AsyncClient, sandbox: Sandbox, ears: tuple[Ears, str]
) -> None:
    """Submitted, processing, end: each a flat task with its own id and a genuine signature; the last one is whole."""
    hearing, url = ears
    task_id = await accepted(http, TEXT, **V1, callback_url=url, external_task_id="mine")
    await hearing.wait_for(2)
    end(sandbox, task_id)
    bodies = await hearing.wait_for(3)
    assert [body["task_status"] for body in bodies] == ["submitted", "processing", "succeed"]
    assert bodies[2] == await told(http, TEXT, task_id)
    assert {"task_id", "task_status_msg", "task_info", "created_at", "final_unit_deduction"} <= set(bodies[2])
    heads = [headers for headers, _ in hearing.heard]
    assert len({head["webhook-id"] for head in heads}) == 3
    for head, raw in hearing.heard:
        webhooks.kling(head, raw, secrets=[KLING_WEBHOOK_SECRET], now=time.time())
    await until(lambda: sandbox.stats()["webhooks_delivered"] == 3)
    assert sandbox.stats()["webhook_posts"] == 3


async def test_a_callback_of_the_new_standard_is_the_task(
    http: httpx.AsyncClient, sandbox: Sandbox, ears: tuple[Ears, str]
) -> None:
    """The body is the task as /tasks tells it; without a webhook secret it carries no signature."""
    hearing, url = ears
    sandbox.change(kling_signs_callbacks=False)
    task_id = await accepted(http, NEW, prompt="x", options={"callback_url": url})
    end(sandbox, task_id)
    bodies = await hearing.wait_for(3)
    assert [body["status"] for body in bodies] == ["submitted", "processing", "succeeded"]
    assert bodies[2] == (await http.get(f"/tasks?task_ids={task_id}")).json()["data"][0]
    assert not [name for headers, _ in hearing.heard for name in headers if name.startswith("webhook")]


async def test_a_callback_is_tried_four_times_under_one_id(
    http: httpx.AsyncClient, sandbox: Sandbox, ears: tuple[Ears, str]
) -> None:
    """What is not answered 2xx comes again three times, then it is dropped and the next change is told."""
    hearing, url = ears
    hearing.statuses = [500, 302, 404, 503]
    await accepted(http, TEXT, **V1, callback_url=url)
    bodies = await hearing.wait_for(5)
    assert [body["task_status"] for body in bodies] == ["submitted"] * 4 + ["processing"]
    assert len({headers["webhook-id"] for headers, _ in hearing.heard[:4]}) == 1
    assert (sandbox.stats()["webhook_posts"], sandbox.stats()["webhooks_delivered"] <= 1) == (5, True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[bad/", "http://127.0.0.1:1/" + KILOBYTES])
async def test_a_callback_that_nobody_hears_harms_nothing(http: httpx.AsyncClient, sandbox: Sandbox, url: str) -> None:
    """A closed port or a broken URL costs four tries a change; the task goes on all the same."""
    task_id = await accepted(http, TEXT, **V1, callback_url=url)
    with anyio.fail_after(20):
        while sandbox.stats()["webhook_posts"] < 8:  # noqa: ASYNC110 - the sandbox has no event for "given up"
            await anyio.sleep(0.02)
    end(sandbox, task_id)
    assert (await told(http, TEXT, task_id))["task_status"] == "succeed"
    assert sandbox.stats()["webhooks_delivered"] == 0


async def test_the_package_that_kling_recommends_takes_a_callback(
    http: httpx.AsyncClient, ears: tuple[Ears, str]
) -> None:
    """`standardwebhooks` finds a callback genuine, and a changed body not."""
    standard = pytest.importorskip("standardwebhooks")
    hearing, url = ears
    await accepted(http, TEXT, **V1, callback_url=url)
    (body, *_) = await hearing.wait_for(1)
    headers, raw = hearing.heard[0]
    hook = standard.Webhook(KLING_WEBHOOK_SECRET)
    assert hook.verify(raw, headers) == body
    with pytest.raises(standard.WebhookVerificationError):
        hook.verify(raw.replace(b"submitted", b"processed"), headers)


def test_the_signature_is_the_official_one() -> None:
    """Kling's own test vector comes out."""
    body = (
        b'{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
    )
    signed = signature("9876543210", 1781080794, body, "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=")
    assert signed == "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4="
