"""The sandbox speaks Ark's wire: profiles, mixed answers, streams, addresses that run out, refusals."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image

from hoasi.sandbox import Fault, Sandbox, serving

pytestmark = pytest.mark.anyio
PATH = "/api/v3/images/generations"
FOUR, PRO = "doubao-seedream-4-0-250828", "seedream-5-0-pro-260628"
ONE: dict[str, Any] = {"model": FOUR, "prompt": "a kite"}
GROUP = {
    **ONE,
    "prompt": "4 images of a kite",
    "sequential_image_generation": "auto",
    "sequential_image_generation_options": {"max_images": 4},
}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0, pictures="storyboard")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(sandbox) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": "Bearer k"}) as client,
    ):
        yield client


def data_address(width: int = 64, height: int = 64) -> str:
    with io.BytesIO() as file:
        Image.new("RGB", (width, height)).save(file, "PNG")
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def problem(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and field of an error."""
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "param", "type"}
    return answer.status_code, error["code"], error["param"]


def events(text: str) -> list[dict[str, Any]]:
    """The objects of a stream, whose names and types agree."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        if lines["data"] != "[DONE]":
            found.append(json.loads(lines["data"]))
            assert found[-1]["type"] == lines["event"]
    return found


async def test_one_picture_of_the_asked_size(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """JPEG unless another format can be had; the file needs no key; usage counts what is billed."""
    told = (await http.post(PATH, json={**ONE, "size": "1728x2304"})).json()
    (place,) = told["data"]
    assert (place["size"], told["usage"]["generated_images"]) == ("1728x2304", 1)
    async with httpx.AsyncClient() as keyless:
        answer = await keyless.get(place["url"])
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (1728, 2304))
    assert sandbox.stats()["leaks"] == 0


async def test_a_null_is_not_there(http: httpx.AsyncClient) -> None:
    """The official SDKs send nulls for all that is not set."""
    nulls = dict.fromkeys(("seed", "stream", "output_format", "image", "size", "sequential_image_generation"))
    assert (await http.post(PATH, json={**nulls, **ONE, "model": PRO})).is_success


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"prompt": " "}, "prompt"),
        ({"size": "3K"}, "size"),
        ({"size": "1x1"}, "size"),
        ({"size": "800x800"}, "size"),
        ({"size": "16384x900"}, "size"),
        ({"model": PRO, "size": "4K"}, "size"),
        ({"model": PRO, "sequential_image_generation": "disabled"}, "sequential_image_generation"),
        ({"model": PRO, "stream": True}, "stream"),
        ({"output_format": "png"}, "output_format"),
        ({"model": PRO, "output_format": "webp"}, "output_format"),
        ({"image": [data_address()] * 15}, "image"),
        ({"image": "data:image/png;base64,????"}, "image"),
        ({"image": "iVBORw0KGgo="}, "image"),
        ({"image": data_address(10, 10)}, "image"),
        ({**GROUP, "image": [data_address()] * 12}, "image"),
        ({**GROUP, "sequential_image_generation_options": {"max_images": 16}}, None),
    ],
)
async def test_what_is_wrong_is_named_and_not_counted(
    given: dict[str, Any], field: str | None, http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    """Sizes, fields that a model lacks, formats, references: 400 with the field."""
    named = field or "sequential_image_generation_options.max_images"
    assert problem(await http.post(PATH, json={**ONE, **given})) == (400, "InvalidParameter", named)
    assert sandbox.stats()["submissions"] == 0


async def test_key_model_and_body_are_looked_at_first(http: httpx.AsyncClient) -> None:
    """401, 404, 400; ids of both platforms and endpoints are known."""
    assert problem(await http.post(PATH, json=ONE, headers={"Authorization": "Key k"}))[:2] == (
        401,
        "AuthenticationError",
    )
    lost = await http.post(PATH, json={**ONE, "model": "seedream-9"})
    assert problem(lost)[:2] == (404, "InvalidEndpointOrModel.NotFound")
    assert problem(await http.post(PATH, content=b"[]"))[:2] == (400, "InvalidParameter")
    for model in ("seedream-4-0-250828", "dola-seedream-5-0-pro-260628", "ep-2025-x"):
        assert (await http.post("/api/plan/v3/images/generations", json={**ONE, "model": model})).is_success


async def test_a_group_is_as_large_as_its_prompt_says(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """At most `max_images`, without a word one, and never more than the setting gives."""
    assert len((await http.post(PATH, json=GROUP)).json()["data"]) == 4
    assert len((await http.post(PATH, json={**GROUP, "prompt": "9 images"})).json()["data"]) == 4
    assert len((await http.post(PATH, json={**GROUP, "prompt": "a kite"})).json()["data"]) == 1
    sandbox.change(ark_group_gives=2)
    assert len((await http.post(PATH, json=GROUP)).json()["data"]) == 2


async def test_a_partly_blocked_group_is_still_a_success(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A place holds a picture or an error; without any picture the whole call is refused."""
    sandbox.change(ark_blocked=(0, 2))
    told = (await http.post(PATH, json=GROUP)).json()
    assert [set(place) for place in told["data"]] == [{"error"}, {"url", "size"}, {"error"}, {"url", "size"}]
    assert told["usage"]["generated_images"] == 2
    assert problem(await http.post(PATH, json=ONE))[:2] == (400, "OutputImageSensitiveContentDetected")


async def test_a_stream_gives_each_picture_once(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Events by place, then what is billed, then `[DONE]`."""
    sandbox.change(ark_blocked=(1,))
    answer = await http.post(PATH, json={**GROUP, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *places, end = events(answer.text)
    kinds = [place["type"].removeprefix("image_generation.") for place in places]
    assert kinds == ["partial_succeeded", "partial_failed", "partial_succeeded", "partial_succeeded"]
    assert [place["image_index"] for place in places] == [0, 1, 2, 3]
    assert (end["type"], end["usage"]["generated_images"]) == ("image_generation.completed", 3)
    assert answer.text.endswith("data: [DONE]\n\n")


async def test_a_stream_that_cannot_begin_is_a_plain_error(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Its headers come with its first picture, so that what fails before is no stream."""
    sandbox.faults.add(Fault(at="result", kind="completed_error", value="InternalServiceError"))
    assert problem(await http.post(PATH, json={**GROUP, "stream": True}))[:2] == (500, "InternalServiceError")


async def test_an_address_runs_out(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """After a day, here after `forget_after_s`."""
    url = (await http.post(PATH, json=ONE)).json()["data"][0]["url"]
    sandbox.change(forget_after_s=0)
    async with httpx.AsyncClient() as keyless:
        assert (await keyless.get(url)).status_code == 404
