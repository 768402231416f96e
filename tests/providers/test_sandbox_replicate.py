"""The sandbox speaks Replicate's wire: proven with the official client, and with plain HTTP for the rest."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from PIL import Image
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calls import fault
from hoasi.sandbox import Sandbox, serving
from hoasi.sandbox import replicate as mirror
from hoasi.sandbox.replicate_models import SDXL

replicate = pytest.importorskip("replicate", reason="the official client is not installed (pip install replicate)")
pytestmark = pytest.mark.anyio
FLUX, CLIP = "black-forest-labs/flux-1.1-pro", "kwaivgi/kling-v2.5-turbo-pro"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.01, pictures="tiny")


@pytest.fixture
async def url(sandbox: Sandbox) -> AsyncIterator[str]:
    """Replicate alone at the root."""
    async with serving(sandbox, app=mirror.app(sandbox)) as served:
        yield served


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": "Bearer key"}) as client:
        yield client


@pytest.fixture
async def official(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.01")
    client = replicate.Client(api_token="key", base_url=url)
    yield client
    await client._async_client.aclose()


async def create(http: httpx.AsyncClient, model: str = FLUX, status: int = 201, **more: Any) -> dict[str, Any]:
    headers = more.pop("headers", {})
    given = more.pop("input", {"prompt": "a kite"})
    told = await http.post("/v1/predictions", json={"version": model, "input": given, **more}, headers=headers)
    assert told.status_code == status, told.text
    return dict(told.json())


async def ended(http: httpx.AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    while (told := (await http.get(made["urls"]["get"])).json())["status"] in {"starting", "processing"}:  # noqa: ASYNC110
        await anyio.sleep(0.005)
    return dict(told)


# ---------------------------------------------------------------- the official client


async def test_the_official_client_runs_models(official: Any, sandbox: Sandbox) -> None:
    """An official model gives one address, a pinned community model a list."""
    one = await official.async_run(FLUX, input={"prompt": "a kite", "output_format": "png"}, use_file_output=False)
    many = await official.async_run(
        f"stability-ai/sdxl:{SDXL}", input={"prompt": "a kite", "num_outputs": 2}, use_file_output=False
    )
    assert (one.endswith(".png"), len(many)) == (True, 2)
    async with httpx.AsyncClient() as keyless:
        assert Image.open(io.BytesIO((await keyless.get(one)).content)).format == "PNG"
    stats = sandbox.stats()
    assert (stats["models"], stats["leaks"]) == ({FLUX: 1, "stability-ai/sdxl": 1}, 0)


async def test_the_official_client_polls_lists_and_cancels(official: Any, sandbox: Sandbox) -> None:
    """Create, reload, list, cancel: the client reads each answer."""
    sandbox.change(latency_s=60)
    made = await official.models.predictions.async_create(model=FLUX, input={"prompt": "a kite"})
    assert made.status == "processing"
    await made.async_cancel()
    assert made.status == "canceled"
    assert [one.id for one in (await official.predictions.async_list()).results] == [made.id]
    assert (await official.predictions.async_get(made.id)).urls["cancel"].endswith(f"{made.id}/cancel")


async def test_the_official_client_uploads_and_reads_schemas(official: Any, sandbox: Sandbox) -> None:
    """Files go up and are found again; a model tells its inputs."""
    stored = await official.files.async_create(io.BytesIO(b"the bytes"))
    assert (await official.files.async_get(stored.id)).size == 9
    await official.files.async_delete(stored.id)
    with pytest.raises(replicate.exceptions.ReplicateError):
        await official.files.async_get(stored.id)
    model = await official.models.async_get("stability-ai/sdxl")
    assert model.latest_version.id == SDXL
    inputs = model.latest_version.openapi_schema["components"]["schemas"]["Input"]
    assert inputs["properties"]["num_outputs"]["maximum"] == 4
    assert sandbox.stats()["uploads"] == 1


async def test_the_official_client_sees_a_failure(official: Any, sandbox: Sandbox) -> None:
    """A failed prediction is the client's own error."""
    sandbox.faults.add(fault("status", "completed_error", value="NSFW content detected (E005)"))
    with pytest.raises(replicate.exceptions.ModelError, match="E005"):
        await official.async_run(FLUX, input={"prompt": "a kite"})
    sandbox.faults.add(fault("submit", "error_type", value=402))
    with pytest.raises(replicate.exceptions.ReplicateError, match="Insufficient credit"):
        await official.async_run(FLUX, input={"prompt": "a kite"})


# ---------------------------------------------------------------- creating


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/predictions", {"version": FLUX}, 201),
        ("/v1/predictions", {"version": SDXL}, 201),
        ("/v1/predictions", {"version": f"stability-ai/sdxl:{SDXL}"}, 201),
        ("/v1/predictions", {"version": "stability-ai/sdxl"}, 422),
        ("/v1/predictions", {"version": f"{FLUX}:{SDXL}"}, 422),
        ("/v1/predictions", {"version": "acme/nothing"}, 422),
        ("/v1/predictions", {}, 422),
        (f"/v1/models/{FLUX}/predictions", {}, 201),
        ("/v1/models/stability-ai/sdxl/predictions", {}, 404),
        ("/v1/models/acme/nothing/predictions", {}, 404),
        ("/v1/deployments/stability-ai/sdxl/predictions", {}, 201),
        (f"/replicate/v1/models/{FLUX}/predictions", {}, 201),
    ],
)
async def test_models_are_called_in_several_ways(
    path: str, body: dict[str, Any], status: int, sandbox: Sandbox
) -> None:
    """Official models by name, all by version, deployments by their name; below the prefix as well as at the root."""
    async with serving(sandbox) as url, httpx.AsyncClient(headers={"Authorization": "Token key"}) as client:
        told = await client.post(url + path, json={"input": {"prompt": "a kite"}, **body})
        assert told.status_code == status, told.text
        assert sandbox.stats()["submissions"] == (status == 201)
        if status == 201:
            assert (await client.get(told.json()["urls"]["get"])).json()["id"] == told.json()["id"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "input.prompt"),
        ({"prompt": 7}, "input.prompt"),
        ({"prompt": "x", "width": 1441}, "input.width"),
        ({"prompt": "x", "width": 100}, "input.width"),
        ({"prompt": "x", "seed": True}, "input.seed"),
        ({"prompt": "x", "output_format": "gif"}, "input.output_format"),
    ],
)
async def test_an_input_is_checked_by_its_schema(
    given: dict[str, Any], field: str, http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    """The field that is wrong is named; nothing is billed."""
    told = await create(http, status=422, input=given)
    assert told["invalid_fields"][0]["field"] == field
    assert sandbox.stats()["submissions"] == 0


async def test_an_unknown_input_is_let_through_and_counted(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """As on the live service; whoever sends it can see it here."""
    await create(http, input={"prompt": "x", "widht": 9})
    assert sandbox.stats()["unknown_fields"] == {f"{FLUX}:widht": 1}


@pytest.mark.parametrize(("prefer", "status"), [("wait", "succeeded"), ("wait=5", "succeeded"), ("", "processing")])
async def test_an_answer_may_be_held(prefer: str, status: str, http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """`Prefer: wait` answers with the end, without it at once."""
    sandbox.change(latency_s=0.1 if prefer else 60)
    told = await create(http, headers={"Prefer": prefer})
    assert (told["status"], told["output"] is None) == (status, status != "succeeded")


async def test_a_wait_that_is_over_answers_unfinished(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """After a second the answer comes as it is."""
    sandbox.change(latency_s=60)
    assert (await create(http, headers={"Prefer": "wait=1"}))["status"] == "processing"


@pytest.mark.parametrize("text", ["4s", "soon", "", "0h"])
async def test_a_senseless_deadline_is_refused(text: str, http: httpx.AsyncClient) -> None:
    """Less than five seconds, or no span."""
    await create(http, status=422, headers={"Cancel-After": text})


@pytest.mark.parametrize(("slots", "status"), [(1, "aborted"), (None, "canceled")])
async def test_a_deadline_ends_the_work(
    slots: int | None, status: str, http: httpx.AsyncClient, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What never started is aborted, what runs is cancelled."""
    monkeypatch.setattr(mirror, "_LEAST_DEADLINE_S", 1)
    sandbox.change(latency_s=60, slots=slots)
    await create(http)
    told = await ended(http, await create(http, headers={"Cancel-After": "1s"}))
    assert (told["status"], told["started_at"] is None) == (status, status == "aborted")


# ---------------------------------------------------------------- afterwards


@pytest.mark.parametrize(
    ("model", "given", "kind"),
    [(CLIP, {"prompt": "x"}, str), ("acme/talks", {"prompt": "x"}, str), (SDXL, {}, list)],
)
async def test_outputs_have_several_forms(
    model: str, given: dict[str, Any], kind: type, http: httpx.AsyncClient
) -> None:
    """An address, words, a list."""
    assert isinstance((await ended(http, await create(http, model, input=given)))["output"], kind)


async def test_what_is_old_is_removed(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Input, output and files go; that there was a prediction stays."""
    told = await ended(http, await create(http))
    assert (await http.get(told["output"])).status_code == 200
    sandbox.change(forget_after_s=0)
    gone = await ended(http, told)
    assert (gone["status"], gone["data_removed"], gone["output"], gone["input"]) == ("succeeded", True, None, {})
    assert (await http.get(told["output"])).status_code == 404


async def test_the_list_comes_in_pages(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest first, with the address of the next page."""
    monkeypatch.setattr(mirror, "PAGE", 2)
    ids = [(await create(http))["id"] for _ in range(3)]
    first = (await http.get("/v1/predictions")).json()
    second = (await http.get(first["next"])).json()
    assert [one["id"] for one in (*first["results"], *second["results"])] == ids[::-1]
    assert second["next"] is None


async def test_a_wrong_key_opens_nothing(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """401, before anything else is looked at."""
    assert (await http.get("/v1/account")).json()["username"] == "sandbox"
    sandbox.change(reject_key=True)
    await create(http, status=401)
    assert (await http.get("/v1/account")).status_code == 401


async def test_throttling_is_told_in_two_forms(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """With a header, or with a number in the body."""
    sandbox.faults.add(fault("submit", "429", value=30), fault("submit", "concurrent_requests_limit"))
    assert "resets in ~30s" in (await create(http, status=429))["detail"]
    assert (await create(http, status=429))["retry_after"] == 2


async def test_webhooks_are_signed(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A third party's verifier believes each delivery: the start, and after a first refusal the end."""
    took: list[dict[str, Any]] = []
    answers = iter((200, 503, 200))
    key = (await http.get("/v1/webhooks/default/secret")).json()["key"]

    async def take(request: Request) -> Response:
        body = await request.body()
        Webhook(key).verify(body, dict(request.headers))
        took.append(json.loads(body))
        return Response(status_code=next(answers))

    async with serving(Sandbox(), app=Starlette(routes=[Route("/hook", take, methods=["POST"])])) as here:
        made = await create(http, webhook=f"{here}/hook", webhook_events_filter=["start", "completed"])
        while sandbox.stats()["webhooks_delivered"] < 2:  # noqa: ASYNC110  (the sandbox delivers)
            await anyio.sleep(0.01)
    assert {one["id"] for one in took} == {made["id"]}
    assert took[-1]["status"] == "succeeded"
    assert sandbox.stats()["webhook_posts"] == 3
    await create(http, status=422, webhook_events_filter=["never"])
