"""The sandbox speaks Kling's new standard: the model in the path, tasks asked for together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from hoasi.sandbox import Fault, Sandbox, reel, serving
from providers.kling_calls import KEY, PICTURES, URL, accepted, content, end, problem

pytestmark = pytest.mark.anyio
TEXT, IMAGE = "/text-to-video/kling-3.0", "/image-to-video/kling-3.0-turbo"
FRAME = {"contents": [{"type": "prompt", "text": "x"}, {"type": "first_frame", "url": URL}]}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=600, pictures="tiny")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers=KEY) as client:
        yield client


async def asked(http: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await http.get("/tasks", params=query)
    assert (answer.status_code, answer.json()["code"]) == (200, 0), answer.text
    return list(answer.json()["data"])


async def listed(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await http.post("/tasks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (200, 0), answer.text
    return dict(answer.json()["data"])


async def test_a_task_ends_with_outputs_and_a_bill(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A new task has its own words: id, status, succeeded, outputs, billing; sound and length are as asked."""
    settings = {"duration": 4, "audio": "native", "aspect_ratio": "9:16"}
    task_id = await accepted(http, TEXT, prompt="x", settings=settings, options={"external_task_id": "mine"})
    (running,) = await asked(http, task_ids=task_id)
    assert (running["status"], running["outputs"], running["billing"]) == ("processing", [], [])
    end(sandbox, task_id)
    (task,) = await asked(http, external_task_ids="mine")
    assert (task["id"], task["status"], task["external_id"], task["message"]) == (task_id, "succeeded", "mine", "")
    assert task["billing"] == [{"charge_type": "unit", "amount": "3.6", "package_type": "video"}]
    (clip,) = task["outputs"]
    assert (clip["type"], clip["duration"]) == ("video", "4")
    measures = await reel.measured((await content(clip["url"])).content)
    assert measures
    assert (measures.has_audio, measures.height > measures.width) == (True, True)
    assert task["update_time"] >= task["create_time"] > 1_700_000_000_000


async def test_a_failed_task_says_why(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The reason stands in `message`, and nothing is billed."""
    sandbox.faults.add(Fault(at="status", kind="completed_error", value="no"))
    task_id = await accepted(http, IMAGE, **FRAME)
    end(sandbox, task_id)
    (task,) = await asked(http, task_ids=task_id)
    assert (task["status"], task["message"], task["outputs"], task["billing"]) == ("failed", "no", [], [])


async def test_tasks_are_asked_for_together(http: httpx.AsyncClient) -> None:
    """Several ids in one question, unknown ones and those of v1 left out; both kinds of ids or none are refused."""
    ids = [await accepted(http, TEXT, prompt="x"), await accepted(http, IMAGE, **FRAME)]
    old = await accepted(http, PICTURES, prompt="x")
    assert [task["id"] for task in await asked(http, task_ids=",".join([*ids, "nobody", old]))] == ids
    for query in ({}, {"task_ids": "1", "external_task_ids": "a"}, {"task_ids": ""}):
        assert problem(await http.get("/tasks", params=query)) == (400, 1201)


async def test_an_id_is_unique_over_both_generations(http: httpx.AsyncClient) -> None:
    """External ids belong to the account, not to an endpoint."""
    await accepted(http, PICTURES, prompt="x", external_task_id="mine")
    answer = await http.post(TEXT, json={"prompt": "x", "options": {"external_task_id": "mine"}})
    assert problem(answer) == (400, 1201)


async def test_the_list_has_pages_and_filters(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """The newest first, page by page, by time, status and product."""
    ids = [await accepted(http, TEXT, prompt="x") for _ in range(3)]
    end(sandbox, ids[0])
    first = await listed(http, limit=2)
    assert ([task["id"] for task in first["result"]], first["count"], first["has_more"]) == (ids[:0:-1], 3, True)
    rest = await listed(http, limit=2, cursor=first["next_cursor"])
    assert ([task["id"] for task in rest["result"]], rest["has_more"], rest["next_cursor"]) == (ids[:1], False, "")
    done = await listed(http, filters=[{"key": "status", "values": ["succeeded"]}])
    assert [task["id"] for task in done["result"]] == ids[:1]
    assert (await listed(http, filters=[{"key": "product_type", "values": ["image"]}]))["count"] == 0
    assert (await listed(http, start_time="0", end_time="1"))["count"] == 0
    for body in ({"limit": 501}, {"start_time": "x"}, {"filters": [{"key": "mood", "values": []}]}, {"filters": [1]}):
        assert problem(await http.post("/tasks", json=body)) == (400, 1201)


async def test_a_model_that_does_not_exist_is_a_404(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A model that the capability does not have is 1203; the models of v1 have no path."""
    for path in ("/text-to-video/kling-3.0-omni", "/omni-video/kling-3.0", "/text-to-video/kling-v2-6"):
        assert problem(await http.post(path, json={"prompt": "x"})) == (404, 1203)
    assert sandbox.stats()["submissions"] == 0


async def test_faults_find_tasks_by_model(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A fault for one model spoils its create and its question, not those of another."""
    sandbox.faults.add(
        Fault(at="submit", kind="error_type", value=1102, model="kling/text-to-video/kling-3.0"),
        Fault(at="status", kind="5xx", model="kling/text-to-video/kling-3.0"),
    )
    other = await accepted(http, IMAGE, **FRAME)
    assert problem(await http.post(TEXT, json={"prompt": "x"})) == (429, 1102)
    task_id = await accepted(http, TEXT, prompt="x")
    assert await asked(http, task_ids=other)
    assert (await http.get("/tasks", params={"task_ids": task_id})).status_code == 500
