"""The sandbox speaks OpenAI's wire: proven with the official client, and with plain HTTP for the rest."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image

from calls import fault
from hoasi.sandbox import Sandbox, serving
from hoasi.sandbox import openai as mirror

openai = pytest.importorskip("openai", reason="the official client is not installed (pip install openai)")
pytestmark = pytest.mark.anyio
KEY = {"Authorization": "Bearer key"}
MODEL = "gpt-image-2.5-sunburst"


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(latency_s=0.01, pictures="tiny")


@pytest.fixture
async def url(sandbox: Sandbox) -> AsyncIterator[str]:
    """OpenAI alone at the root."""
    async with serving(sandbox, app=mirror.app(sandbox)) as served:
        yield served


@pytest.fixture
async def shared(sandbox: Sandbox) -> AsyncIterator[str]:
    """Every provider at one root."""
    async with serving(sandbox) as served:
        yield served


@pytest.fixture
async def official(url: str) -> AsyncIterator[Any]:
    async with openai.AsyncOpenAI(api_key="key", base_url=f"{url}/v1", max_retries=0) as client:
        yield client


def png(side: int = 64, *, mode: str = "RGB") -> bytes:
    with io.BytesIO() as file:
        Image.new(mode, (side, side)).save(file, "png")
        return file.getvalue()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


async def post(url: str, body: Any, path: str = "/v1/images/generations") -> httpx.Response:
    async with httpx.AsyncClient(headers=KEY) as client:
        return await client.post(url + path, json=body)


# ---------------------------------------------------------------- the official client


async def test_the_official_client_gets_a_picture(official: Any, sandbox: Sandbox) -> None:
    """Prompt, size and quality go in; the picture, what was resolved, and the tokens come out."""
    made = await official.images.generate(model=MODEL, prompt="a kite", size="1024x1536", quality="low", n=2)
    assert [opened(item.b64_json).format for item in made.data] == ["PNG", "PNG"]
    assert (made.size, made.quality, made.usage.output_tokens) == ("1024x1536", "low", 392)
    assert made.usage.input_tokens_details.image_tokens == 0
    assert sandbox.stats()["models"] == {MODEL: 1}


async def test_the_official_client_streams(official: Any) -> None:
    """Partial pictures come before the finished one, and only the finished one tells the tokens."""
    stream = await official.images.generate(model=MODEL, prompt="a kite", stream=True, partial_images=2)
    seen = [event async for event in stream]
    partial = "image_generation.partial_image"
    assert [event.type for event in seen] == [partial, partial, "image_generation.completed"]
    assert opened(seen[-1].b64_json).width
    assert seen[-1].usage.output_tokens == 439 + 2 * 100


async def test_the_official_client_edits(official: Any, sandbox: Sandbox) -> None:
    """Several pictures and a mask go in as a form."""
    made = await official.images.edit(
        model=MODEL, prompt="add a hat", image=[("a.png", png()), ("b.png", png())], mask=("m.png", png(mode="RGBA"))
    )
    assert opened(made.data[0].b64_json).format == "PNG"
    assert made.usage.input_tokens_details.image_tokens == 3 * 323
    assert sandbox.stats()["submissions"] == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("moderation_blocked", "BadRequestError"),
        ("invalid_api_key", "AuthenticationError"),
        ("organization_not_verified", "PermissionDeniedError"),
        ("insufficient_quota", "RateLimitError"),
        ("server_error", "InternalServerError"),
    ],
)
async def test_the_official_client_knows_the_errors(code: str, error: str, official: Any, sandbox: Sandbox) -> None:
    """Each error reaches the client as its own class, with the code."""
    sandbox.faults.add(fault("submit", "error_type", value=code))
    with pytest.raises(getattr(openai, error)) as refused:
        await official.images.generate(model=MODEL, prompt="a kite")
    assert refused.value.code == code
    assert sandbox.stats()["submissions"] == 0


async def test_the_official_client_sees_work_that_fails(official: Any, sandbox: Sandbox) -> None:
    """Work that fails after it was accepted is an error, in a stream too."""
    sandbox.faults.add(fault("status", "completed_error", value="moderation_blocked", times=2))
    with pytest.raises(openai.BadRequestError):
        await official.images.generate(model=MODEL, prompt="a kite")
    with pytest.raises(openai.APIError):
        [event async for event in await official.images.generate(model=MODEL, prompt="a kite", stream=True)]
    assert sandbox.stats()["submissions"] == 2


async def test_the_official_client_lists_models(official: Any) -> None:
    """Models that were shut down say when."""
    dates = {model.id: model.model_dump().get("shutdown_date") async for model in official.models.list()}
    assert dates["dall-e-3"] == "2026-05-12"
    assert dates[MODEL] is None
    assert (await official.models.retrieve(MODEL)).id == MODEL


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "dall-e-3"}, 404, "model_not_found"),
        ({"model": "gpt-image-9"}, 404, "model_not_found"),
        ({"prompt": " "}, 400, "missing_required_parameter"),
        ({"prompt": "x" * 32_001}, 400, "string_above_max_length"),
        ({"n": 11}, 400, "invalid_value"),
        ({"n": True}, 400, "invalid_value"),
        ({"size": "1000x1000"}, 400, "invalid_size"),
        ({"size": "4096x1024"}, 400, "invalid_size"),
        ({"size": "2048x512"}, 400, "invalid_size"),
        ({"size": "512x512"}, 400, "invalid_size"),
        ({"size": "3840x3840"}, 400, "invalid_size"),
        ({"quality": "hd"}, 400, "invalid_value"),
        ({"model": "gpt-image-2", "quality": "max"}, 400, "invalid_value"),
        ({"response_format": "url"}, 400, "unknown_parameter"),
        ({"seed": 1}, 400, "unknown_parameter"),
        ({"input_fidelity": "high"}, 400, "invalid_input_fidelity_model"),
        ({"background": "transparent", "output_format": "jpeg"}, 400, "invalid_value"),
        ({"output_compression": 50}, 400, "invalid_value"),
        ({"partial_images": 1}, 400, "invalid_value"),
        ({"partial_images": 4, "stream": True}, 400, "invalid_value"),
    ],
)
async def test_what_no_model_takes_is_refused(
    body: dict[str, Any], status: int, code: str, url: str, sandbox: Sandbox
) -> None:
    """The first thing wrong is named, and nothing is billed."""
    told = await post(url, {"model": MODEL, "prompt": "a kite", **body})
    assert (told.status_code, told.json()["error"]["code"]) == (status, code)
    assert sandbox.stats()["submissions"] == 0


@pytest.mark.parametrize(
    ("pictures", "mask", "code"),
    [
        (0, None, "invalid_value"),
        (17, None, "invalid_value"),
        (1, png(32), "invalid_mask"),
        (1, b"x", "invalid_image_file"),
    ],
)
async def test_pictures_that_do_not_fit_are_refused(
    pictures: int, mask: bytes | None, code: str, url: str, sandbox: Sandbox
) -> None:
    """None, too many, a mask of another size, and what is no picture."""
    files = [("image[]", ("a.png", png(), "image/png"))] * pictures
    files += [("mask", ("m.png", mask, "image/png"))] if mask else [("other", ("o.png", b"", "image/png"))]
    async with httpx.AsyncClient(headers=KEY) as client:
        told = await client.post(f"{url}/v1/images/edits", data={"model": MODEL, "prompt": "x"}, files=files)
    assert (told.status_code, told.json()["error"]["code"]) == (400, code)
    assert sandbox.stats()["submissions"] == 0


# ---------------------------------------------------------------- one root for all providers


@pytest.mark.parametrize(
    ("body", "buys"),
    [
        ({"model": MODEL, "prompt": "a kite"}, [MODEL]),
        ({"model_name": "kling-v2-1", "prompt": "a kite"}, ["kling/images/generations"]),
        ({"prompt": "a kite"}, ["kling/images/generations"]),
        ({"model": MODEL, "model_name": "kling-v2-1", "prompt": "a kite"}, ["kling/images/generations"]),
    ],
)
async def test_a_path_of_two_providers_is_told_apart(
    body: dict[str, Any], buys: list[str], shared: str, sandbox: Sandbox
) -> None:
    """At the shared root OpenAI's new pictures are told from Kling's by the name of the model's field."""
    assert (await post(shared, body)).status_code == 200
    assert list(sandbox.stats()["models"]) == buys
    assert (sandbox.stats()["posts_received"], len(sandbox.stats()["requests"])) == (1, 1)


async def test_what_is_nobodys_json_is_klings(shared: str, url: str) -> None:
    """A body that is no object is passed on whole; alone at its root OpenAI answers it itself."""
    assert (await post(shared, ["x"])).json()["code"] == 1200
    assert (await post(url, ["x"])).json()["error"]["code"] == "invalid_value"


async def test_below_its_name_it_is_openai_alone(shared: str, sandbox: Sandbox) -> None:
    """`/openai/v1/...` needs no telling apart."""
    told = await post(shared, {"prompt": "a kite"}, "/openai/v1/images/generations")
    assert told.json()["error"]["code"] == "model_not_found"
    assert (await post(shared, {"model": MODEL, "prompt": "x"}, "/openai/v1/images/generations")).status_code == 200
    assert sandbox.stats()["models"] == {MODEL: 1}
