"""The sandbox speaks Stability's wire: multipart forms, both forms of an answer, results by id, v1, refusals."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image

from hoasi.sandbox import Fault, Sandbox, serving
from hoasi.sandbox.stability_fields import CALLS

pytestmark = pytest.mark.anyio
BASE = "/v2beta/stable-image/"
CORE, LIGHT = BASE + "generate/core", BASE + "edit/replace-background-and-relight"
SDXL = "/v1/generation/stable-diffusion-xl-1024-v1-0/text-to-image"
PROMPTS = {"text_prompts": [{"text": "a lighthouse", "weight": 1.0}]}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0, pictures="storyboard")


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": "Bearer sk-key", "accept": "image/*"}
    async with serving(sandbox) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
        yield client


def png(width: int = 320, height: int = 240) -> bytes:
    with io.BytesIO() as file:
        Image.new("RGB", (width, height)).save(file, "PNG")
        return file.getvalue()


def form(files: dict[str, bytes] | None = None, **texts: str) -> dict[str, Any]:
    """A multipart body, also without any file."""
    plain = [(name, (None, text)) for name, text in texts.items()]
    return {"files": [*plain, *((name, (f"{name}.png", data)) for name, data in (files or {}).items())]}


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and name of an error of v2beta."""
    assert set(answer.json()) == {"id", "name", "errors"}
    return answer.status_code, answer.json()["name"]


def size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as picture:
        return picture.size


async def test_a_picture_comes_as_bytes_or_as_base64(http: httpx.AsyncClient) -> None:
    """`image/*` gives bytes with seed and reason in the headers, JSON the same under `image`."""
    answer = await http.post(CORE, **form(prompt="x", aspect_ratio="16:9", seed="7"))
    assert (answer.headers["content-type"], size(answer.content)) == ("image/png", (2016, 1152))
    assert (answer.headers["finish-reason"], answer.headers["seed"]) == ("SUCCESS", "7")
    told = (await http.post(CORE, **form(prompt="x", seed="7"), headers={"accept": "application/json"})).json()
    assert (told["finish_reason"], told["seed"], size(base64.b64decode(told["image"]))[0] > 1000) == (
        "SUCCESS",
        7,
        True,
    )


async def test_the_key_may_stand_bare(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """As the official nodes send it; no key, another scheme or a rejected one is a 401."""
    assert (await http.post(CORE, **form(prompt="x"), headers={"authorization": "sk-key"})).is_success
    for key in ("", "Key sk-key"):
        assert problem(await http.post(CORE, **form(prompt="x"), headers={"authorization": key})) == (
            401,
            "unauthorized",
        )
    sandbox.change(reject_key=True)
    assert problem(await http.post(CORE, **form(prompt="x"))) == (401, "unauthorized")
    assert (await http.post(SDXL, json=PROMPTS)).json()["name"] == "unauthorized"


async def test_only_multipart_is_taken(http: httpx.AsyncClient) -> None:
    """JSON and urlencoded bodies are refused, and so is an `accept` that nobody gives."""
    assert problem(await http.post(CORE, json={"prompt": "x"})) == (400, "bad_request")
    assert problem(await http.post(CORE, data={"prompt": "x"})) == (400, "bad_request")
    assert problem(await http.post(CORE, **form(prompt="x"), headers={"accept": "text/html"})) == (400, "bad_request")


async def test_empty_texts_and_unknown_fields_are_taken(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """As live; the unknown ones are counted here."""
    assert (await http.post(CORE, **form(prompt="x", negative_prompt="", seed="0", style="True"))).is_success
    assert sandbox.stats()["unknown_fields"] == {"generate/core:style": 1}


@pytest.mark.parametrize(
    ("path", "texts", "pictures"),
    [
        ("generate/core", {}, {}),
        ("generate/core", {"prompt": "x", "aspect_ratio": "4:3"}, {}),
        ("generate/core", {"prompt": "x", "seed": "4294967295"}, {}),
        ("generate/core", {"prompt": "x", "seed": "many"}, {}),
        ("generate/sd3", {"prompt": "x", "output_format": "webp"}, {}),
        ("generate/sd3", {"prompt": "x", "model": "sd3-large"}, {}),
        ("generate/sd3", {"prompt": "x", "mode": "image-to-image"}, {}),
        ("generate/sd3", {"prompt": "x", "strength": "0.5"}, {"image": png()}),
        ("generate/ultra", {"prompt": "x"}, {"image": png()}),
        ("generate/ultra", {"prompt": "x", "strength": "0.5"}, {}),
        ("edit/inpaint", {"prompt": "x"}, {}),
        ("edit/inpaint", {"prompt": "x"}, {"image": b"no picture"}),
        ("edit/inpaint", {"prompt": "x"}, {"image": png(60, 200)}),
        ("edit/inpaint", {"prompt": "x"}, {"image": png(800, 100)}),
        ("edit/inpaint", {"prompt": "x", "grow_mask": "101"}, {"image": png()}),
        ("edit/erase", {"grow_mask": "21"}, {"image": png()}),
        ("edit/outpaint", {"prompt": "x"}, {"image": png()}),
        ("edit/remove-background", {"output_format": "jpeg"}, {"image": png()}),
        ("upscale/fast", {}, {"image": png(1500, 1000)}),
        ("edit/replace-background-and-relight", {}, {"subject_image": png()}),
        (
            "edit/replace-background-and-relight",
            {"background_prompt": "x", "light_source_strength": "0.5"},
            {"subject_image": png()},
        ),
        ("control/style-transfer", {}, {"init_image": png()}),
    ],
)
async def test_what_is_wrong_is_refused_and_not_counted(
    path: str, texts: dict[str, str], pictures: dict[str, bytes], http: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    """Missing, outside of its list or range, misfit pictures, and what does not go together."""
    assert problem(await http.post(BASE + path, **form(pictures, **texts))) == (400, "bad_request")
    assert sandbox.stats()["submissions"] == 0


async def test_a_body_of_more_than_ten_megabytes_is_too_large(http: httpx.AsyncClient) -> None:
    """413."""
    heavy = png() + bytes(10 * 1024 * 1024)
    assert problem(await http.post(BASE + "edit/erase", **form({"image": heavy}))) == (413, "payload_too_large")


async def test_a_relight_goes_from_id_to_picture(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """200 with an id, 202, then bytes, or base64 under `result`; `True` is taken; another id is a 404."""
    sandbox.change(latency_s=600)
    texts = {"background_prompt": "x", "keep_original_background": "True"}
    answer = await http.post(LIGHT, **form({"subject_image": png()}, **texts), headers={"accept": "*/*"})
    assert (answer.status_code, set(answer.json())) == (200, {"id"})
    path = f"/v2beta/results/{answer.json()['id']}"
    assert (await http.get(path)).status_code == 202
    sandbox.line.finish()
    assert size((await http.get(path)).content) == (320, 240)
    told = (await http.get(path, headers={"accept": "application/json"})).json()
    assert set(told) == {"result", "finish_reason", "seed"}
    assert problem(await http.get("/v2beta/results/nobody")) == (404, "not_found")
    sandbox.change(forget_after_s=0)
    assert problem(await http.get(path)) == (404, "not_found")


async def test_a_filtered_picture_is_a_success_of_http(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Only header and body say it; of several samples of v1 the first."""
    fate = Fault(at="result", kind="completed_error", value="CONTENT_FILTERED", times=3)
    sandbox.faults.add(fate)
    answer = await http.post(CORE, **form(prompt="x"))
    assert (answer.status_code, answer.headers["finish-reason"]) == (200, "CONTENT_FILTERED")
    told = (await http.post(CORE, **form(prompt="x"), headers={"accept": "application/json"})).json()
    assert told["finish_reason"] == "CONTENT_FILTERED"
    told = (await http.post(SDXL, json={**PROMPTS, "samples": 2})).json()
    assert [row["finishReason"] for row in told["artifacts"]] == ["CONTENT_FILTERED", "SUCCESS"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"width": 1920, "height": 1080}, "invalid_sdxl_v1_dimensions"),
        ({"samples": 11}, "invalid_samples"),
        ({"cfg_scale": 36}, "invalid_cfg_scale"),
        ({"steps": 9}, "bad_request"),
        ({"text_prompts": []}, "invalid_prompts"),
        ({"text_prompts": [{"text": "x" * 2001}]}, "invalid_prompts"),
        ({"style_preset": "baroque"}, "bad_request"),
    ],
)
async def test_v1_refuses_with_one_message(given: dict[str, Any], name: str, http: httpx.AsyncClient) -> None:
    """v1 has `message` where v2beta has `errors`; 1920x1080 is none of SDXL's sizes."""
    answer = await http.post(SDXL, json={**PROMPTS, **given})
    assert (answer.status_code, set(answer.json())) == (400, {"id", "name", "message"})
    assert answer.json()["name"] == name


async def test_v1_draws_what_it_is_asked_for(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Samples as base64 in exactly the asked size; engines and balance are told; switched off it is a 404."""
    told = (await http.post(SDXL, json={**PROMPTS, "width": 1344, "height": 768, "samples": 2})).json()["artifacts"]
    assert [size(base64.b64decode(row["base64"])) for row in told] == [(1344, 768)] * 2
    assert {row["id"] for row in (await http.get("/v1/engines/list")).json()} >= {"stable-diffusion-xl-1024-v1-0"}
    assert (await http.get("/v1/user/balance")).json()["credits"] > 0
    sandbox.change(stability_has_v1=False)
    assert (await http.post(SDXL, json=PROMPTS)).status_code == 404


async def test_every_call_is_there(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """Each path refuses an empty form in its own words, not with another provider's."""
    for path in CALLS:
        assert problem(await http.post(BASE + path, **form(seed="1"))) == (400, "bad_request"), path
    assert sandbox.counters.seen["submit"] == len(CALLS)
